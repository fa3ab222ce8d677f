"""Worlds that only a render can tell: a child Blender renders them, and they lie as the recipe's probes do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon.gather import Raster, gather  # noqa: E402
from platelight_addon.gather.space import direction_y_up  # noqa: E402

from tests.blender.cycles import irradiance, white_plane  # noqa: E402
from tests.blender.making import linear, make_clip, make_plate, read_exr  # noqa: E402

BRIGHT = np.array((0.36, 0.48, 0.8))  # to the right, ahead and up, in Blender's world
PIXEL_DEG = 360 / 512
SKY = 0.02  # 64 samples of a sun that is as wide as a pixel


def prepared(scene: Any, shot: Any, tmp_path: Path) -> tuple[Any, Any]:
    """A world of its own. Returns its tree and the Background in it."""
    shot.plate_clip = make_clip(make_plate(tmp_path / "plate"), solved=0)
    shot.output_directory, shot.use_world = str(tmp_path / "out"), True
    shot.range_kind, shot.frame_first, shot.frame_last = "OWN", 1, 2
    world = scene.world = bpy.data.worlds.new("Himmel ü")
    if world.node_tree is None:
        world.use_nodes = True
    tree = world.node_tree
    return tree, next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBackground")


def bright_spot(tree: Any, shader: Any) -> Any:
    """Makes a world black but for a disc of 8 degrees around `BRIGHT`. Returns the node that holds the direction."""
    place, along, inside = (
        tree.nodes.new(kind) for kind in ("ShaderNodeTexCoord", "ShaderNodeVectorMath", "ShaderNodeMath")
    )
    along.operation, along.inputs[1].default_value = "DOT_PRODUCT", BRIGHT
    inside.operation, inside.inputs[1].default_value = "GREATER_THAN", math.cos(math.radians(8))
    tree.links.new(place.outputs["Generated"], along.inputs[0])
    tree.links.new(along.outputs["Value"], inside.inputs[0])
    tree.links.new(inside.outputs[0], shader.inputs["Color"])
    return along


def rendered(held: Any) -> Any:
    (order,) = held.drawings
    raster = Raster(order).start()
    assert raster.wait() == "done", raster.text
    return order


def directions(height: int, width: int) -> tuple[Any, Any]:
    """Directions (h, w, 3) and solid angles (h, w) of a probe's pixels: centre -Z, right +X, up +Y."""
    polar = (np.arange(height) + 0.5)[:, None] / height * np.pi
    azimuth = ((np.arange(width) + 0.5)[None] / width - 0.5) * 2 * np.pi
    toward = np.stack(
        np.broadcast_arrays(np.sin(polar) * np.sin(azimuth), np.cos(polar), -np.sin(polar) * np.cos(azimuth)), -1
    )
    return toward, np.broadcast_to(np.sin(polar), toward.shape[:2]) * (np.pi / height) * (2 * np.pi / width)


def middle(picture: Any) -> Any:
    """The direction that the light of a probe's picture comes from."""
    toward, solid = directions(*picture.shape)
    found = (toward * (solid * picture)[..., None]).sum((0, 1))
    return found / np.linalg.norm(found)


def test_bright_direction_is_where_the_recipe_has_it(scene: Any, shot: Any, tmp_path: Path) -> None:
    tree, shader = prepared(scene, shot, tmp_path)
    bright_spot(tree, shader)
    shot.world_rotation = math.radians(25)
    held = gather(scene, shot)
    order, probe = rendered(held), held.recipe.probe_background
    assert (probe.path, probe.rotation_deg) == (str(order.sequence.path(1)), pytest.approx(25.0))
    picture = read_exr(Path(probe.path))["R"]
    assert (picture.shape, float(picture.max())) == ((256, 512), 1.0)
    expected = np.array(direction_y_up(BRIGHT))
    apart = math.degrees(math.acos(min(float(middle(picture) @ expected), 1.0)))
    assert apart < 0.1 * PIXEL_DEG
    assert gather(scene, shot).drawings[0].missing == ()
    shader.inputs["Strength"].default_value = 2.0
    assert gather(scene, shot).drawings[0].missing == (1,)


