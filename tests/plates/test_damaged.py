"""Damaged files: each is refused with a FrameError that names it; nothing crashes and no zeros pass for pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from platelight.errors import FrameError
from platelight_server.plates import exr, picture_io
from tests.plates import files


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A ZIPS file: one chunk per line, so that losing any byte of it loses a line."""
    header = {"compression": files.COMPRESSIONS["ZIPS_COMPRESSION"]}
    noise = np.random.default_rng(1).normal(1, 0.5, (3, files.HEIGHT, files.WIDTH)).astype(np.float16)
    return files.write(tmp_path / "good.exr", files.rgb(noise), **header)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 0.999])
def test_truncated_file_is_refused_by_name(good: Path, tmp_path: Path, kept: float) -> None:
    content = good.read_bytes()
    path = tmp_path / "cut.exr"
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(FrameError, match=r"cut\.exr"):
        exr.read(path, "RGB")


@pytest.mark.parametrize("compression", sorted(files.COMPRESSIONS))
def test_half_a_file_is_refused_under_every_compression(tmp_path: Path, compression: str) -> None:
    header = {"compression": files.COMPRESSIONS[compression]}
    whole = files.write(tmp_path / "whole.exr", files.rgb(files.pixels(height=80, width=80)), **header).read_bytes()
    (tmp_path / "cut.exr").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FrameError, match=r"cut\.exr"):
        exr.read(tmp_path / "cut.exr", "RGB")


def test_truncated_second_part_is_refused(tmp_path: Path) -> None:
    parts = {
        "rgba": files.rgb(files.pixels()),
        "matte": {"A": np.random.default_rng(2).random((20, 32)).astype(np.float16)},
    }
    whole = files.write_parts(tmp_path / "whole.exr", parts).read_bytes()
    (tmp_path / "cut.exr").write_bytes(whole[:-200])
    with pytest.raises(FrameError, match="1 of 2 parts cannot be decoded"):
        exr.read(tmp_path / "cut.exr", ("R", "G", "B"))


def _zeroed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(400) + content[middle + 400 :]


def _garbage_header(content: bytes) -> bytes:
    return content[:8] + bytes(np.random.default_rng(3).integers(0, 256, 300, np.uint8)) + content[308:]


@pytest.mark.parametrize(
    "spoil", [lambda content: b"", lambda content: b"hello", lambda content: b"v/1\x01", _zeroed, _garbage_header]
)
def test_spoilt_file_is_refused_by_name(good: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "spoilt.exr"
    path.write_bytes(spoil(good.read_bytes()))
    with pytest.raises(FrameError, match=r"spoilt\.exr"):
        exr.read(path, "RGB")


@pytest.mark.parametrize("side", [16_000, 30_000, 100_000, 2**31 - 1])
def test_header_that_claims_a_huge_picture_is_refused(good: Path, tmp_path: Path, side: int) -> None:
    path = files.with_header_size(tmp_path / "huge.exr", good, side)
    with pytest.raises(FrameError, match=r"huge\.exr"):
        exr.read(path, "RGB")


def test_folder_called_exr_is_refused_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.exr").mkdir()
    with pytest.raises(FrameError, match=r"a\.exr: expected a file, got a folder"):
        picture_io.read_info(tmp_path / "a.exr")


@pytest.mark.parametrize("name", ["gone.exr", "gone.png"])
def test_absent_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(FrameError, match=f"{name}: no such file"):
        picture_io.read(tmp_path / name, "RGB")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".hdr", ".dpx"])
def test_garbage_of_any_format_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"not a picture" * 20)
    with pytest.raises(FrameError, match=f"bad{suffix}"):
        picture_io.read(path, "RGB")


def test_reader_survives_five_hundred_random_bytes_changed(good: Path, tmp_path: Path) -> None:
    """A single flipped byte is either noticed or gives some picture: EXR has no checksums. It never crashes."""
    # The header and the offset table lie in the first 1500 bytes.
    content, rng = good.read_bytes(), np.random.default_rng(4)
    refused = 0
    for at in rng.integers(0, 1500, 500):
        changed = bytearray(content)
        changed[at] ^= int(rng.integers(1, 256))
        (tmp_path / "flip.exr").write_bytes(changed)
        try:
            exr.read(tmp_path / "flip.exr", "RGB")
        except FrameError:
            refused += 1
    assert refused > 0
