"""`platelight deflicker` from files to files: headers, chunks, resuming, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platelight_server.evaluation.bench_deflicker import flicker
from platelight_server.plates import exr
from tests.cli.running import here
from tests.deflicker.scenes import clip, write_clip
from tests.shots.small import REC709, write

COUNT = 7


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    one = clip(COUNT)
    write_clip(folder, one, flicker(one.clean, one.matte, "lut", 0))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "clip")
    return tmp_path / "clip"


def command(folder: Path, *more: str, **changed: str | None) -> list[str]:
    flags = {role: str(folder / role / f"{role}.####.exr") for role in ("source", "relit", "matte")}
    given = {**flags, "out": str(folder / "out" / "steady.####.exr"), "radius": "2", **changed}
    return ["deflicker", *(word for key, value in given.items() if value for word in (f"--{key}", value)), *more]


def pixels(folder: Path, frame: int) -> np.ndarray:
    return exr.read(folder / f"steady.{frame}.exr", "RGBA").pixels


def test_frames_keep_their_headers_and_other_channels_and_say_what_was_done(folder: Path) -> None:
    done = here(*command(folder))
    assert (done.returncode, done.stdout) == (0, f"{COUNT} frames steadied: {folder / 'out'}\n")
    info = exr.read_info(folder / "out" / "steady.1003.exr")
    assert info.header["studio/camera"] == "B"
    assert info.header["colorInteropID"] == "lin_rec709_scene"
    assert json.loads(info.header["platelight:deflicker"])["radius"] == 2
    before, after = exr.read(folder / "relit" / "relit.1003.exr", "RGBA").pixels, pixels(folder / "out", 1003)
    assert after.dtype == np.float16
    assert np.array_equal(after[3], before[3])
    outside = np.broadcast_to(before[3] == 0, before[:3].shape)
    assert np.array_equal(after[:3][outside], before[:3][outside])
    assert not np.array_equal(after[:3], before[:3])


def test_any_chunk_writes_the_same_files(folder: Path) -> None:
    here(*command(folder))
    for part in ("1005-1007", "1001-1002", "1003-1004"):
        assert here(*command(folder, "--frames", part, out=str(folder / "parts" / "steady.####.exr"))).returncode == 0
    for frame in range(1001, 1001 + COUNT):
        whole, part = (folder / out / f"steady.{frame}.exr" for out in ("out", "parts"))
        assert whole.read_bytes() == part.read_bytes()


def test_a_second_run_does_nothing_and_a_changed_neighbour_renders_what_it_reaches(folder: Path) -> None:
    here(*command(folder))
    assert here(*command(folder)).stdout == f"nothing to do: all {COUNT} frames in {folder / 'out'} are current\n"
    matte = exr.read(folder / "matte" / "matte.1001.exr", "A").pixels
    write(folder / "matte" / "matte.1001.exr", matte * np.float16(0.5), "A")
    done = here(*command(folder, "--json"))
    assert json.loads(done.stdout.splitlines()[-1])["rendered"] == [1001, 1002, 1003]


@pytest.mark.parametrize(
    "changed",
    [("--strength", "0.5"), ("--detail", "1"), ("--lines", "36"), ("--compression", "dwaa"), ("--radius", "1")],
)
def test_no_frame_of_other_dials_is_kept(folder: Path, changed: tuple[str, str]) -> None:
    here(*command(folder))
    done = here(*command(folder, *changed, "--frames", "1003-1004"))
    assert done.stdout == f"2 frames steadied: {folder / 'out'}\n"


def test_data_windows_that_move_give_the_same_light_in_any_chunk(folder: Path) -> None:
    for i, frame in enumerate(range(1001, 1001 + COUNT)):
        path = folder / "relit" / f"relit.{frame}.exr"
        moving = {**REC709, "dataWindow": ((i, 0), (i + 99, 71)), "displayWindow": ((0, 0), (111, 71))}
        write(path, exr.read(path, "RGBA").pixels[:, :, i : i + 100], "RGBA", moving)
    here(*command(folder))
    here(*command(folder, "--frames", "1001-1002", out=str(folder / "parts" / "steady.####.exr")))
    for frame in (1001, 1002):
        whole, part = (folder / out / f"steady.{frame}.exr" for out in ("out", "parts"))
        assert whole.read_bytes() == part.read_bytes()


def test_a_folder_as_result_keeps_the_names(folder: Path) -> None:
    assert here(*command(folder, out=str(folder / "into"))).returncode == 0
    assert (folder / "into" / "relit.1001.exr").is_file()


def refused(folder: Path, *more: str, code: int = 65, **changed: Any) -> str:
    done = here(*command(folder, *more, **changed))
    assert done.returncode == code
    assert done.stdout == ""
    assert not (folder / "out").exists()
    return done.stderr.replace(str(folder), "")


def test_a_missing_frame_is_named(folder: Path) -> None:
    (folder / "source" / "source.1004.exr").unlink()
    assert "--source: /source/source.####.exr: missing frames 1004 (it has 1001-1003,1005-1007)" in refused(folder)


def test_a_gap_in_the_relit_sequence_is_named(folder: Path) -> None:
    (folder / "relit" / "relit.1004.exr").unlink()
    assert "--relit: /relit/relit.####.exr: missing frames 1004" in refused(folder)


def test_a_damaged_frame_is_named(folder: Path) -> None:
    path = folder / "matte" / "matte.1002.exr"
    path.write_bytes(path.read_bytes()[:300])
    assert "/matte/matte.1002.exr" in refused(folder)


def test_another_size_is_named_with_both(folder: Path) -> None:
    for frame in range(1001, 1001 + COUNT):
        write(folder / "matte" / f"matte.{frame}.exr", np.ones((1, 36, 56), np.float16), "A")
    assert "/matte/matte.1001.exr: expected 112x72 like the relit picture, got 56x36" in refused(folder)


def test_a_matte_that_is_none_is_refused(folder: Path) -> None:
    write(folder / "matte" / "matte.1002.exr", np.full((1, 72, 112), 255, np.float16), "A")
    assert "expected a matte from 0 to 1, got 255 to 255" in refused(folder)


def test_a_matte_of_three_channels_that_differ_is_refused(folder: Path) -> None:
    for frame in range(1001, 1001 + COUNT):
        path = folder / "matte" / f"matte.{frame}.exr"
        write(path, np.concatenate([exr.read(path, "A").pixels] * 2 + [np.zeros((1, 72, 112), np.float16)]), "RGB")
    assert "/matte/matte.1001.exr: expected one matte channel or equal R,G,B, got R, G, B that differ" in refused(
        folder
    )


def test_pixels_that_are_no_numbers_are_refused_or_repaired(folder: Path) -> None:
    path = folder / "relit" / "relit.1002.exr"
    four = exr.read(path, "RGBA").pixels
    four[0, 36, 56] = np.nan
    write(path, four, "RGBA", REC709)
    assert "expected finite pixels, got 1 NaN or Inf values" in refused(folder)
    assert here(*command(folder, "--repair")).returncode == 0
    assert np.isfinite(pixels(folder / "out", 1002)).all()


def test_a_space_that_nobody_names_is_refused(folder: Path) -> None:
    for frame in range(1001, 1001 + COUNT):
        path = folder / "source" / f"source.{frame}.exr"
        write(path, exr.read(path, "RGB").pixels, "RGB")
    assert "--source-colorspace" in refused(folder)


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("radius", "40", "--radius: expected 0 to 12, got 40"),
        ("strength", "2", "--strength: expected 0 to 1, got 2"),
        ("frames", "1001-1009", "frame 1008: expected one of the relit sequence, it has 1001-1007"),
        ("out", "one.exr", "--out: expected a folder or a pattern such as name.####.exr, got one.exr"),
    ],
)
def test_dials_out_of_range_are_named(folder: Path, flag: str, value: str, said: str) -> None:
    assert said in refused(folder, **{flag: value})


def test_a_result_over_its_own_input_is_refused(folder: Path) -> None:
    assert "is one of the inputs" in refused(folder, out=str(folder / "relit"))


def test_vectors_without_a_layer_that_is_known_are_refused(folder: Path) -> None:
    assert "expected motion vectors to the frame before" in refused(folder, vectors=str(folder / "source"))


def test_a_source_in_other_primaries_gives_the_same_light(folder: Path) -> None:
    from platelight_server.color.spaces import convert, named

    here(*command(folder))
    for frame in range(1001, 1001 + COUNT):
        path = folder / "source" / f"source.{frame}.exr"
        moved = convert(
            exr.read(path, "RGB").pixels.astype(np.float32), named("lin_rec709_scene"), named("lin_ap1_scene")
        )
        write(path, moved, "RGB", {"colorInteropID": "lin_ap1_scene"})
    assert here(*command(folder, out=str(folder / "moved" / "steady.####.exr"))).returncode == 0
    both = [pixels(folder / out, 1004)[:3].astype(np.float32) for out in ("out", "moved")]
    assert np.abs(both[0] - both[1]).max() < 0.02 * both[0].max()
