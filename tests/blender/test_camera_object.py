"""Animated camera objects, evaluated off the artist's scene: constraints, drivers, parents; and the lens by Blender."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon.gather import gather, timeline  # noqa: E402

from tests.blender.making import linear, make_clip, make_plate  # noqa: E402

PIXEL = 1e-3  # of a projection matrix in single precision, at 320 pixels
UNIT = 1e-5


def prepared(scene: Any, shot: Any, tmp_path: Path) -> Any:
    shot.plate_clip = make_clip(make_plate(tmp_path), solved=0)
    shot.output_directory, shot.camera_kind, shot.camera_object = str(tmp_path), "OBJECT", scene.camera
    return scene.camera


def moved(thing: Any) -> None:
    """From x 0 on frame 1 to x 7 on frame 8."""
    for frame, x in ((1, 0.0), (8, 7.0)):
        thing.location.x = x
        thing.keyframe_insert("location", index=0, frame=frame)
    linear(thing.animation_data.action)


def drive_focal(camera: Any) -> None:
    driver = camera.data.driver_add("lens").driver
    driver.expression = "30 + frame"


def test_constraints_drivers_and_parents_are_evaluated(scene: Any, shot: Any, tmp_path: Path) -> None:
    camera, cube = prepared(scene, shot, tmp_path), bpy.data.objects["Cube"]
    moved(cube)
    constraint = camera.constraints.new("TRACK_TO")
    constraint.target, constraint.track_axis, constraint.up_axis = cube, "TRACK_NEGATIVE_Z", "UP_Y"
    drive_focal(camera)
    camera.parent = bpy.data.objects["Light"]
    held = gather(scene, shot).recipe.camera.frames
    for number in (1001, 1004, 1008):
        scene.frame_set(number - 1000)
        seen = camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
        x, y, z = seen.matrix_world.translation
        frame = held[number - 1001]
        assert frame.position == pytest.approx((x, z, -y), abs=UNIT)
        assert frame.focal_px_x == pytest.approx((30 + number - 1000) / 36 * 320, rel=UNIT)
        axis = seen.matrix_world.col[2]
        assert [row[2] for row in frame.camera_to_world[:3]] == pytest.approx((axis[0], axis[2], -axis[1]), abs=UNIT)


def test_artists_scene_is_left_as_it_was(scene: Any, shot: Any, tmp_path: Path) -> None:
    camera, cube, fired = prepared(scene, shot, tmp_path), bpy.data.objects["Cube"], []
    moved(camera)
    moved(cube)
    scene.frame_set(5)
    cube.location.x = 42.0  # moved and not keyed
    bpy.context.view_layer.update()
    scenes, objects = len(bpy.data.scenes), len(bpy.data.objects)

    def tell(*_: Any) -> None:
        fired.append(1)

    bpy.app.handlers.frame_change_post.append(tell)
    gather(scene, shot)
    assert (scene.frame_current, cube.location.x, fired) == (5, 42.0, [])
    assert (len(bpy.data.scenes), len(bpy.data.objects), bpy.context.scene) == (scenes, objects, scene)
    assert tell in bpy.app.handlers.frame_change_post


def test_thousand_frames_cost_little(scene: Any) -> None:
    moved(scene.camera)
    started = time.perf_counter()
    held = timeline.over_frames(scene, [scene.camera], range(1, 1001), lambda seen: seen[0].matrix_world.copy())
    assert len(held) == 1000
    assert time.perf_counter() - started < 0.5  # 0.01 to 0.03 s measured on two cores


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("aspect", [(1.0, 1.0), (2.0, 1.0), (1.0, 3.0)])
def test_lens_is_the_one_that_blender_projects_with(
    scene: Any, shot: Any, tmp_path: Path, fit: str, aspect: tuple[float, float]
) -> None:
    camera = prepared(scene, shot, tmp_path)
    camera.data.sensor_fit, camera.data.sensor_width, camera.data.sensor_height = fit, 30, 20
    camera.data.shift_x, camera.data.shift_y = 0.1, -0.2
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = aspect
    frame = gather(scene, shot).recipe.camera.frames[0]
    graph = bpy.context.evaluated_depsgraph_get()
    matrix = camera.calc_matrix_camera(graph, x=320, y=180, scale_x=aspect[0], scale_y=aspect[1])
    assert (frame.focal_px_x, frame.focal_px_y) == pytest.approx((matrix[0][0] * 160, matrix[1][1] * 90), abs=PIXEL)
    # A point on the axis: clip x = -P[0][2], y = -P[1][2] at depth 1.
    assert frame.principal_x == pytest.approx((1 - matrix[0][2]) * 160, abs=PIXEL)
    assert frame.principal_y == pytest.approx((1 + matrix[1][2]) * 90, abs=PIXEL)


def test_still_camera_is_the_same_on_every_frame(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(scene, shot, tmp_path)
    frames = gather(scene, shot, bpy.context).recipe.camera.frames
    assert len({one.camera_to_world for one in frames}) == 1


def test_other_cameras_say_what_to_do(scene: Any, shot: Any, tmp_path: Path) -> None:
    camera = prepared(scene, shot, tmp_path)
    camera.data.type = "ORTHO"
    assert "is not a perspective one" in gather(scene, shot).problems[0].text
    camera.data.type, camera.scale.x = "PERSP", -1
    bpy.context.view_layer.update()
    assert "rotation mirrors" in gather(scene, shot).problems[0].text
    shot.camera_object = bpy.data.objects["Cube"]
    assert "The object Cube is no camera: choose a camera." in gather(scene, shot).problems[0].text
    shot.camera_object = None
    assert gather(scene, shot).problems[0].fix == "camera_object"
    shot.camera_kind, shot.camera_path = "FILE", str(tmp_path / "cam.fbx")
    assert "is neither .chan nor .json" in gather(scene, shot).problems[0].text
    shot.camera_path = str(tmp_path / "cam.chan")
    assert "is not in" in gather(scene, shot).problems[0].text
