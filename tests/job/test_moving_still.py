"""A still that moves with the solved camera: through check, job, hash and preview."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platelight.matrices import rotation_zxy
from platelight_server.fingerprint import frame_hashes
from platelight_server.plates import picture_io
from platelight_server.preview import Previewer
from tests.job.rendering import checked, delivered, into, render, stack
from tests.shots import small
from tests.shots.small import Shot

# What is delivered is half.
HALF = 2.0**-10


def cameras(shot: Shot, pan_deg: float = 2.0, x_m: float = 0.0) -> dict[str, Any]:
    """A camera that pans (and trucks) a little more on each frame."""
    frames = []
    for i, frame in enumerate(shot.frames):
        rows = [list(row) for row in rotation_zxy(0.0, -pan_deg * i, 0.0)]
        rows[0][3], rows[1][3] = x_m * i, 1.5
        frames.append(
            {
                "frame": frame, "camera_to_world": rows, "focal_px_x": 90.0, "focal_px_y": 90.0,
                "principal_x": 48.0, "principal_y": 32.0, "width_px": 96, "height_px": 64,
            }
        )  # fmt: skip
    return {"frames": frames}


def moving(shot: Shot, still: str = "background.exr", **keys: Any) -> dict[str, Any]:
    return {"still": str(shot.folder / still), "move": "camera", **keys}


def background(recipe: Any, frame: int) -> np.ndarray:
    return stack(delivered(recipe, frame), "background")


@pytest.fixture
def wide(shot: Shot) -> str:
    """A still with the plate's view in its middle and as much again on every side, as overscan."""
    y, x = np.mgrid[0 : 3 * small.HEIGHT, 0 : 3 * small.WIDTH] / small.WIDTH
    pixels = np.stack([1 + np.sin(5 * x), 6 * np.cos(4 * y) ** 2, x - 1]).astype(np.float16)
    window = {
        "dataWindow": ((-small.WIDTH, -small.HEIGHT), (2 * small.WIDTH - 1, 2 * small.HEIGHT - 1)),
        "displayWindow": ((0, 0), (small.WIDTH - 1, small.HEIGHT - 1)),
    }
    small.write(shot.folder / "wide.exr", pixels, "RGB", {**small.REC709, **window})
    return "wide.exr"


def test_a_camera_that_stands_still_gives_the_fitted_still_bit_for_bit(shot: Shot) -> None:
    fixed = shot.recipe()
    moved = into(shot.recipe(background=moving(shot), camera=cameras(shot, 0.0)), shot.folder / "moved")
    render(fixed)
    render(moved)
    for frame in shot.frames:
        assert np.array_equal(background(fixed, frame), background(moved, frame))


def test_a_pan_moves_the_still_by_its_angle(shot: Shot, wide: str) -> None:
    recipe = shot.recipe(background=moving(shot, wide), camera=cameras(shot, np.degrees(np.arctan(10 / 90))))
    render(recipe)
    whole = picture_io.read(shot.folder / wide, ("R", "G", "B")).pixels
    rest = background(recipe, shot.frames[0])
    assert np.array_equal(rest, whole[:, 64:128, 96:192])
    # In the middle of the picture the pan looks 10 px further to the right.
    at = background(recipe, shot.frames[1])[:, 31:33, 47:49].astype(np.float32).mean((1, 2))
    expected = whole[:, 64 + 31 : 64 + 33, 96 + 57 : 96 + 59].astype(np.float32).mean((1, 2))
    assert np.allclose(at, expected, rtol=0.01, atol=0.01)


def test_the_check_says_where_the_camera_leaves_the_still(shot: Shot, wide: str) -> None:
    told = checked(shot.recipe(background=moving(shot), camera=cameras(shot, 6.0))).warnings
    (left,) = [text for text in told if "leaves it" in text]
    assert f"frames {shot.frames[1]}-{shot.frames[-1]}" in left
    assert f"most on frame {shot.frames[-1]}" in left
    assert "background.exr" in left
    inside = checked(shot.recipe(background=moving(shot, wide), camera=cameras(shot, 6.0)))
    assert not [text for text in inside.warnings if "leaves it" in text]


