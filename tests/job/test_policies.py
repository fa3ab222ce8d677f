"""Missing, damaged and non-finite frames: refused with a list, or served as the recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platelight.errors import FrameError, OutputError
from platelight_server import job
from platelight_server.plates import delivery, exr
from tests.job.rendering import STILL, WAVY, checked, delivered, frames_in, header, into, render, stack
from tests.shots import small
from tests.shots.small import Shot


@pytest.fixture
def gappy(tmp_path: Path) -> Shot:
    """Eight frames; 1003 is missing and 1006 is cut in half."""
    shot = small.make_shot(tmp_path / "shot", 8)
    (shot.folder / "plate" / "plate.1003.exr").unlink()
    cut = shot.folder / "plate" / "plate.1006.exr"
    cut.write_bytes(cut.read_bytes()[:2000])
    return shot


def plate_table(shot: Shot, **values: Any) -> dict[str, Any]:
    return {"path": str(shot.folder / "plate" / "plate.####.exr"), **values}


def messages(shot: Shot, **tables: Any) -> list[str]:
    return [str(error) for error in checked(shot.recipe(**tables)).errors]


def test_missing_and_damaged_frames_are_listed_together(gappy: Shot) -> None:
    (text,) = messages(gappy)
    assert ("missing frames 1003" in text, "plate.1006.exr" in text, "plate.missing = 'hold'" in text) == (
        True,
        True,
        True,
    )


def test_refusal_writes_nothing(gappy: Shot) -> None:
    checked(gappy.recipe())
    assert not (gappy.folder / "out").exists()


def test_hold_serves_the_frame_before(gappy: Shot) -> None:
    recipe = gappy.recipe(plate=plate_table(gappy, missing="hold"), background=None, engine=STILL)
    render(recipe)
    expected = [small.plate_pixels(1002), small.plate_pixels(1005)]
    assert [
        np.array_equal(stack(delivered(recipe, f), ""), p) for f, p in zip((1003, 1006), expected, strict=True)
    ] == [True] * 2


def test_held_frame_carries_no_other_frames_time_code(gappy: Shot) -> None:
    recipe = gappy.recipe(plate=plate_table(gappy, missing="hold"), engine=STILL)
    render(recipe)
    assert ("timeCode" in header(recipe, 1002), "timeCode" in header(recipe, 1003)) == (True, False)


def test_hold_passes_over_a_damaged_frame_outside_the_part_rendered(tmp_path: Path) -> None:
    shot = small.make_shot(tmp_path, 30)
    for frame, size in ((1018, 1500), (1019, None), (1020, None)):
        path = shot.folder / "plate" / f"plate.{frame}.exr"
        path.unlink() if size is None else path.write_bytes(path.read_bytes()[:size])
    recipe = shot.recipe(plate=plate_table(shot, missing="hold"), background=None, engine=STILL)
    render(recipe, "1020")
    assert np.array_equal(stack(delivered(recipe, 1020), ""), small.plate_pixels(1017))


def test_black_serves_black(gappy: Shot) -> None:
    recipe = gappy.recipe(plate=plate_table(gappy, missing="black"), background=None, engine=STILL)
    render(recipe)
    assert [float(np.abs(stack(delivered(recipe, f), "")).max()) for f in (1003, 1006)] == [0.0, 0.0]


def test_black_frame_has_the_windows_of_the_shot(tmp_path: Path) -> None:
    shot = small.make_shot(tmp_path, 3)
    for frame in shot.frames:
        head = {
            **small.REC709,
            "dataWindow": ((10, 8), (89, 55)),
            "displayWindow": ((0, 0), (95, 63)),
            "pixelAspectRatio": 2.0,
        }
        small.write(tmp_path / "plate" / f"plate.{frame}.exr", small.plate_pixels(frame, 80, 48), "RGB", head)
    (tmp_path / "plate" / "plate.1002.exr").unlink()
    recipe = shot.recipe(plate=plate_table(shot, missing="black"), engine=STILL)
    render(recipe)
    infos = [exr.read_info(tmp_path / "out" / f"small.{f}.exr") for f in (1001, 1002)]
    assert (infos[0].data, infos[0].display, infos[0].pixel_aspect) == (
        infos[1].data,
        infos[1].display,
        infos[1].pixel_aspect,
    )


def test_skip_leaves_the_frames_out(gappy: Shot) -> None:
    recipe = gappy.recipe(plate=plate_table(gappy, missing="skip"), engine=WAVY)
    assert render(recipe).rendered == [1001, 1002, 1004, 1005, 1007, 1008]


def test_skip_says_which_frames_it_leaves_out(gappy: Shot) -> None:
    warnings = checked(gappy.recipe(plate=plate_table(gappy, missing="skip"))).warnings
    assert any("frames 1003,1006 are not rendered" in text for text in warnings)


def test_frame_without_a_matte_is_skipped_too(shot: Shot) -> None:
    (shot.folder / "matte" / "matte.1002.exr").unlink()
    assert render(shot.recipe(plate=plate_table(shot, missing="skip"), engine=WAVY)).rendered == [1001, 1003, 1004]


@pytest.mark.parametrize("policy", ["hold", "black"])
def test_missing_matte_follows_the_policy(shot: Shot, policy: str) -> None:
    (shot.folder / "matte" / "matte.1002.exr").unlink()
    recipe = shot.recipe(plate=plate_table(shot, missing=policy), engine=STILL)
    render(recipe)
    expected = small.matte_pixels(1001)[0] if policy == "hold" else np.zeros((small.HEIGHT, small.WIDTH), np.float16)
    assert np.array_equal(delivered(recipe, 1002)["alpha.A"], expected)


@pytest.mark.parametrize("policy", ["refuse", "hold", "black", "skip"])
def test_no_frame_at_all_is_refused_under_every_policy(shot: Shot, policy: str) -> None:
    for path in (shot.folder / "plate").iterdir():
        path.unlink()
    (text, *_) = messages(shot, plate=plate_table(shot, missing=policy))
    assert "plate.path" in text and "plate.####.exr" in text


def nan_plate(shot: Shot, frame: int = 1002) -> np.ndarray:
    pixels = small.plate_pixels(frame)
    pixels[0, 0, 0], pixels[1, 0, 1], pixels[2, 5, 5] = np.nan, np.inf, -np.inf
    small.write(shot.folder / "plate" / f"plate.{frame}.exr", pixels, "RGB", small.REC709)
    return pixels


def test_nan_plate_is_refused_with_the_count(shot: Shot) -> None:
    nan_plate(shot)
    (text,) = messages(shot)
    assert "plate.1002.exr: expected finite pixels, got 3 NaN or Inf values" in text


def test_nan_plate_is_repaired_on_request(shot: Shot) -> None:
    pixels = nan_plate(shot)
    recipe = shot.recipe(plate=plate_table(shot, nonfinite="repair"), background=None, engine=STILL)
    render(recipe)
    expected = np.nan_to_num(pixels, nan=0.0, posinf=65504.0, neginf=-65504.0)
    assert np.array_equal(stack(delivered(recipe, 1002), ""), expected)


def test_repair_is_counted_in_the_frames_proof(shot: Shot) -> None:
    nan_plate(shot)
    recipe = shot.recipe(plate=plate_table(shot, nonfinite="repair"), background=None, engine=STILL)
    render(recipe)
    assert '"repaired":3' in header(recipe, 1002)["platelight:proof"]


def test_nan_in_a_matte_is_refused(shot: Shot) -> None:
    pixels = small.matte_pixels(1003)
    pixels[0, 3, 3] = np.nan
    small.write(shot.folder / "matte" / "matte.1003.exr", pixels, "A")
    (text,) = messages(shot)
    assert "matte.1003.exr: expected finite pixels, got 1 NaN" in text


def test_inf_in_a_background_is_said(shot: Shot) -> None:
    pixels = small.plate_pixels(7)
    pixels[0, 0, 0] = np.inf
    small.write(shot.folder / "background.exr", pixels, "RGB", small.REC709)
    assert any("background.exr: expected finite pixels, got 1" in text for text in checked(shot.recipe()).warnings)


def test_one_still_plate_serves_every_frame(shot: Shot) -> None:
    recipe = shot.recipe(plate={"path": str(shot.folder / "plate" / "plate.1001.exr")}, background=None, engine=STILL)
    render(recipe)
    assert np.array_equal(stack(delivered(recipe, 1004), ""), small.plate_pixels(1001))


def test_background_sequence_is_read_at_its_offset(shot: Shot) -> None:
    (shot.folder / "bg").mkdir()
    for frame in range(1, 5):
        small.write(shot.folder / "bg" / f"bg.{frame}.exr", small.plate_pixels(frame * 50), "RGB", small.REC709)
    background = {"sequence": str(shot.folder / "bg" / "bg.%d.exr"), "frame_offset": -1000}
    recipe = shot.recipe(background=background, engine=STILL)
    render(recipe)
    assert np.array_equal(stack(delivered(recipe, 1003), "background"), small.plate_pixels(150))


def test_first_frame_on_disk_outside_the_shot_does_not_matter(shot: Shot) -> None:
    """A slate of another size and colour stands before many shots."""
    small.write(shot.folder / "plate" / "plate.1000.exr", small.plate_pixels(1, 50, 40), "RGB")
    assert checked(shot.recipe()).errors == ()


PROBLEMS: dict[str, Any] = {
    "size": (
        {"displayWindow": ((0, 0), (90, 63)), "dataWindow": ((0, 0), (95, 63))},
        "expected 96x64 as in plate.1001.exr",
    ),
    "place": ({"displayWindow": ((1, 0), (96, 63)), "dataWindow": ((0, 0), (95, 63))}, "got 96x64 at \\(1, 0\\)"),
    "aspect": ({"pixelAspectRatio": 2.0}, "expected pixel aspect 1 as in plate.1001.exr, got 2"),
    "colour": ({"colorInteropID": "lin_ap1_scene"}, "expected colorInteropID as in plate.1001.exr"),
}


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_frame_that_disagrees_with_the_first_is_refused(shot: Shot, name: str) -> None:
    head, expected = PROBLEMS[name]
    small.write(shot.folder / "plate" / "plate.1003.exr", small.plate_pixels(1003), "RGB", {**small.REC709, **head})
    with pytest.raises(FrameError, match=rf"plate\.1003\.exr: .*{expected}"):
        checked(shot.recipe()).raise_first()


def test_all_problems_are_found_at_once(shot: Shot) -> None:
    nan_plate(shot)
    small.write(shot.folder / "matte" / "matte.1001.exr", small.matte_pixels(1001, 48, 32), "A")
    small.write(shot.folder / "background.exr", small.plate_pixels(1), "RGB")
    (shot.folder / "file").write_text("x")
    texts = messages(
        shot,
        camera={"path": str(shot.folder / "gone.chan"), "sensor_mm": [36.0, 24.0]},
        probe_background={"path": str(shot.folder / "gone.exr")},
        engine={"name": "test_wavy", "options": {"sleep": 1}},
        output={"directory": str(shot.folder / "file" / "out")},
    )
    wanted = [
        "engine.options.sleep",
        "is not a folder",
        "no colour space",
        "gone.exr",
        "gone.chan",
        "finite pixels",
        "got 48x32",
    ]
    assert [part for part in wanted if not any(part in text for text in texts)] == []


def test_frame_that_breaks_after_the_check_fails_alone(tmp_path: Path) -> None:
    shot = small.make_shot(tmp_path, 30)
    answer = checked(shot.recipe(engine=STILL))
    path = shot.folder / "plate" / "plate.1018.exr"
    path.write_bytes(path.read_bytes()[:999])
    outcome = job.run(answer, workers=2)
    assert (list(outcome.failed), len(outcome.rendered)) == ([1018], 29)


def test_frames_that_are_cut_by_their_window_are_the_same(tmp_path: Path) -> None:
    """Chunks of a shot whose data window moves see the same model picture as the whole shot."""
    shot = small.make_shot(tmp_path, 30)
    for i, frame in enumerate(shot.frames):
        window = ((i, 2), (60 + i, 50))
        head = {**small.REC709, "dataWindow": window, "displayWindow": ((0, 0), (95, 63))}
        small.write(tmp_path / "plate" / f"plate.{frame}.exr", small.plate_pixels(frame, 61, 49), "RGB", head)
    whole, parts = into(shot.recipe(), tmp_path / "whole"), into(shot.recipe(), tmp_path / "parts")
    render(whole)
    for part in ("1001-1003", "1004", "1010-1030", "1005-1009"):
        render(parts, part)
    assert frames_in(tmp_path / "whole") == frames_in(tmp_path / "parts")


def test_output_name_too_long_for_a_disk_is_refused(shot: Shot) -> None:
    recipe = shot.recipe(output={"directory": str(shot.folder / "out"), "name": "n" * 250})
    with pytest.raises(OutputError, match="output.name: expected file names of at most"):
        checked(recipe).raise_first()


def test_negative_frames_have_their_sign_before_the_digits(shot: Shot) -> None:
    recipe = shot.recipe(frames="-5")
    assert delivery.files_of(recipe, -5).main == shot.folder / "out" / "small.-0005.exr"
