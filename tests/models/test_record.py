"""Whether damage to a model's files is seen, and said with the file's name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from platelight.errors import ModelError
from platelight_server.models.catalogue import card
from platelight_server.models.record import ensure, sha256, trust, verify
from platelight_server.models.structure import RECORD, check_classes, check_structure

CARD = card("cogvideox-5b")
VAE = Path("vae", "diffusion_pytorch_model.safetensors")


def _pointer(folder: Path) -> None:
    (folder / VAE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 431000000\n")


def _torn(folder: Path) -> None:
    os.truncate(folder / VAE, (folder / VAE).stat().st_size - 100)


def _torn_json(folder: Path) -> None:
    os.truncate(folder / "vae" / "config.json", 20)


def _page(folder: Path) -> None:
    (folder / VAE).write_text("<html>Access to this model is restricted</html>")


def _shard_gone(folder: Path) -> None:
    next((folder / "transformer").glob("*-00002-of-*")).unlink()


def _index_gone(folder: Path) -> None:
    (folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json").unlink()


def _tensor_gone(folder: Path) -> None:
    shard = next((folder / "transformer").glob("*-00002-of-*"))
    tensors = load_file(shard)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, shard)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_pointer, "vae.*expected the file itself, got a Git LFS pointer"),
        (_torn, r"vae.*expected a whole safetensors file, got \d+ bytes"),
        (_page, r"vae.*expected a whole safetensors file, got 47 bytes"),
        (_torn_json, r"vae.config\.json: expected JSON"),
        (_shard_gone, r"transformer: expected \d+ parts of .*; part 00002 is missing"),
        (_index_gone, r"expected diffusion_pytorch_model\.safetensors\.index\.json"),
        (_tensor_gone, r"00002-of-\d+\.safetensors: expected it to hold \S+, as .*index\.json says"),
    ],
)
def test_damage_is_named(copied: Path, damage: Callable[[Path], None], said: str) -> None:
    check_structure(CARD, copied)
    damage(copied)
    with pytest.raises(ModelError, match=said):
        verify(CARD, copied)
    with pytest.raises(ModelError):
        ensure(CARD, copied)


def test_tensors_are_those_of_the_class(copied: Path) -> None:
    assert check_classes(copied) == 2  # transformer and codec; the text encoder is no class of diffusers
    tensors = load_file(copied / VAE)
    name = sorted(tensors)[0]
    save_file({**tensors, name: torch.zeros(3)}, copied / VAE)
    with pytest.raises(ModelError, match=rf"vae: expected {name} to be \(\d.*\), got \(3,\)"):
        check_classes(copied)
    del tensors[name]
    save_file(tensors, copied / VAE)
    with pytest.raises(ModelError, match=rf"vae: expected the tensor {name} \(and 0 others\), found none"):
        check_classes(copied)


def test_first_check_records_and_the_next_compares(copied: Path) -> None:
    (copied / RECORD).unlink()
    first, second = verify(CARD, copied), verify(CARD, copied)
    assert (first.first, second.first, first.digest == second.digest) == (True, False, True)
    recorded = json.loads((copied / RECORD).read_text())
    assert (recorded["model"], recorded["revision"]) == (CARD.name, CARD.revision)
    assert recorded["files"][VAE.as_posix()]["sha256"] == sha256(copied / VAE)


def test_equal_files_have_equal_records(copied: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(copied, tmp_path / "other"))
    assert trust(CARD, copied).digest == trust(CARD, other).digest
    assert (copied / RECORD).read_bytes() == (other / RECORD).read_bytes()


@pytest.mark.parametrize("check", [verify, ensure])
def test_changed_weight_is_refused_until_it_is_trusted(copied: Path, check: Callable[..., object]) -> None:
    ensure(CARD, copied)
    tensors = load_file(copied / VAE)
    name = sorted(tensors)[0]
    tensors[name][0] += 1
    save_file(tensors, copied / VAE, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"vae.*expected SHA-256 [0-9a-f]{64} .*models verify --trust cogvideox-5b"):
        check(CARD, copied)
    before = trust(CARD, copied).digest
    assert ensure(CARD, copied).digest == before


def test_file_that_vanished_is_refused(copied: Path) -> None:
    (copied / "tokenizer" / "special_tokens_map.json").unlink()
    with pytest.raises(ModelError, match=r"special_tokens_map\.json: expected this file, as recorded"):
        ensure(CARD, copied)


def test_untouched_files_are_not_read_again(copied: Path) -> None:
    """Shown by a change that keeps size and time: only the full check sees it."""
    ensure(CARD, copied)
    path = copied / VAE
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not ensure(CARD, copied).first
    with pytest.raises(ModelError, match="as recorded"):
        verify(CARD, copied)


def test_published_hash_is_what_a_first_record_must_have(copied: Path) -> None:
    (copied / RECORD).unlink()
    right = replace(CARD, sha256={VAE.as_posix(): sha256(copied / VAE)})
    wrong = replace(CARD, sha256={VAE.as_posix(): "0" * 64})
    with pytest.raises(ModelError, match=f"vae.*expected the published SHA-256 {'0' * 64}, got"):
        ensure(wrong, copied)
    assert not (copied / RECORD).exists()
    assert ensure(right, copied).first


def test_record_of_a_read_only_folder_goes_into_the_home(copied: Path, own_home: Path) -> None:
    (copied / RECORD).unlink()
    (copied / f".{RECORD}.{os.getpid()}").mkdir()  # no file can be written there, also not by root
    assert verify(CARD, copied).first
    assert (own_home / "model-records" / "cogvideox-5b.json").is_file()
    assert not (copied / RECORD).exists()
    assert not verify(CARD, copied).first


def test_broken_record_is_named(copied: Path) -> None:
    (copied / RECORD).write_text("{}")
    with pytest.raises(ModelError, match=f"{RECORD}: expected a record"):
        ensure(CARD, copied)
