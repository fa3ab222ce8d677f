"""Lights of long shots cost little: what is kept between frames and between readings is what would be read anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon.gather import gather, timeline  # noqa: E402
from platelight_addon.gather.lamps import Reading  # noqa: E402
from platelight_addon.gather.memory import OWN_LIGHTS  # noqa: E402

from tests.blender.making import make_clip, make_plate  # noqa: E402

FRAMES = range(1, 41)
LONG_S = 0.5  # of this thread, for a lamp with keys over a thousand frames; three times what it takes


def lamp(name: str, kind: str = "POINT") -> Any:
    one = bpy.data.objects.new(name, bpy.data.lights.new(name, kind))
    bpy.context.scene.collection.objects.link(one)
    return one


def keyed(owner: Any, path: str, *values: Any) -> None:
    for frame, value in zip((1, 20, 40), values, strict=True):
        setattr(owner, path, value)
        owner.keyframe_insert(path, frame=frame)


def nodes_of(one: Any, strength: float) -> Any:
    """The Emission's strength socket of a lamp with nodes."""
    if one.data.node_tree is None:
        one.data.use_nodes = True
    socket = next(node for node in one.data.node_tree.nodes if node.bl_idname == "ShaderNodeEmission").inputs[
        "Strength"
    ]
    socket.default_value = strength
    return socket


@pytest.fixture
def lamps(scene: Any) -> list[Any]:
    """One lamp for each way in which a light can change over time, and one that does not."""
    still, moved, bright, noded, driven, child, blinking = (
        lamp(name) for name in ("still", "moved", "bright", "noded", "driven", "child", "blinking")
    )
    nodes_of(still, 2.0)
    keyed(moved, "location", (0, 0, 0), (1, 2, 3), (0.1, 0.2, 0.3))
    keyed(moved, "rotation_euler", (0, 0, 0), (1, 2, 3), (0.3, 0.7, 0.9))
    nodes_of(bright, 3.0)
    keyed(bright.data, "energy", 1.0, 10.0, 3.3)
    keyed(bright.data, "color", (1, 1, 1), (0.3, 0.2, 0.1), (0, 1, 0))
    keyed(nodes_of(noded, 1.0), "default_value", 1.0, 5.0, 2.0)
    driven.data.driver_add("energy").driver.expression = "frame * 1.7"
    child.parent = moved
    keyed(blinking, "hide_render", False, True, False)
    return [still, moved, bright, noded, driven, child, blinking]


def test_what_is_kept_between_frames_is_what_every_frame_says(scene: Any, lamps: list[Any]) -> None:
    kept = timeline.over_frames(scene, lamps, FRAMES, Reading(lamps))
    anew = timeline.over_frames(scene, lamps, FRAMES, lambda evaluated: Reading(lamps)(evaluated))
    assert repr(kept) == repr(anew)  # bit for bit: a number's repr is all of it, and tells -0.0 from 0.0
    changing = [lamp.name for i, lamp in enumerate(lamps) if len({repr(frame[i]) for frame in kept}) > 1]
    assert changing == ["moved", "bright", "noded", "driven", "child", "blinking"]


def test_only_lights_that_nothing_else_moves_are_alone(lamps: list[Any]) -> None:
    assert [one.name for one in lamps if timeline.is_alone(one)] == ["still", "moved", "bright", "noded", "blinking"]


@pytest.fixture
def lit(addon: object, tmp_path: Path) -> Any:
    """A shot whose only light is the scene's, which has keys."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    make_clip(make_plate(tmp_path / "plate"), solved=0)
    assert bpy.ops.platelight.add_shot(name="sh010") == {"FINISHED"}
    shot = bpy.context.scene.platelight.shots[0]
    shot.use_world, shot.camera_kind = False, "NONE"
    keyed(bpy.data.objects["Light"], "location", (0, 0, 0), (1, 2, 3), (4, 5, 6))
    bpy.context.view_layer.update()
    return shot


def is_kept() -> bool:
    from platelight_addon.desk import desk

    return any(key[0] == OWN_LIGHTS for key in desk.memory._held)


CHANGES = {
    "a mesh is moved": (lambda: setattr(bpy.data.objects["Cube"].location, "x", 3.0), True),
    "a material is changed": (
        lambda: setattr(bpy.data.materials["Material"], "diffuse_color", (1, 0, 0, 1)), True
    ),
    "the light is moved": (lambda: setattr(bpy.data.objects["Light"], "scale", (2, 2, 2)), False),
    "its power is changed": (lambda: setattr(bpy.data.lights["Light"], "energy", 3.0), False),
    "its nodes are changed": (lambda: nodes_of(bpy.data.objects["Light"], 7.0), False),
    "it has another key": (lambda: keyed(bpy.data.objects["Light"], "location", (9,) * 3, (1,) * 3, (4,) * 3), False),
    "another light is there": (lambda: lamp("more"), False),
    "it gets a parent": (lambda: setattr(bpy.data.objects["Light"], "parent", bpy.data.objects["Cube"]), False),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_kept_between_readings_is_what_would_be_read_anew(lit: Any, name: str) -> None:
    from platelight_addon.desk import desk

    scene = bpy.context.scene
    desk.read(scene, lit)
    assert is_kept()
    change, stays = CHANGES[name]
    change()
    bpy.context.view_layer.update()  # Blender tells the handlers
    assert is_kept() == stays
    found, anew = desk.read(scene, lit), gather(scene, lit, bpy.context, version=1)
    assert repr(found.recipe.lights) == repr(anew.recipe.lights) and found.hash == anew.hash


def test_a_thousand_frames_of_a_lamp_with_keys_are_read_in_a_breath(lit: Any, tmp_path: Path) -> None:
    first = tmp_path / "plate" / "plate.1001.exr"
    for number in range(1009, 2001):
        (tmp_path / "plate" / f"plate.{number}.exr").hardlink_to(first)
    keyed(bpy.data.lights["Light"], "energy", 1.0, 10.0, 3.3)
    began = time.thread_time()
    found = gather(bpy.context.scene, lit, bpy.context)
    assert len(found.recipe.lights[0].transforms) == 1000 and found.hash
    assert time.thread_time() - began < LONG_S
