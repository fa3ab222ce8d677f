"""Lights with nodes: what Cycles says that they do to a white surface, against what the recipe says."""

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


def node_light(scene: Any, shot: Any, tmp_path: Path) -> tuple[Any, Any]:
    """A point light over a white plane. Returns its node tree and the Emission in it."""
    shot.plate_clip = make_clip(make_plate(tmp_path / "plate"), solved=0)
    shot.output_directory, shot.use_lights = str(tmp_path), True
    white_plane(scene)
    held = bpy.data.lights.new("Key", "POINT")
    held.energy, held.color = 100.0, (1.0, 0.5, 0.25)
    if held.node_tree is None:
        held.use_nodes = True
    one = bpy.data.objects.new("Key", held)
    one.location = (0, 0, 3)
    scene.collection.objects.link(one)
    tree = held.node_tree
    return tree, next(node for node in tree.nodes if node.bl_idname == "ShaderNodeEmission")


def lit(scene: Any, shot: Any, frame: int = 1) -> Any:
    """What the recipe says of the plane on a scene frame."""
    (light,) = gather(scene, shot).recipe.lights
    return light.at(1000 + frame).irradiance_facing(point_y_up((0, 0, 0)))


def test_plain_inputs(scene: Any, shot: Any, tmp_path: Path) -> None:
    _, shader = node_light(scene, shot, tmp_path)
    shader.inputs["Strength"].default_value, shader.inputs["Color"].default_value = 2.0, (1.0, 0.5, 0.5, 1.0)
    assert irradiance(scene, tmp_path / "lit.exr") == pytest.approx(lit(scene, shot), rel=CYCLES)


def test_colour_from_a_black_body_and_strength_from_maths(scene: Any, shot: Any, tmp_path: Path) -> None:
    tree, shader = node_light(scene, shot, tmp_path)
    warm, value, maths = (tree.nodes.new(kind) for kind in ("ShaderNodeBlackbody", "ShaderNodeValue", "ShaderNodeMath"))
    warm.inputs[0].default_value, value.outputs[0].default_value = 3200.0, 0.25
    maths.operation, maths.inputs[1].default_value = "DIVIDE", 0.1
    tree.links.new(value.outputs[0], maths.inputs[0])
    tree.links.new(warm.outputs[0], shader.inputs["Color"])
    tree.links.new(maths.outputs[0], shader.inputs["Strength"])
    held = gather(scene, shot)
    assert held.problems == ()
    assert irradiance(scene, tmp_path / "lit.exr") == pytest.approx(lit(scene, shot), rel=CYCLES)


def test_keyed_and_driven_nodes_reach_every_frame(scene: Any, shot: Any, tmp_path: Path) -> None:
    tree, shader = node_light(scene, shot, tmp_path)
    plain = tree.nodes.new("ShaderNodeRGB")
    tree.links.new(plain.outputs[0], shader.inputs["Color"])
    for frame, green in ((1, 0.0), (8, 0.7)):
        plain.outputs[0].default_value = (1.0, green, 1.0, 1.0)
        plain.outputs[0].keyframe_insert("default_value", frame=frame)
    linear(tree.animation_data.action)
    shader.inputs["Strength"].driver_add("default_value").driver.expression = "frame"
    (light,) = gather(scene, shot).recipe.lights
    assert [light.at(n).power for n in (1001, 1004, 1008)] == pytest.approx([100.0, 400.0, 800.0])
    assert light.at(1004).color == pytest.approx((1.0, 0.15, 0.25), abs=1e-6)
    scene.frame_set(6)
    assert irradiance(scene, tmp_path / "lit.exr") == pytest.approx(lit(scene, shot, 6), rel=CYCLES)


def test_what_has_no_single_value_is_told_with_what_stands_in(scene: Any, shot: Any, tmp_path: Path) -> None:
    tree, shader = node_light(scene, shot, tmp_path)
    shader.inputs["Strength"].default_value = 2.0
    picture, falloff = tree.nodes.new("ShaderNodeTexChecker"), tree.nodes.new("ShaderNodeTexIES")
    tree.links.new(picture.outputs[0], shader.inputs["Color"])
    held = gather(scene, shot)
    assert [problem.text for problem in held.problems] == [
        "The color of the light Key comes from the node Checker Texture and has no single value: white stands in. Give"
        " it an Emission with a plain color and strength."
    ]
    assert (held.recipe.lights[0].power, held.recipe.lights[0].color) == (200.0, (1.0, 0.5, 0.25))
    tree.links.new(falloff.outputs[0], shader.inputs["Strength"])
    assert gather(scene, shot).recipe.lights[0].power == 100.0
    assert "The strength of the light Key comes from the node IES Texture" in gather(scene, shot).problems[0].text
    end = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputLight")
    tree.links.new(tree.nodes.new("ShaderNodeMixShader").outputs[0], end.inputs["Surface"])
    assert [problem.text for problem in gather(scene, shot).problems] == [
        "The light Key shines through the node Mix Shader, which is no Emission: it is sent as without nodes. Give it"
        " an Emission with a plain color and strength."
    ]
    tree.links.remove(end.inputs["Surface"].links[0])
    assert gather(scene, shot).recipe.lights == ()
    assert irradiance(scene, tmp_path / "lit.exr") == (0.0, 0.0, 0.0)
