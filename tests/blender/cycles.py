"""What Cycles says: of the light on a small white surface, and of the radiance in a direction."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
from mathutils import Vector
from platelight_addon import compat

from tests.blender.making import read_exr


def white_plane(scene: Any) -> None:
    """A small white diffuse plane at the origin facing +Z, seen from the side; nothing else, one bounce."""
    for one in list(bpy.data.objects):
        bpy.data.objects.remove(one)
    scene.world = None
    mesh = bpy.data.meshes.new("plane")
    mesh.from_pydata([(-0.01, -0.01, 0), (0.01, -0.01, 0), (0.01, 0.01, 0), (-0.01, 0.01, 0)], [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new("white")
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    diffuse, output = tree.nodes.new("ShaderNodeBsdfDiffuse"), tree.nodes.new("ShaderNodeOutputMaterial")
    diffuse.inputs["Color"].default_value = (1, 1, 1, 1)
    tree.links.new(diffuse.outputs[0], output.inputs["Surface"])
    mesh.materials.append(material)
    scene.collection.objects.link(bpy.data.objects.new("plane", mesh))
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.type, camera.data.ortho_scale, camera.data.clip_start = "ORTHO", 0.005, 0.001
    camera.location, camera.rotation_euler = (0.05, 0, 0.1), (0, math.atan2(0.05, 0.1), 0)
    scene.collection.objects.link(camera)
    scene.camera = camera


def irradiance(scene: Any, path: Path) -> tuple[float, float, float]:
    """What reaches the plane, W/m²: a white Lambertian surface sends back irradiance / pi."""
    render = scene.render
    render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 256
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    scene.cycles.max_bounces = 0
    render.threads_mode, render.threads = "FIXED", 1
    render.resolution_x = render.resolution_y = 8
    render.resolution_percentage, render.use_compositing, render.use_sequencer = 100, False, False
    compat.set_exr(render.image_settings, 32)
    render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    held = read_exr(path)
    red, green, blue = (float(held[name].mean()) * math.pi for name in "RGB")
    return red, green, blue


def seen_in_cycles(scene: Any, direction: tuple[float, float, float], path: Path) -> tuple[float, float]:
    """Red and green of what a camera at the origin sees in a direction."""
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
