"""Worlds as probes: a direction's radiance in Cycles is what the recipe's probe has there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon.gather import gather  # noqa: E402
from platelight_addon.gather.space import direction_y_up  # noqa: E402

from tests.blender.cycles import seen_in_cycles  # noqa: E402
from tests.blender.making import linear, make_clip, make_plate, write_exr  # noqa: E402

PICTURE = 4e-3  # of the picture's width: it is 512 wide, and is interpolated


def hdri(folder: Path, name: str = "äußen.exr") -> Path:
    """A lat-long whose red is how far right, and green how far down, 0 to 1."""
    y, x = np.mgrid[0:256, 0:512].astype(np.float32)
    return write_exr(folder / name, {"R": (x + 0.5) / 512, "G": (y + 0.5) / 256, "B": x * 0})


def make_world(scene: Any, path: Path | None, kind: str = "POINT", turn: float = 0.0, strength: float = 1.0) -> Any:
    world = scene.world = bpy.data.worlds.new("outside")
    if world.node_tree is None:
        world.use_nodes = True
    tree = world.node_tree
    tree.nodes.clear()
    shader, output = tree.nodes.new("ShaderNodeBackground"), tree.nodes.new("ShaderNodeOutputWorld")
    shader.inputs["Strength"].default_value = strength
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    picture = tree.nodes.new("ShaderNodeTexEnvironment")
    mapping, direction = tree.nodes.new("ShaderNodeMapping"), tree.nodes.new("ShaderNodeTexCoord")
    mapping.vector_type = kind
    mapping.inputs["Rotation"].default_value = (0, 0, turn)
    tree.links.new(direction.outputs["Generated"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs[0], picture.inputs["Vector"])
    tree.links.new(picture.outputs[0], shader.inputs["Color"])
    if path:
        picture.image = bpy.data.images.load(str(path))
        picture.image.colorspace_settings.name = "Linear Rec.709"
    return world


def prepared(shot: Any, tmp_path: Path) -> None:
    shot.plate_clip = make_clip(make_plate(tmp_path / "plate"), solved=0)
    shot.output_directory, shot.use_world = str(tmp_path), True


def seen_in_probe(direction: tuple[float, float, float], rotation_deg: float) -> Any:
    """Where a direction falls in a probe: centre -Z, right +X, the surroundings turned about +Y (platelight.lights)."""
    x, y, z = direction_y_up(direction)
    a = math.radians(-rotation_deg)
    x, z = x * math.cos(a) + z * math.sin(a), -x * math.sin(a) + z * math.cos(a)
    return math.atan2(x, -z) / (2 * math.pi) + 0.5, math.acos(y / math.hypot(x, y, z)) / math.pi


@pytest.mark.parametrize(("kind", "turn_deg"), [("POINT", 0), ("POINT", 40), ("TEXTURE", 40), ("VECTOR", -100)])
def test_probe_is_turned_as_blender_turns_the_world(
    scene: Any, shot: Any, tmp_path: Path, kind: str, turn_deg: float
) -> None:
    prepared(shot, tmp_path)
    make_world(scene, hdri(tmp_path), kind, math.radians(turn_deg))
    for name in ("Cube", "Light"):
        bpy.data.objects.remove(bpy.data.objects[name])
    probe = gather(scene, shot).recipe.probe_background
    assert probe.path == str(tmp_path / "äußen.exr")
    for direction in ((1.0, 0.2, 0.3), (0.1, -1.0, -0.4), (-1.0, 0.7, 0.0)):
        expected = seen_in_probe(direction, probe.rotation_deg)
        assert seen_in_cycles(scene, direction, tmp_path / "seen.exr") == pytest.approx(expected, abs=PICTURE)


def test_strength_and_dials_are_folded_in(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    make_world(scene, hdri(tmp_path), strength=4.0)
    shot.world_rotation, shot.world_exposure = math.radians(30), -0.5
    probe = gather(scene, shot).recipe.probe_background
    assert (probe.exposure_stops, probe.rotation_deg) == pytest.approx((1.5, -60.0))
    assert probe.colorspace == "Linear Rec.709"


def notes(gathered: Any) -> list[str]:
    return [problem.text for problem in gathered.problems if problem.level == "note"]


def test_world_as_blender_starts_with_it_is_told_and_does_not_stop(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    held = gather(scene, shot)
    assert held.recipe.probe_background is None
    assert notes(held) == [
        "The world World is the grey that Blender starts with, so it does not light the shot: give it a color, or an"
        " Environment Texture."
    ]
    scene.world = None
    assert notes(gather(scene, shot)) == ["The scene Scene has no world, so only its lights light the shot."]


def test_hdri_that_is_not_on_disk_says_what_to_do(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    path = hdri(tmp_path)
    world = make_world(scene, path)
    image = next(node for node in world.node_tree.nodes if node.bl_idname == "ShaderNodeTexEnvironment").image
    path.unlink()
    held = gather(scene, shot)
    assert held.recipe is None and "is not in" in held.problems[0].text
    shot.background_kind, shot.background_image, image.source = "HDRI", image, "GENERATED"
    assert "lies in the .blend and not on disk" in gather(scene, shot).problems[-1].text


def node_of(tree: Any, kind: str) -> Any:
    return next(node for node in tree.nodes if node.bl_idname == kind)


def test_turning_world_lights_every_frame_as_blender_shows_it(scene: Any, shot: Any, tmp_path: Path) -> None:
    """A keyed rotation and a driven strength: what a direction shows in Cycles on a frame, the probe has there."""
    prepared(shot, tmp_path)
    tree = make_world(scene, hdri(tmp_path)).node_tree
    turn = node_of(tree, "ShaderNodeMapping").inputs["Rotation"]
    for frame, angle in ((1, 0.0), (8, math.radians(70))):
        turn.default_value[2] = angle
        turn.keyframe_insert("default_value", index=2, frame=frame)
    linear(tree.animation_data.action)
    strength = node_of(tree, "ShaderNodeBackground").inputs["Strength"]
    strength.driver_add("default_value").driver.expression = "frame"
    shot.world_rotation, shot.world_exposure = math.radians(20), 1.0
    scene.frame_set(3)
    probe = gather(scene, shot).recipe.probe_background
    assert (scene.frame_current, turn.default_value[2]) == (3, pytest.approx(math.radians(20), abs=1e-6))
    assert [probe.at(n).exposure_stops for n in (1001, 1002, 1008)] == pytest.approx([1.0, 2.0, 4.0])
    assert [probe.at(n).rotation_deg for n in (1001, 1002, 1008)] == pytest.approx([-70.0, -80.0, -140.0], abs=1e-4)
    for name in ("Cube", "Light"):
        bpy.data.objects.remove(bpy.data.objects[name])
    direction = (1.0, 0.2, 0.3)
    for frame in (2, 7):
        shown = probe.at(1000 + frame)
        right, down = seen_in_probe(direction, shown.rotation_deg - math.degrees(shot.world_rotation))
        scale = 2.0 ** (shown.exposure_stops - shot.world_exposure)
        scene.frame_set(frame)
        seen = seen_in_cycles(scene, direction, tmp_path / "seen.exr")
        assert seen == pytest.approx((right * scale, down * scale), abs=PICTURE * scale)


def test_world_whose_values_go_out_is_dark_there(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    tree = make_world(scene, hdri(tmp_path)).node_tree
    strength = node_of(tree, "ShaderNodeBackground").inputs["Strength"]
    for frame, value in ((1, 1.0), (8, 0.0)):
        strength.default_value = value
        strength.keyframe_insert("default_value", frame=frame)
    probe = gather(scene, shot).recipe.probe_background
    assert (probe.at(1001).exposure_stops, probe.at(1008).exposure_stops) == (0.0, -20.0)
    assert probe.rotations_deg is None


def test_values_behind_nodes_and_groups_are_read(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    tree = make_world(scene, hdri(tmp_path)).node_tree
    group = bpy.data.node_groups.new("dimmer", "ShaderNodeTree")
    group.interface.new_socket(name="Stops", in_out="INPUT", socket_type="NodeSocketFloat")
    group.interface.new_socket(name="Gain", in_out="OUTPUT", socket_type="NodeSocketFloat")
    inside, power, outside = (group.nodes.new(kind) for kind in ("NodeGroupInput", "ShaderNodeMath", "NodeGroupOutput"))
    power.operation, power.inputs[1].default_value = "MULTIPLY", 3.0
    group.links.new(inside.outputs[0], power.inputs[0])
    group.links.new(power.outputs[0], outside.inputs[0])
    dimmer, value, turn = (
        tree.nodes.new(kind) for kind in ("ShaderNodeGroup", "ShaderNodeValue", "ShaderNodeCombineXYZ")
    )
    dimmer.node_tree = group
    value.outputs[0].default_value, turn.inputs[2].default_value = 2.0, math.radians(30)
    tree.links.new(value.outputs[0], dimmer.inputs[0])
    tree.links.new(dimmer.outputs[0], node_of(tree, "ShaderNodeBackground").inputs["Strength"])
    tree.links.new(turn.outputs[0], node_of(tree, "ShaderNodeMapping").inputs["Rotation"])
    probe = gather(scene, shot).recipe.probe_background
    assert (2.0**probe.exposure_stops, probe.rotation_deg) == pytest.approx((6.0, -120.0))
    power.inputs[1].default_value = 1.0
    power.inputs[1].keyframe_insert("default_value", frame=1)
    power.inputs[1].default_value = 2.0
    power.inputs[1].keyframe_insert("default_value", frame=8)
    probe = gather(scene, shot).recipe.probe_background
    assert [2.0 ** probe.at(n).exposure_stops for n in (1001, 1008)] == pytest.approx([2.0, 4.0])


def test_plates_own_hdri_stands_in_blenders_world(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.use_world, shot.probe_plate_path = False, str(hdri(tmp_path))
    probe = gather(scene, shot).recipe.probe_plate
    assert (probe.path, probe.rotation_deg) == (str(tmp_path / "äußen.exr"), -90.0)


def test_hdri_as_background_lights_only(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    shot.background_kind, shot.background_image = "HDRI", bpy.data.images.load(str(hdri(tmp_path)))
    held = gather(scene, shot)
    assert (held.recipe.background.kind, held.recipe.probe_background.rotation_deg) == ("keep", -90.0)
    assert "put it into the world and choose Camera View" in notes(held)[0]
