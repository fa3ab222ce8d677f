"""Worlds as probes: a direction's radiance in Cycles is what the recipe's probe has there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon import compat  # noqa: E402
from platelight_addon.gather import gather  # noqa: E402
from platelight_addon.gather.space import direction_y_up  # noqa: E402

from tests.blender.making import make_clip, make_plate, read_exr, write_exr  # noqa: E402

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


def seen_in_cycles(scene: Any, direction: tuple[float, float, float], path: Path) -> Any:
    from mathutils import Vector

    render = scene.render
    render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 1
    scene.cycles.use_denoising = False
    render.resolution_x = render.resolution_y = 4
    render.resolution_percentage, render.use_compositing, render.use_sequencer = 100, False, False
    compat.set_exr(render.image_settings, 32)
    render.filepath = str(path)
    scene.camera.location = (0, 0, 0)
    scene.camera.data.angle, scene.camera.rotation_mode = math.radians(1), "QUATERNION"
    scene.camera.rotation_quaternion = Vector(direction).to_track_quat("-Z", "Y")
    bpy.ops.render.render(write_still=True)
    held = read_exr(path)
    return float(held["R"].mean()), float(held["G"].mean())


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


def test_worlds_that_are_no_hdri_are_told_and_do_not_stop(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    held = gather(scene, shot)
    assert notes(held) == [
        "The world World is one colour, so it does not light the shot: give it an Environment Texture."
    ]
    assert held.recipe.probe_background is None
    tree = make_world(scene, hdri(tmp_path)).node_tree
    mapping = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeMapping")
    mapping.inputs["Rotation"].default_value = (0.1, 0, 0)
    assert "more than an Environment Texture turned about Z" in notes(gather(scene, shot))[0]
    scene.world = None
    assert "The world has no HDRI" in notes(gather(scene, shot))[0]


def test_hdri_that_is_not_on_disk_says_what_to_do(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    path = hdri(tmp_path)
    world = make_world(scene, path)
    image = next(node for node in world.node_tree.nodes if node.bl_idname == "ShaderNodeTexEnvironment").image
    path.unlink()
    held = gather(scene, shot)
    assert held.recipe is None and "is not in" in held.problems[0].text
    image.source = "GENERATED"
    assert "lies in the .blend and not on disk" in gather(scene, shot).problems[0].text


def test_animated_world_is_told(scene: Any, shot: Any, tmp_path: Path) -> None:
    prepared(shot, tmp_path)
    tree = make_world(scene, hdri(tmp_path)).node_tree
    next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBackground").inputs["Strength"].keyframe_insert(
        "default_value", frame=1
    )
    assert notes(gather(scene, shot)) == [
        "The world outside is animated; the whole shot gets its light of the current frame."
    ]


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
    assert "render a view of it to a sequence" in notes(held)[0]
