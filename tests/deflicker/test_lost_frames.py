"""Missing and damaged frames of `platelight deflicker`: all named before work, or served as `--missing` says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from platelight_server.plates import exr
from tests.cli.running import here
from tests.deflicker.test_command import COUNT, command, made  # noqa: F401  (made is a fixture)
from tests.job.rendering import frames_in
from tests.shots.small import REC709, write

GOOD = (1001, 1002, 1004, 1005, 1007)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:  # noqa: F811
    """The relit 1003 is missing, and of the source 1006 half is there."""
    shutil.copytree(made, tmp_path / "clip")
    (tmp_path / "clip" / "relit" / "relit.1003.exr").unlink()
    _cut(tmp_path / "clip" / "source" / "source.1006.exr")
    return tmp_path / "clip"


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def steadied(folder: Path, *more: str, out: str = "out", **changed: str) -> dict[int, np.ndarray]:
    """The frames that a run writes, by number."""
    done = here(*command(folder, *more, out=str(folder / out / "steady.####.exr"), **changed))
    assert done.returncode == 0, done.stderr
    return {int(path.stem[-4:]): exr.read(path, "RGBA").pixels for path in sorted((folder / out).glob("*.exr"))}


def refused(folder: Path, *more: str, **changed: str) -> str:
    """What is said to a job that is not begun."""
    done = here(*command(folder, *more, **changed))
    assert (done.returncode, (folder / "out").exists()) == (65, False)
    return done.stderr.replace(str(folder), "")


def test_all_problems_of_all_inputs_are_told_together(folder: Path) -> None:
    write(folder / "matte" / "matte.1002.exr", np.full((1, 72, 112), 255, np.float16), "A")
    nan = exr.read(folder / "relit" / "relit.1005.exr", "RGBA").pixels
    nan[0, 3, 3] = np.nan
    write(folder / "relit" / "relit.1005.exr", nan, "RGBA", REC709)
    said = refused(folder, "--source-colorspace", "sRGB", vectors=str(folder / "source"))
    for wanted in (
        "--source: /source/source.####.exr: damaged: /source/source.1006.exr: ",
        "--relit: /relit/relit.####.exr: missing frames 1003 (it has 1001-1002,1004-1007); bring them,"
        " change frames, or choose --missing hold, black or skip",
        "--matte: /matte/matte.1002.exr: expected a matte from 0 to 1, got 255 to 255",
        "--relit: /relit/relit.1005.exr: expected finite pixels, got 1 NaN or Inf values",
        "expected motion vectors to the frame before",
        "expected a scene-linear picture, got sRGB",
    ):
        assert wanted in said


def test_hold_shows_the_frame_before_without_its_time_code(folder: Path) -> None:
    path = folder / "relit" / "relit.1002.exr"
    timed = {**REC709, "imageCounter": 2}
    write(path, exr.read(path, "RGBA").pixels, "RGBA", timed)
    frames = steadied(folder, "--missing", "hold")
    assert list(frames) == list(range(1001, 1001 + COUNT))
    assert np.array_equal(frames[1003], frames[1002])
    assert np.array_equal(frames[1006], frames[1005])
    counted = ["imageCounter" in exr.read_info(folder / "out" / f"steady.{f}.exr").header for f in (1002, 1003)]
    assert counted == [True, False]


def test_the_first_frame_is_held_from_the_next(folder: Path) -> None:
    (folder / "source" / "source.1001.exr").unlink()
    frames = steadied(folder, "--missing", "hold")
    assert np.array_equal(frames[1001], frames[1002])


def test_black_is_black_and_skip_writes_none(folder: Path) -> None:
    frames = steadied(folder, "--missing", "black")
    assert [float(np.abs(frames[frame]).max()) for frame in (1003, 1006)] == [0.0, 0.0]
    assert tuple(steadied(folder, "--missing", "skip", out="skipped")) == GOOD


def test_a_lost_frame_says_nothing_about_the_others(folder: Path) -> None:
    ways = [steadied(folder, "--missing", policy, out=policy) for policy in ("hold", "black", "skip")]
    whole = folder.with_name("whole")
    shutil.copytree(folder, whole)
    for role in ("source", "relit"):
        for frame in (1003, 1006):
            (whole / role / f"{role}.{frame}.exr").unlink(missing_ok=True)
    ways.append(steadied(whole, "--missing", "skip"))
    for frame in GOOD:
        assert all(np.array_equal(way[frame], ways[0][frame]) for way in ways[1:])


@pytest.mark.parametrize(("policy", "radius"), [("hold", "2"), ("black", "2"), ("hold", "0")])
def test_any_chunk_writes_the_same_files(folder: Path, policy: str, radius: str) -> None:
    for frame in (1004, 1005):  # what is held for 1005 and 1006 lies outside of what a chunk needs
        (folder / "source" / f"source.{frame}.exr").unlink()
    steadied(folder, "--missing", policy, radius=radius)
    for part in ("1006", "1001-1003", "1007", "1004-1005"):
        steadied(folder, "--missing", policy, "--frames", part, out="parts", radius=radius)
    assert frames_in(folder / "parts") == frames_in(folder / "out")


def test_a_lost_matte_is_held(folder: Path) -> None:
    (folder / "matte" / "matte.1004.exr").unlink()
    held = steadied(folder, "--missing", "hold")
    shutil.copyfile(folder / "matte" / "matte.1002.exr", folder / "matte" / "matte.1004.exr")
    shutil.copyfile(folder / "matte" / "matte.1002.exr", folder / "matte" / "matte.1003.exr")
    assert np.array_equal(held[1004], steadied(folder, "--missing", "hold", out="copied")[1004])


def test_without_a_matte_under_black_a_frame_stays_as_it_is(folder: Path) -> None:
    (folder / "matte" / "matte.1004.exr").unlink()
    frames = steadied(folder, "--missing", "black")
    assert np.array_equal(frames[1004], exr.read(folder / "relit" / "relit.1004.exr", "RGBA").pixels)


def test_for_lost_vectors_motion_is_found(folder: Path) -> None:
    (folder / "vectors").mkdir()
    for frame in (1001, 1002, 1004, 1005):
        left = np.stack([np.full((72, 112), -2.0), np.zeros((72, 112))]).astype(np.float16)
        write(folder / "vectors" / f"v.{frame}.exr", left, ("Vector.X", "Vector.Y"))
    done = here(*command(folder, "--missing", "skip", vectors=str(folder / "vectors")))
    assert done.returncode == 0
    assert "warning: --vectors: frames 1007 are missing or damaged: motion is found there" in done.stderr
    assert "warning: --missing skip: frames 1003,1006 are not written" in done.stderr


def test_results_of_an_earlier_run_are_named_where_they_are_not_written_anew(folder: Path) -> None:
    steadied(folder, "--missing", "hold")
    done = here(*command(folder, "--missing", "skip"))
    assert f"{folder / 'out' / 'steady.1003.exr'}: of an earlier run; 2 such files are left" in done.stderr


def test_nothing_whole_is_refused_under_every_policy(folder: Path) -> None:
    for frame in GOOD:
        _cut(folder / "source" / f"source.{frame}.exr")
    for policy in ("hold", "black", "skip"):
        assert "found none that has all" in refused(folder, "--missing", policy)
    _cut(folder / "source" / "source.1003.exr")
    assert "expected frames 1001-1007, found none that can be read" in refused(folder, "--missing", "skip")
