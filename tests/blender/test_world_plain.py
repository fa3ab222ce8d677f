"""Worlds of one colour: what Cycles says that they do to a white surface is pi times the probe's colour."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon.gather import gather  # noqa: E402
from platelight_addon.gather.blackbody import blackbody  # noqa: E402

from tests.blender.cycles import irradiance, white_plane  # noqa: E402
from tests.blender.making import linear, make_clip, make_plate  # noqa: E402

CYCLES = 0.005  # nothing is sampled but one colour


def prepared(scene: Any, shot: Any, tmp_path: Path) -> Any:
    """A scene of a white plane under a world of its own, whose Background is returned."""
    shot.plate_clip = make_clip(make_plate(tmp_path / "plate"), solved=0)
    shot.output_directory, shot.use_world = str(tmp_path), True
    white_plane(scene)
    world = scene.world = bpy.data.worlds.new("plain")
    if world.node_tree is None:
        world.use_nodes = True
    return next(node for node in world.node_tree.nodes if node.bl_idname == "ShaderNodeBackground")


def test_keyed_colour_lights_every_frame_as_in_cycles(scene: Any, shot: Any, tmp_path: Path) -> None:
    shader = prepared(scene, shot, tmp_path)
    for frame, red in ((1, 0.1), (8, 0.8)):
        shader.inputs["Color"].default_value = (red, 0.4, 0.25, 1.0)
        shader.inputs["Color"].keyframe_insert("default_value", frame=frame)
    linear(scene.world.node_tree.animation_data.action)
    shader.inputs["Strength"].default_value = 2.0
    held = gather(scene, shot)
    probe = held.recipe.probe_background
    assert (probe.path, held.drawings, next(b.text for b in held.badges if b.name == "light")) == (None, (), "world")
    for frame, red in ((1, 0.2), (4, 0.8), (8, 1.6)):
        shown = probe.at(1000 + frame)
        assert shown.color == pytest.approx((red, 0.8, 0.5), abs=1e-6)
        scene.frame_set(frame)
        expected = [math.pi * value * 2.0**shown.exposure_stops for value in shown.color]
        assert irradiance(scene, tmp_path / "lit.exr") == pytest.approx(expected, rel=CYCLES)


def test_colour_of_a_black_body_is_cycles(scene: Any, shot: Any, tmp_path: Path) -> None:
    shader = prepared(scene, shot, tmp_path)
    node = scene.world.node_tree.nodes.new("ShaderNodeBlackbody")
    scene.world.node_tree.links.new(node.outputs[0], shader.inputs["Color"])
    for kelvin in (700.0, 1700.0, 3200.0, 5600.0, 14000.0):
        node.inputs[0].default_value = kelvin
        color = gather(scene, shot).recipe.probe_background.color
        assert color == pytest.approx(blackbody(kelvin), abs=1e-6)
        seen = irradiance(scene, tmp_path / "lit.exr")
        assert seen == pytest.approx([math.pi * value for value in color], rel=0.01, abs=0.01)


def test_exposure_dial_and_no_light_at_all(scene: Any, shot: Any, tmp_path: Path) -> None:
    shader = prepared(scene, shot, tmp_path)
    shader.inputs["Color"].default_value, shot.world_exposure = (0.5, 0.25, 0.125, 1.0), -1.0
    probe = gather(scene, shot).recipe.probe_background
    assert (probe.color, probe.exposure_stops, probe.colors) == ((0.5, 0.25, 0.125), -1.0, None)
    shader.inputs["Strength"].default_value = 0.0
    held = gather(scene, shot)
    assert (held.recipe.probe_background, held.problems) == (None, ())


@pytest.mark.skipif(bpy.app.version >= (5, 0, 0), reason="since 5.0 a world always has nodes")
def test_world_without_nodes_has_its_own_colour(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(scene, shot, tmp_path)
    scene.world.use_nodes, scene.world.color = False, (0.5, 0.25, 0.125)
    color = gather(scene, shot).recipe.probe_background.color
    assert color == (0.5, 0.25, 0.125)
    expected = [math.pi * value for value in color]
    assert irradiance(scene, tmp_path / "lit.exr") == pytest.approx(expected, rel=CYCLES)


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="before 5.0 a file's working space cannot be chosen")
def test_colour_is_told_in_rec709_whatever_the_file_works_in(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(scene, shot, tmp_path)
    bpy.ops.wm.set_working_color_space(working_space="ACEScg")
    scene = bpy.context.scene
    tree = scene.world.node_tree
    shader = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBackground")
    shader.inputs["Color"].default_value = (1.0, 0.0, 0.0, 1.0)
    shot = scene.platelight.shots[0]
    assert gather(scene, shot).recipe.probe_background.color == pytest.approx((1.70505, 0.0, 0.0), abs=1e-4)
    node = tree.nodes.new("ShaderNodeBlackbody")
    node.inputs[0].default_value = 5600.0
    tree.links.new(node.outputs[0], shader.inputs["Color"])
    assert gather(scene, shot).recipe.probe_background.color == pytest.approx(blackbody(5600.0), abs=1e-5)