def test_sky_lights_a_surface_as_in_cycles(scene: Any, shot: Any, tmp_path: Path) -> None:
    white_plane(scene)
    tree, shader = prepared(scene, shot, tmp_path)
    sky = tree.nodes.new("ShaderNodeTexSky")
    tree.links.new(sky.outputs[0], shader.inputs["Color"])
    shader.inputs["Strength"].default_value, sky.sun_elevation = 0.1, math.radians(40)
    held = read_exr(rendered(gather(scene, shot)).sequence.path(1))
    toward, solid = directions(*held["R"].shape)
    facing = np.maximum(toward @ np.array(direction_y_up((0, 0, 1))), 0) * solid
    found = [float((held[name] * facing).sum()) for name in "RGB"]
    assert found == pytest.approx(irradiance(scene, tmp_path / "lit.exr"), rel=SKY)


def test_moving_world_is_rendered_on_every_frame_and_again_when_it_changes(
    scene: Any, shot: Any, tmp_path: Path
) -> None:
    tree, shader = prepared(scene, shot, tmp_path)
    along = bright_spot(tree, shader)
    for frame, value in ((1, 1.0), (3, 3.0)):
        shader.inputs["Strength"].default_value = value
        shader.inputs["Strength"].keyframe_insert("default_value", frame=frame)
    linear(tree.animation_data.action)
    scene.frame_set(3)
    held = gather(scene, shot)
    order = rendered(held)
    assert held.recipe.probe_background.path == str(order.sequence)
    files = [order.sequence.path(number) for number in (1001, 1002)]
    assert [float(read_exr(path)["R"].max()) for path in files] == pytest.approx([1.0, 2.0])
    before = [path.stat().st_mtime_ns for path in files]
    scene.frame_set(2)  # what the .blend holds of the world is now something else, and the world is not
    assert [path.stat().st_mtime_ns for path in files if rendered(gather(scene, shot))] == before
    along.inputs[1].default_value = (0, 1, 0)
    rendered(gather(scene, shot))
    for path in files:
        assert middle(read_exr(path)["R"]) == pytest.approx((0, 0, -1), abs=1e-3)


def test_light_is_what_surfaces_see_and_not_the_camera(scene: Any, shot: Any, tmp_path: Path) -> None:
    tree, shader = prepared(scene, shot, tmp_path)
    path, mix = tree.nodes.new("ShaderNodeLightPath"), tree.nodes.new("ShaderNodeMixShader")
    shown = tree.nodes.new("ShaderNodeBackground")
    shader.inputs["Color"].default_value, shown.inputs["Color"].default_value = (0, 0, 0.5, 1), (1, 0, 0, 1)
    tree.links.new(path.outputs["Is Camera Ray"], mix.inputs[0])
    tree.links.new(shader.outputs[0], mix.inputs[1])
    tree.links.new(shown.outputs[0], mix.inputs[2])
    end = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputWorld")
    tree.links.new(mix.outputs[0], end.inputs["Surface"])
    held = read_exr(rendered(gather(scene, shot)).sequence.path(1))
    assert [float(held[name].mean()) for name in "RGB"] == pytest.approx([0, 0, 0.5], abs=1e-6)


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="before 5.0 a file's working space cannot be chosen")
def test_colours_are_those_of_the_space_that_the_recipe_names(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(scene, shot, tmp_path)
    bpy.ops.wm.set_working_color_space(working_space="ACEScg")
    scene = bpy.context.scene
    tree = scene.world.node_tree
    shader = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBackground")
    bright_spot(tree, shader)
    tint = tree.nodes.new("ShaderNodeMix")
    tint.data_type, tint.blend_type = "RGBA", "MULTIPLY"
    factor, a, b = (
        next(one for one in tint.inputs if one.identifier == key) for key in ("Factor_Float", "A_Color", "B_Color")
    )
    factor.default_value, b.default_value = 1.0, (0.25, 0.5, 1.0, 1.0)
    tree.links.new(shader.inputs["Color"].links[0].from_socket, a)
    tree.links.new(next(one for one in tint.outputs if one.identifier == "Result_Color"), shader.inputs["Color"])
    held = gather(scene, scene.platelight.shots[0])
    order = rendered(held)
    assert held.recipe.probe_background.colorspace == "ACEScg"
    picture = read_exr(order.sequence.path(1))
    assert [float(picture[name].max()) for name in "RGB"] == pytest.approx([0.25, 0.5, 1.0], abs=1e-4)
