"""The scene through the shot's camera as background: what a child renders is what a direct render gives."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon import compat  # noqa: E402
from platelight_addon.gather import Raster, gather  # noqa: E402

from tests.blender.making import HEIGHT, WIDTH, linear, make_clip, make_plate, read_exr  # noqa: E402

START_S = 0.06  # the longest that the interface may stand still
MARK_PX = 0.1  # a lit ball's middle against the track that was solved


def prepared(scene: Any, shot: Any, tmp_path: Path) -> None:
    """A cube that moves before a camera that moves, by Cycles; a compositor and a sequencer that must not matter."""
    shot.plate_clip = make_clip(make_plate(tmp_path / "plate"), solved=0)
    shot.output_directory, shot.background_kind = str(tmp_path / "out"), "CAMERA_VIEW"
    shot.range_kind, shot.frame_first, shot.frame_last = "OWN", 1, 3
    cube, camera = bpy.data.objects["Cube"], bpy.data.objects["Camera"]
    for one, distance in ((cube, 2.0), (camera, -1.0)):
        one.keyframe_insert("location", frame=1)
        one.location.x += distance
        one.keyframe_insert("location", frame=3)
        linear(one.animation_data.action)
    shot.camera_kind, shot.camera_object = "OBJECT", camera
    render, cycles = scene.render, scene.cycles
    render.engine, cycles.device, cycles.samples, cycles.use_denoising = "CYCLES", "CPU", 2, False
    render.film_transparent, render.use_border = True, True
    compat.compositor_output(compat.compositor_tree(scene, create=True)).default_value = (9.0, 9.0, 9.0, 1.0)
    scene.frame_set(2)


def direct(scene: Any, folder: Path, frames: range, percentage: int) -> list[dict[str, Any]]:
    """What this Blender renders of the scene, opaque and whole, without compositor."""
    render = scene.render
    render.film_transparent = render.use_border = render.use_compositing = render.use_sequencer = False
    render.resolution_x, render.resolution_y, render.resolution_percentage = WIDTH, HEIGHT, percentage
    compat.set_exr(render.image_settings, 16)
    scene.frame_start, scene.frame_end, render.filepath = frames[0], frames[-1], str(folder / "direct.####")
    scene.camera = bpy.data.objects["Camera"]
    bpy.ops.render.render(animation=True)
    return [read_exr(folder / f"direct.{frame:04d}.exr") for frame in frames]


def rendered(scene: Any, shot: Any) -> tuple[Any, list[Path]]:
    held = gather(scene, shot)
    (order,) = held.drawings
    raster = Raster(order).start()
    assert raster.wait() == "done", raster.text
    return held, [order.sequence.path(number) for number in held.recipe.frames]


@pytest.mark.parametrize("percentage", [100, 50])
def test_view_is_a_direct_render_pixel_for_pixel(scene: Any, shot: Any, tmp_path: Path, percentage: int) -> None:
    prepared(scene, shot, tmp_path)
    scene.camera = None  # the shot's camera counts, not the scene's
    scene.render.resolution_percentage = percentage
    held, files = rendered(scene, shot)
    behind = held.recipe.background
    assert (behind.kind, behind.fit, behind.colorspace) == ("sequence", "stretch", "Linear Rec.709")
    assert behind.sequence == str(tmp_path / "out" / "sh010" / "views" / "view.####.exr")
    assert (scene.frame_current, scene.camera) == (2, None)
    for found, expected in zip(files, direct(scene, tmp_path, range(1, 4), percentage), strict=True):
        picture = read_exr(found)
        assert {name: plane.shape for name, plane in picture.items()} == dict.fromkeys(
            "RGB", (HEIGHT * percentage // 100, WIDTH * percentage // 100)
        )
        assert all(np.array_equal(picture[name], expected[name]) for name in "RGB")
    assert not np.array_equal(read_exr(files[0])["R"], read_exr(files[2])["R"])


def test_view_is_rendered_again_when_the_scene_changes_or_on_demand(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(scene, shot, tmp_path)
    shot.frame_last = 1
    _, (path,) = rendered(scene, shot)

    def again() -> bool:
        before = path.stat().st_mtime_ns
        rendered(scene, shot)
        return path.stat().st_mtime_ns != before

    cube = bpy.data.objects["Cube"]
    bpy.ops.object.select_all(action="DESELECT")
    scene.frame_set(3)
    assert not again()
    cube.data.vertices[0].co.x += 0.5
    assert again()
    bpy.data.objects["Light"].data.energy = 7.0
    assert again()
    cube.data.materials[0].node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value[0] = 0.1
    assert again()
    cube.modifiers.new("smooth", "SUBSURF")
    assert again()
    scene.cycles.samples = 3
    assert again()
    cube.hide_render = True
    assert again()
    assert not again()
    (order,) = gather(scene, shot).drawings
    order.forget()
    assert order.missing == (1001,)
    assert rendered(scene, shot)[1] == [path] and path.exists()


def test_view_through_a_solve_meets_its_tracks(scene: Any, shot: Any, tmp_path: Path) -> None:
    """A ball of light at a solved point is seen where the track is: principal point off the centre, wide pixels."""
    shot.plate_clip = clip = make_clip(make_plate(tmp_path / "plate"), principal=(6.0, -4.0), pixel_aspect=2.0)
    shot.output_directory, shot.background_kind, shot.camera_kind = str(tmp_path / "out"), "CAMERA_VIEW", "SOLVE"
    shot.range_kind, shot.frame_first, shot.frame_last = "OWN", 1, 8
    for one in list(bpy.data.objects):
        bpy.data.objects.remove(one)
    scene.world, scene.render.engine = None, "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 16, False
    tracks = [one for one in clip.tracking.tracks if all(abs(v - 0.5) < 0.35 for m in one.markers for v in m.co)]
    track = tracks[0]
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.15, location=track.bundle)
    material = bpy.data.materials.new("lit")
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    glow, end = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(glow.outputs[0], end.inputs["Surface"])
    bpy.context.object.data.materials.append(material)
    _, files = rendered(scene, shot)
    for frame in (1, 4, 8):
        light = read_exr(files[frame - 1])["R"]
        y, x = np.mgrid[0 : light.shape[0], 0 : light.shape[1]] + 0.5
        found = (float((light * x).sum() / light.sum()), float((light * y).sum() / light.sum()))
        mark = track.markers.find_frame(frame).co
        assert found == pytest.approx((mark[0] * WIDTH, (1 - mark[1]) * HEIGHT), abs=MARK_PX)


def test_view_does_not_hold_the_interface_and_can_be_cancelled(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(scene, shot, tmp_path)
    (order,) = gather(scene, shot).drawings
    started = time.perf_counter()
    raster = Raster(order).start()
    assert time.perf_counter() - started < START_S
    while raster.progress[0] < 1 and raster.poll() == "running":
        time.sleep(0.01)
    raster.cancel()
    assert (raster.state, raster.progress[1]) == ("cancelled", 3)
    first = order.sequence.path(1001)
    before = first.stat().st_mtime_ns
    assert Raster(order).start().wait() == "done"
    assert (order.missing, first.stat().st_mtime_ns) == ((), before)


def test_view_needs_a_camera_that_blender_can_see_through(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(scene, shot, tmp_path)
    shot.camera_kind = "NONE"
    assert [problem.text for problem in gather(scene, shot).problems] == [
        "The background is a view of the scene, and the shot has no camera that Blender can see through: choose a solve"
        " or a camera object."
    ]
    shot.camera_kind, shot.camera_object = "OBJECT", None
    held = gather(scene, shot)
    assert (held.recipe, held.drawings) == (None, ())
    assert held.problems[-1].text == "The camera is an object, and none is chosen: choose one."


def test_engine_that_needs_a_screen_is_named_where_it_fails(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(scene, shot, tmp_path)
    scene.render.engine = "BLENDER_WORKBENCH"
    (order,) = gather(scene, shot).drawings
    raster = Raster(order).start()
    raster._process.kill()
    assert raster.wait() == "failed"
    assert raster.text.startswith(
        "The view of the scene Scene could not be rendered (its engine needs a graphics driver, which a Blender without"
        " a window may lack: take Cycles): "
    )


def test_button_renders_anew_without_a_server_and_sends_nothing(
    addon: Any, scene: Any, shot: Any, tmp_path: Path
) -> None:
    prepared(scene, shot, tmp_path)
    shot.frame_last = 1
    path = tmp_path / "out" / "sh010" / "views" / "view.1001.exr"
    assert bpy.ops.platelight.render_view(wait=True) == {"FINISHED"}
    before = path.stat().st_mtime_ns
    assert bpy.ops.platelight.render_view(wait=True) == {"FINISHED"}
    assert (path.stat().st_mtime_ns != before, shot.job) == (True, "")
    from platelight_addon.desk import desk, key_of

    key = key_of(scene, shot)
    assert bpy.ops.platelight.render_view() == {"FINISHED"}
    assert desk.drawings[key].words == "making the view: 0 of 1 frames"
    assert bpy.ops.platelight.stop_rendering() == {"FINISHED"}
    assert desk.drawings == {} and key not in desk.said
