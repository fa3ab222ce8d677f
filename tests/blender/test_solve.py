"""Solves of cameras that are known: every lens, every frame, points and tracks, to 1e-4 px."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon.gather import gather  # noqa: E402
from platelight_addon.platelight.camera import LensModel  # noqa: E402
from platelight_addon.platelight.lenses import bent  # noqa: E402

from tests.blender.making import make_clip, make_plate  # noqa: E402

REPROJECTION_PX = 1e-4  # of the issue; single-precision solves leave 1e-5

LENSES = {
    "none": ("POLYNOMIAL", ()),
    "polynomial": ("POLYNOMIAL", (-0.12, 0.03, -0.004)),
    "brown": ("BROWN", (-0.1, 0.02, 0.003, 0.001, 0.004, -0.003)),
    "division": ("DIVISION", (0.12, 0.02)),
    "nuke": ("NUKE", (0.08, 0.01)),
}
if bpy.app.version >= (5, 1, 0):
    LENSES["nuke tangential"] = ("NUKE", (0.08, 0.01, 0.02, -0.015))


def solved(scene: Any, shot: Any, tmp_path: Path, **clip: Any) -> Any:
    shot.plate_clip = make_clip(make_plate(tmp_path), **clip)
    shot.output_directory, shot.camera_kind, shot.camera_points = str(tmp_path), "SOLVE", "TRACKS"
    held = gather(scene, shot)
    assert held.recipe is not None, held.problems
    return held.recipe.camera


def worst_px(camera: Any) -> float:
    """The largest distance between where a point's mark is and where camera and lens put the point."""
    frames = {one.frame: one for one in camera.frames}
    worst = 0.0
    for point in camera.points:
        for number, mark in point.marks.items():
            x, y, _ = frames[number].project(point.position)
            x, y = bent(camera.lens or LensModel(), frames[number], x, y)
            worst = max(worst, abs(x - mark[0]), abs(y - mark[1]))
    return worst


@pytest.mark.parametrize("name", LENSES)
def test_points_fall_on_their_marks(scene: Any, shot: Any, tmp_path: Path, name: str) -> None:
    model, k = LENSES[name]
    camera = solved(scene, shot, tmp_path, model=model, k=k, principal=(7.0, -4.0), frame_start=31)
    assert len(camera.points) == 40 and len(camera.points[0].marks) == 8
    assert worst_px(camera) < REPROJECTION_PX
    assert (camera.lens is None) == (name == "none")


def test_points_fall_on_their_marks_where_pixels_are_not_square(scene: Any, shot: Any, tmp_path: Path) -> None:
    camera = solved(scene, shot, tmp_path, model="BROWN", k=(0.05, 0, 0, 0, 0.002, 0.001), pixel_aspect=2.0)
    assert camera.frames[0].focal_px_y == 2 * camera.frames[0].focal_px_x
    assert worst_px(camera) < REPROJECTION_PX


def test_points_fall_on_their_marks_where_the_plate_has_overscan(scene: Any, shot: Any, tmp_path: Path) -> None:
    """Blender solves on the data window; the recipe's camera and marks are those of the display window."""
    windows = {
        "dataWindow": (np.array((-20, -10), np.int32), np.array((299, 169), np.int32)),
        "displayWindow": (np.array((0, 0), np.int32), np.array((279, 149), np.int32)),
    }
    first = make_plate(tmp_path, header=windows)
    shot.plate_clip = make_clip(first, model="POLYNOMIAL", k=(-0.1, 0.02), principal=(3.0, 2.0))
    shot.output_directory, shot.camera_kind, shot.camera_points = str(tmp_path), "SOLVE", "TRACKS"
    camera = gather(scene, shot).recipe.camera
    frame = camera.frames[0]
    assert (frame.width_px, frame.height_px) == (280, 150)
    assert (frame.principal_x, frame.principal_y) == pytest.approx((160 + 3 - 20, 90 - 2 - 10))
    assert worst_px(camera) < REPROJECTION_PX


