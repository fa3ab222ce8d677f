"""Lights by numbers: what Cycles says a light does to a white surface, against what the recipe says it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon.gather import gather  # noqa: E402
from platelight_addon.gather.space import point_y_up  # noqa: E402

from tests.blender.cycles import irradiance, white_plane  # noqa: E402
from tests.blender.making import linear, make_clip, make_plate  # noqa: E402

CYCLES = 0.01  # 256 samples, and lights that are not quite points
HAS_EXPOSURE = bpy.app.version >= (4, 5, 0)


def lit(shot: Any, tmp_path: Path) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path / "plate"), solved=0)
    shot.output_directory, shot.use_lights = str(tmp_path), True


def add_light(scene: Any, kind: str, **settings: Any) -> Any:
    held = bpy.data.lights.new(kind, kind)
    one = bpy.data.objects.new(kind, held)
    scene.collection.objects.link(one)
    one.location = (0, 0, 3)
    for key, value in settings.items():
        setattr(one if key in {"scale", "rotation_euler"} else held, key, value)
    bpy.context.view_layer.update()
    return one


LIGHTS: dict[str, tuple[str, dict[str, Any]]] = {
    "sun": ("SUN", {"energy": 3.0, "angle": 0.2, "color": (1.0, 0.5, 0.25)}),
    "point": ("POINT", {"energy": 100.0, "shadow_soft_size": 0.1}),
    "spot": ("SPOT", {"energy": 100.0, "shadow_soft_size": 0.02, "spot_size": 1.0}),
    "spot off its axis": (
        "SPOT", {"energy": 100.0, "shadow_soft_size": 0.0, "spot_size": 0.52, "spot_blend": 0.5,
                 "rotation_euler": (0.21, 0, 0)},
    ),
    "square": ("AREA", {"energy": 100.0, "size": 0.1}),
    "disk, scaled": ("AREA", {"energy": 100.0, "shape": "DISK", "size": 0.1, "scale": (2, 3, 1)}),
}  # fmt: skip
if HAS_EXPOSURE:
    LIGHTS |= {
        "exposure": ("POINT", {"energy": 10.0, "exposure": 2.0}),
        "temperature": ("SUN", {"energy": 3.0, "use_temperature": True, "temperature": 4000}),
        "sun per size": ("SUN", {"energy": 30.0, "angle": 0.35, "normalize": False}),
        "point per size": ("POINT", {"energy": 100.0, "shadow_soft_size": 0.2, "normalize": False}),
        "area per size": ("AREA", {"energy": 1e4, "shape": "ELLIPSE", "size": 0.1, "size_y": 0.2, "scale": (2, 1, 1),
                                   "normalize": False}),
    }  # fmt: skip


@pytest.mark.parametrize("name", LIGHTS)
def test_light_does_what_cycles_says(scene: Any, shot: Any, tmp_path: Path, name: str) -> None:
    lit(shot, tmp_path)
    white_plane(scene)
    kind, settings = LIGHTS[name]
    add_light(scene, kind, **settings)
    (light,) = gather(scene, shot).recipe.lights
    expected = light.at(1001).irradiance_facing(point_y_up((0, 0, 0)))
    assert irradiance(scene, tmp_path / "lit.exr") == pytest.approx(expected, rel=CYCLES)


def test_animation_drivers_and_constraints_reach_the_light(scene: Any, shot: Any, tmp_path: Path) -> None:
    lit(shot, tmp_path)
    lamp, cube = bpy.data.objects["Light"], bpy.data.objects["Cube"]
    lamp.constraints.new("COPY_LOCATION").target = cube
    for frame, x in ((1, 0.0), (8, 7.0)):
        cube.location.x = x
        cube.keyframe_insert("location", index=0, frame=frame)
        lamp.data.color = (1.0, x / 7, 0.0)
        lamp.data.keyframe_insert("color", frame=frame)
        lamp.hide_render = frame == 8
        lamp.keyframe_insert("hide_render", frame=frame)
    linear(cube.animation_data.action)
    linear(lamp.data.animation_data.action)
    lamp.data.driver_add("energy").driver.expression = "frame * 2"
    (light,) = gather(scene, shot).recipe.lights
    assert [light.at(n).transform[0][3] for n in (1001, 1004)] == pytest.approx([0.0, 3.0], abs=1e-5)
    assert [light.at(n).power for n in (1001, 1004, 1008)] == [2.0, 8.0, 0.0]
    assert light.at(1004).color == pytest.approx((1.0, 3 / 7, 0.0), abs=1e-5)


def test_only_lights_that_render_and_are_chosen_are_sent(scene: Any, shot: Any, tmp_path: Path) -> None:
    lit(shot, tmp_path)
    for name in ("Key", "Fill", "Off", "Away", "Gone"):
        add_light(scene, "SUN").name = name
    chosen, away, gone = (bpy.data.collections.new(name) for name in ("chosen", "away", "gone"))
    for one in (chosen, away, gone):
        scene.collection.children.link(one)
    for name, where in (("Key", chosen), ("Away", away), ("Gone", gone)):
        scene.collection.objects.unlink(bpy.data.objects[name])
        where.objects.link(bpy.data.objects[name])
    bpy.data.objects["Off"].hide_render = True
    away.hide_render = True
    scene.view_layers[0].layer_collection.children["gone"].exclude = True
    assert [light.name for light in gather(scene, shot).recipe.lights] == ["Fill", "Key", "Light"]
    shot.lights_collection = chosen
    assert [light.name for light in gather(scene, shot).recipe.lights] == ["Key"]


def test_lights_in_instances_are_told(scene: Any, shot: Any, tmp_path: Path) -> None:
    lit(shot, tmp_path)
    rig = bpy.data.collections.new("rig")
    rig.objects.link(bpy.data.objects.new("inside", bpy.data.lights.new("inside", "SUN")))
    instance = bpy.data.objects.new("instance", None)
    instance.instance_type, instance.instance_collection = "COLLECTION", rig
    scene.collection.objects.link(instance)
    held = gather(scene, shot)
    assert [p.text for p in held.problems if p.level == "note"] == [
        "Lights inside collection instances are not sent: make the instances real where they matter."
    ]


def test_dragged_light_is_read_as_the_window_shows_it(scene: Any, shot: Any, tmp_path: Path) -> None:
    lit(shot, tmp_path)
    bpy.data.objects["Light"].location = (5, 6, 7)  # as in a drag: no update was asked for
    (light,) = gather(scene, shot, bpy.context).recipe.lights
    assert [row[3] for row in light.transform[:3]] == [5.0, 7.0, -6.0]


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="before 5.0 a file's working space cannot be chosen")
def test_colour_is_told_in_rec709_whatever_the_file_works_in(scene: Any, shot: Any, tmp_path: Path) -> None:
    lit(shot, tmp_path)
    bpy.ops.wm.set_working_color_space(working_space="ACEScg")
    bpy.data.objects["Light"].data.color = (1.0, 1.0, 1.0)
    (light,) = gather(bpy.context.scene, bpy.context.scene.platelight.shots[0]).recipe.lights
    assert light.color == pytest.approx((1.0, 1.0, 1.0), abs=1e-5)
    bpy.data.objects["Light"].data.color = (1.0, 0.0, 0.0)
    (light,) = gather(bpy.context.scene, bpy.context.scene.platelight.shots[0]).recipe.lights
    assert light.color == pytest.approx((1.70505, 0.0, 0.0), abs=1e-4)
