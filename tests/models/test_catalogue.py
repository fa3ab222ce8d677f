"""The catalogue's cards, the folders that are looked through, what is said of a model that is not there."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from platelight.errors import ModelError
from platelight_server.models.card import ModelCard
from platelight_server.models.catalogue import CATALOGUE, card
from platelight_server.models.folders import download_command, find, models_folders

each = pytest.mark.parametrize("one", CATALOGUE, ids=lambda one: one.name)


def test_names_are_folder_names_and_differ() -> None:
    names = [one.name for one in CATALOGUE]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and "/" not in name for name in names)


@each
def test_card_is_complete(one: ModelCard) -> None:
    assert one.purpose and one.used_by and one.source.count("/") == 1 and one.size_bytes > 1e6
    assert one.stage in ("matte", "background", "light", "consistency", "measure")
    assert one.licence_url.startswith("https://")
    assert one.conditions or one.terms == "free"
    assert one.pinned == (len(one.revision) == 40)
    assert all(len(found) == 64 and set(found) <= set("0123456789abcdef") for found in one.sha256.values())
    assert set(one.sha256) <= {*one.files, *one.downloads}


@each
def test_no_pickle_is_among_the_files_that_are_loaded(one: ModelCard) -> None:
    assert [pattern for pattern in one.files if pattern.endswith((".bin", ".pth", ".pt", ".ckpt"))] == []


def test_download_command_is_one_that_the_hub_client_takes(tmp_path: Path) -> None:
    """Up to where it would ask the network, which it is told not to."""
    one = card("sd15-inpainting")
    words = shlex.split(download_command(one, tmp_path / "a b"))
    assert words[:5] == ["hf", "download", one.source, "--revision", one.revision]
    assert [words[i + 1] for i, word in enumerate(words) if word == "--include"] == list(one.downloads)
    program = Path(sys.executable).with_name(words[0])
    done = subprocess.run(
        [program, *words[1:]], env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "offline" in (done.stdout + done.stderr).lower(), done.stderr


def test_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ModelError, match="expected one of cogvideox-2b, .*, got 'cogvideo'"):
        card("cogvideo")


def test_folders_are_those_of_the_variable_then_the_home(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    monkeypatch.setenv("PLATELIGHT_MODELS", "/a:/b" if models_folders() else "")
    assert models_folders() == (Path("/a"), Path("/b"), own_home / "models")


@pytest.mark.parametrize("folder", ["cogvideox-5b", "CogVideoX-5b", "zai-org/CogVideoX-5b"])
def test_model_is_found_by_its_name_or_its_repository(folder: str, copied: Path, tmp_path: Path) -> None:
    (tmp_path / "other" / folder).parent.mkdir(parents=True)
    copied.rename(tmp_path / "other" / folder)
    assert find(card("cogvideox-5b"), [tmp_path / "empty", tmp_path / "other"]) == tmp_path / "other" / folder


def test_whole_folder_is_preferred_to_a_begun_one(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "cogvideox-5b").mkdir()
    assert find(card("cogvideox-5b"), [tmp_path, copied.parent]) == copied


def test_missing_model_says_where_was_looked_and_how_to_get_it(own_home: Path) -> None:
    one = card("cogvideox-5b")
    with pytest.raises(ModelError) as refused:
        find(one)
    for part in (str(own_home / "models"), "21 GB", one.licence, one.licence_url, one.revision, "hf download"):
        assert part in str(refused.value)
    assert refused.value.exit_code == 65


def test_begun_folder_says_what_is_missing(copied: Path) -> None:
    (copied / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"cogvideox-5b: expected vae/\*\.safetensors, found 17 other files"):
        find(card("cogvideox-5b"))


def test_pickle_is_refused_with_the_command_that_converts_it(copied: Path) -> None:
    weights = copied / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(
        ModelError, match=r"a pickle, which is not loaded; convert it: platelight models convert \S+bin"
    ):
        find(card("cogvideox-5b"))
