"""Results are written whole or not at all, and killed runs leave nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from platelight.errors import OutputError
from platelight_server.plates import exr, frames_out

PLANE = {"R": np.ones((4, 4), np.float16)}
DEAD_PID = 2**22 + 1  # over the largest that Linux hands out


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_but_the_frame_is_left(tmp_path: Path) -> None:
    frames_out.write_frame(tmp_path / "a.exr", PLANE, {}, "zips")
    assert names(tmp_path) == ["a.exr"]


def test_failed_write_leaves_the_old_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames_out.write_frame(tmp_path / "a.exr", PLANE, {}, "zips")
    before = (tmp_path / "a.exr").read_bytes()

    def half(path: Path, *_: object) -> None:
        path.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exr, "write", half)
    with pytest.raises(OutputError, match=r"a\.exr: cannot be written: no space left"):
        frames_out.write_frame(tmp_path / "a.exr", PLANE, {}, "zips")
    assert (names(tmp_path), (tmp_path / "a.exr").read_bytes()) == (["a.exr"], before)


def test_write_into_a_folder_that_is_gone_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"gone/a\.exr: cannot be written"):
        frames_out.write_frame(tmp_path / "gone" / "a.exr", PLANE, {}, "zips")


def test_temporary_files_of_dead_processes_are_removed(tmp_path: Path) -> None:
    left = tmp_path / f".a.exr.{frames_out._host()}.{DEAD_PID}{frames_out.TEMPORARY}"
    left.write_bytes(b"x")
    assert (frames_out.remove_abandoned(tmp_path), names(tmp_path)) == (1, [])


@pytest.mark.parametrize("owner", ["{host}.{own}", f"another-host.{DEAD_PID}", "{host}.x", "{host}.²"])
def test_temporary_files_that_may_be_in_use_stay(tmp_path: Path, owner: str) -> None:
    name = owner.format(host=frames_out._host(), own=os.getpid())
    (tmp_path / f".a.exr.{name}{frames_out.TEMPORARY}").write_bytes(b"x")
    assert frames_out.remove_abandoned(tmp_path) == 0


def test_process_number_beyond_all_limits_counts_as_dead(tmp_path: Path) -> None:
    (tmp_path / f".a.exr.{frames_out._host()}.{'9' * 40}{frames_out.TEMPORARY}").write_bytes(b"x")
    assert frames_out.remove_abandoned(tmp_path) == 1


def test_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file is not a folder"):
        frames_out.nearest_folder(tmp_path / "file" / "out")


def test_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert (frames_out.nearest_folder(tmp_path / "a" / "b"), names(tmp_path)) == (tmp_path, [])