@pytest.mark.parametrize(
    ("keys", "camera", "message"),
    [
        ({}, False, "camera: expected a solved camera"),
        ({"depth": "ground"}, True, "ground: expected the ground's plane"),
        ({"depth": "points"}, True, "camera.points: expected 4 or more"),
        ({"fit": "exact"}, True, "expected 96x64 like the plate, got 40x30"),
    ],
)
def test_what_is_missing_is_found_before_work(shot: Shot, keys: dict[str, str], camera: bool, message: str) -> None:
    small.write(shot.folder / "little.exr", small.plate_pixels(1, 40, 30), "RGB", small.REC709)
    recipe = shot.recipe(background=moving(shot, "little.exr", **keys), camera=cameras(shot) if camera else None)
    assert [error for error in checked(recipe).errors if message in str(error)]


def test_a_lens_in_the_plate_is_told(shot: Shot) -> None:
    lens = {"kind": "polynomial", "coefficients": [0.1]}
    told = checked(shot.recipe(background=moving(shot), camera={**cameras(shot), "lens": lens})).warnings
    assert [text for text in told if "lens" in text]


def test_the_reference_camera_is_part_of_every_frame(shot: Shot) -> None:
    """Rendered alone, a frame needs the camera of the reference too, and changes with it."""

    def hashes(change: float, **keys: Any) -> dict[int, str]:
        solved = cameras(shot)
        solved["frames"][3]["focal_px_x"] = 90.0 + change
        answer = checked(shot.recipe(background=moving(shot, **keys), camera=solved), "1001")
        answer.raise_first()
        return frame_hashes(answer)

    last = shot.frames[-1]
    assert set(hashes(0.0, reference_frame=last)) == {1001}
    assert hashes(0.0, reference_frame=last) != hashes(1.0, reference_frame=last)
    assert hashes(0.0, reference_frame=last) != hashes(0.0, reference_frame=1001)


def test_cameras_in_headers_serve_the_reference_outside_the_part_rendered(shot: Shot) -> None:
    for frame in shot.frames:
        path = shot.folder / "plate" / f"plate.{frame}.exr"
        view = np.eye(4, dtype=np.float32)
        view[3, 0] = 0.01 * (frame - 1001)
        header = {**small.plate_header(small.REC709, frame), "worldToCamera": view}
        small.write(path, small.plate_pixels(frame), "RGB", header)
    source = {"from_plate_header": True, "focal_mm": 35.0, "sensor_mm": [36.0, 24.0]}
    moved = moving(shot, depth="distance", distance_m=4.0, reference_frame=1001)
    answer = checked(shot.recipe(background=moved, camera=source), "1004")
    answer.raise_first()
    assert answer.inputs is not None
    assert set(answer.inputs.camera.frames) >= {1001, 1004}  # type: ignore[union-attr]


def test_any_part_of_the_shot_gives_the_same_pixels(shot: Shot, wide: str, tmp_path: Path) -> None:
    recipe = shot.recipe(background=moving(shot, wide, depth="distance", distance_m=3.0), camera=cameras(shot, 3, 0.1))
    part = into(recipe, tmp_path / "part")
    render(recipe)
    render(part, "1003")
    assert np.array_equal(background(recipe, 1003), background(part, 1003))


def test_a_preview_shows_the_moved_still(shot: Shot, wide: str) -> None:
    recipe = shot.recipe(
        background=moving(shot, wide, depth="distance", distance_m=3.0), camera=cameras(shot, 5, 0.1),
        matte={"path": str(shot.folder / "none.exr")},
    )  # fmt: skip
    small.write(shot.folder / "none.exr", np.full((1, small.HEIGHT, small.WIDTH), 1 / 256, np.float16), "A")
    render(recipe)
    maker = Previewer(settled_s=0.0)
    shown = {}
    for frame in (1001, 1003):
        seen = maker.preview(recipe, Path("/"), frame, 96, ("background",))
        shown[frame] = np.stack([seen.channels[f"background.{name}"] for name in "RGB"])
        assert np.allclose(shown[frame], background(recipe, frame), rtol=HALF, atol=HALF)
    assert not np.array_equal(shown[1001], shown[1003])
    nearer = replace(recipe, background=replace(recipe.background, distance_m=1.0))
    seen = maker.preview(nearer, Path("/"), 1003, 96, ("background",))
    assert not np.array_equal(np.stack([seen.channels[f"background.{name}"] for name in "RGB"]), shown[1003])