def test_solve_stands_where_its_camera_object_puts_it(scene: Any, shot: Any, tmp_path: Path) -> None:
    clip = make_clip(make_plate(tmp_path))
    constraint = scene.camera.constraints.new("CAMERA_SOLVER")
    constraint.use_active_clip, constraint.clip = False, clip
    scene.camera.location, scene.camera.rotation_euler = (1, 2, 3), (1.2, 0.1, 0.4)
    scene.camera.scale = (2, 2, 2)  # what Set Scale leaves
    bpy.context.view_layer.update()
    shot.plate_clip, shot.output_directory, shot.camera_kind = clip, str(tmp_path), "SOLVE"
    shot.camera_points = "TRACKS"
    camera = gather(scene, shot).recipe.camera
    assert worst_px(camera) < REPROJECTION_PX
    scene.frame_set(3)
    matrix = scene.camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world
    x, y, z = matrix.translation
    assert camera.frames[2].position == pytest.approx((x, z, -y), abs=1e-5)


def test_scene_camera_that_is_not_solved_is_ignored(scene: Any, shot: Any, tmp_path: Path) -> None:
    scene.camera.location = (100, 200, 300)
    camera = solved(scene, shot, tmp_path)
    assert max(abs(value) for value in camera.frames[0].position) < 50


def test_clip_offset_moves_the_solve_to_other_files(scene: Any, shot: Any, tmp_path: Path) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path), frame_offset=2, solved=6)
    shot.output_directory, shot.camera_kind, shot.camera_points = str(tmp_path), "SOLVE", "TRACKS"
    camera = gather(scene, shot).recipe.camera
    assert [one.frame for one in camera.frames] == list(range(1003, 1009))
    assert min(camera.points[0].marks) == 1003


def test_error_and_sensor_are_told(scene: Any, shot: Any, tmp_path: Path) -> None:
    camera = solved(scene, shot, tmp_path)
    assert camera.error_px < 1e-3
    assert (camera.sensor_mm, camera.focal_mm) == ((36.0, 20.25), 35.0)
    shot.camera_points = "POINTS"
    assert gather(scene, shot).recipe.camera.points[0].marks is None
    shot.camera_points = "NONE"
    held = gather(scene, shot)
    assert held.recipe.camera.points == ()
    assert next(badge for badge in held.badges if badge.name == "camera").text == "0.00 px"


def test_plate_that_is_no_clip_takes_the_solve_of_one(scene: Any, shot: Any, tmp_path: Path) -> None:
    clip = make_clip(make_plate(tmp_path), frame_start=11)
    image = bpy.data.images.load(clip.filepath)
    shot.plate_kind, shot.plate_image, shot.image_scene_first = "IMAGE", image, 11
    shot.camera_kind, shot.camera_clip, shot.output_directory = "SOLVE", clip, str(tmp_path)
    assert [one.frame for one in gather(scene, shot).recipe.camera.frames] == list(range(1001, 1009))
    shot.camera_clip = None
    assert "The camera is a solve, and no clip is chosen" in gather(scene, shot).problems[0].text


def test_no_solve_and_a_short_solve_say_what_to_do(scene: Any, shot: Any, tmp_path: Path) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path / "a"), solved=0)
    shot.output_directory, shot.camera_kind, shot.camera_points = str(tmp_path), "SOLVE", "TRACKS"
    (problem,) = gather(scene, shot).problems
    assert (problem.text, problem.fix) == (
        "The clip plate.1001.exr has no solve: solve it, or choose a camera object.", "camera_kind",
    )  # fmt: skip
    shot.plate_clip = make_clip(make_plate(tmp_path / "b"), solved=6)
    (problem,) = gather(scene, shot).problems
    assert "does not cover frames 1007-1008 (scene 7-8) of the plate: solve them too" in problem.text
