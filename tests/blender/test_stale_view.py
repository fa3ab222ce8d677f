"""A result whose background is the scene itself goes stale when the scene changes, and Blender hardly notices."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon.gather import SceneWatch  # noqa: E402
from platelight_addon.gather.scene_digest import digest  # noqa: E402

from tests.blender.making import make_clip, make_plate  # noqa: E402
from tests.blender.serving import WAIT_S, needs_server  # noqa: E402

TURN_S = 0.002
IDLE_S = 3 * 0.005  # the p99 of a turn; three times that is allowed to a busy machine
MESH_S = 2.0  # for a quarter of a million vertices; vertex by vertex it took ten
SOME = 120  # objects


@pytest.fixture
def moving(scene: Any) -> Any:
    """The factory scene, whose cube moves by keys, with a lamp on it as its child, and a driven light."""
    cube, lamp = bpy.data.objects["Cube"], bpy.data.objects["Light"]
    lamp.parent = cube
    for frame, x in ((1, 0.0), (9, 4.0)):
        cube.location.x = x
        cube.keyframe_insert("location", frame=frame)
    lamp.data.driver_add("energy").driver.expression = "frame"
    scene.frame_set(3)
    return scene


CHANGES: dict[str, Callable[[], object]] = {
    "vertex": lambda: setattr(bpy.data.meshes["Cube"].vertices[0], "co", (2, 2, 2)),
    "material": lambda: setattr(
        bpy.data.materials["Material"].node_tree.nodes["Principled BSDF"].inputs["Roughness"], "default_value", 0.1
    ),
    "world": lambda: setattr(
        bpy.data.worlds["World"].node_tree.nodes["Background"].inputs["Strength"], "default_value", 2.0
    ),
    "modifier": lambda: bpy.data.objects["Cube"].modifiers.new("smooth", "SUBSURF"),
    "hidden": lambda: setattr(bpy.data.objects["Cube"], "hide_render", True),
    "light": lambda: setattr(bpy.data.lights["Light"], "shadow_soft_size", 0.7),
    "placed": lambda: setattr(bpy.data.objects["Light"], "location", (1, 2, 3)),
    "key": lambda: bpy.data.objects["Cube"].keyframe_insert("location", frame=4),
    "new object": lambda: bpy.context.scene.collection.objects.link(bpy.data.objects.new("new", None)),
    "percentage": lambda: setattr(bpy.context.scene.render, "resolution_percentage", 50),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_a_view_is_told_anew_and_nothing_else(addon: object, moving: Any, name: str) -> None:
    from platelight_addon.desk import desk

    bpy.context.view_layer.update()
    watch = desk.watch
    before = watch.look_now(moving)
    told = dict(watch._told)
    CHANGES[name]()
    bpy.context.view_layer.update()  # Blender tells the handlers
    assert watch.look(moving) == "" and watch.is_pending
    kept = [key for key in told if key in watch._told]
    assert len(kept) >= 2, "nothing was kept"
    deadline = time.monotonic() + 5
    while watch.is_pending and time.monotonic() < deadline:
        watch.go_on(TURN_S)
        time.sleep(0.02)
    after = watch.look(moving)
    assert after not in ("", before)
    fresh = SceneWatch()
    assert fresh.look_now(moving) == after, "what was kept is out of date"


def test_playhead_selection_and_the_shots_own_settings_change_nothing(moving: Any) -> None:
    shot = moving.platelight.shots.add()
    seen = {SceneWatch().look_now(moving)}
    for frame in (1, 5, 9):
        moving.frame_set(frame)
        seen.add(SceneWatch().look_now(moving))
    bpy.ops.object.select_all(action="SELECT")
    bpy.context.view_layer.objects.active = bpy.data.objects["Camera"]
    shot.look.contrast = 1.5
    bpy.data.images.new("Platelight preview", 8, 8)
    seen.add(SceneWatch().look_now(moving))
    assert len(seen) == 1


def test_it_is_the_same_after_the_file_was_loaded(moving: Any, tmp_path: Path) -> None:
    before = SceneWatch().look_now(moving)
    path = str(tmp_path / "kept.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert SceneWatch().look_now(bpy.context.scene) == before


def test_render_settings_that_blender_tells_nothing_of_are_seen_after_a_while(
    moving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from platelight_addon.gather import scene_watch

    watch = SceneWatch()
    before = watch.look_now(moving)
    moving.cycles.samples += 1
    assert watch.look(moving) == before and not watch.is_pending
    monkeypatch.setattr(scene_watch, "ROOT_EVERY_S", 0.0)
    assert watch.look(moving) == before and watch.is_pending  # the old answer until there is a new one
    while watch.is_pending:
        watch.go_on(TURN_S)
    monkeypatch.undo()
    assert watch.look(moving) != before


def test_a_turn_is_short_whatever_the_scene(moving: Any) -> None:
    cube = bpy.data.objects["Cube"]
    for _ in range(SOME):
        one = cube.copy()
        one.data = cube.data.copy()
        moving.collection.objects.link(one)
    bpy.context.view_layer.update()
    watch, turns = SceneWatch(), []
    assert watch.look(moving) == ""
    while watch.is_pending:
        began = time.thread_time()
        watch.go_on(TURN_S)
        turns.append(time.thread_time() - began)
    assert len(turns) > 10 and sorted(turns)[int(len(turns) * 0.99)] < IDLE_S, turns
    assert watch.look(moving) == SceneWatch().look_now(moving) != ""


def test_a_large_mesh_is_read_at_once(scene: Any) -> None:
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=500, y_subdivisions=500)
    mesh = bpy.context.object.data
    began = time.thread_time()
    before = digest([mesh])
    assert time.thread_time() - began < MESH_S
    mesh.vertices[7].co.z = 0.5
    moved = digest([mesh])
    mesh.polygons[7].material_index = 1
    assert len({before, moved, digest([mesh])}) == 3


@needs_server
def test_the_badge_follows_the_scene_behind_a_result(server: None, addon: object, tmp_path: Path) -> None:
    from platelight_addon import pump
    from platelight_addon.desk import desk

    scene = bpy.context.scene
    make_clip(make_plate(tmp_path / "plate", count=2, size=(64, 36)), solved=0)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert bpy.ops.platelight.add_shot(name="sh010") == {"FINISHED"}
    shot = scene.platelight.shots[0]
    shot.use_world, shot.background_kind = False, "CAMERA_VIEW"
    shot.camera_kind, shot.camera_object = "OBJECT", scene.camera
    scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 1
    assert bpy.ops.platelight.relight(wait=True, timeout=WAIT_S) == {"FINISHED"}

    def badge(expected: bool) -> bool:
        bpy.context.view_layer.update()
        return pump.wait_until(lambda: desk.is_stale(scene, shot) == expected and not desk.watch.is_pending, 10)

    assert badge(False)
    cube = bpy.data.objects["Cube"]
    cube.location.x += 1
    assert badge(True)
    cube.location.x -= 1
    assert badge(False)
    scene.frame_set(2)
    assert badge(False)
