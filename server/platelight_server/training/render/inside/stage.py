"""The set (a floor that light bounces off, a backdrop, props) and the camera."""

from __future__ import annotations

import math
import random
from typing import Any

import bpy
from mathutils import Vector

from . import materials

# Where the camera stands and what it looks at, metres, Z-up; focal length for a sensor of 36 mm.
VIEWS = {"bust": ((0.35, -3.1, 1.2), (0, 0, 0.93), 62.0), "figure": ((0.5, -5.2, 1.45), (0, 0, 1.0), 43.0)}
PUSH_M = 0.35  # of the moving camera, towards the figure and sideways, in two seconds


def make(seed: int) -> None:
    """Floor, backdrop and props in the collection `set`."""
    rng = random.Random(f"set/{seed}")
    collection = bpy.data.collections["set"]
    _plane(collection, "floor", materials.ground(rng), [(-9, -9, 0), (9, -9, 0), (9, 4, 0), (-9, 4, 0)])
    wall = _plane(collection, "backdrop", materials.ground(rng), [(-12, 3, -1), (12, 3, -1), (12, 3, 9), (-12, 3, 9)])
    # A picture behind the action: the lamps behind it shine through, as they would around a flat of a set.
    wall.visible_diffuse = wall.visible_glossy = wall.visible_transmission = wall.visible_shadow = False
    for number in range(4):
        size, side = rng.uniform(0.2, 0.5), 1 if number % 2 else -1
        bpy.ops.mesh.primitive_cube_add(
            size=size,
            location=(side * rng.uniform(0.9, 2.2), rng.uniform(0.9, 2.4), size / 2),
            rotation=(0, 0, rng.random()),
        )
        prop = bpy.context.object
        for other in list(prop.users_collection):
            other.objects.unlink(prop)
        collection.objects.link(prop)
        prop.data.materials.append(materials.ground(rng))


def camera(figure: str, move: str, first: int, frames: int) -> Any:
    """The camera, `locked` or on a slow `push` in; keyed on all frames and one on either side."""
    lens = bpy.data.cameras.new("camera")
    one = bpy.data.objects.new("camera", lens)
    bpy.context.scene.collection.objects.link(one)
    place, target, lens.lens = VIEWS[figure]
    lens.sensor_fit, lens.sensor_width, lens.clip_start = "HORIZONTAL", 36.0, 0.05
    one.rotation_mode = "QUATERNION"
    for frame in range(first - 1, first + frames + 1):
        at, share = Vector(place), (frame - first) / 48
        if move == "push":
            at += Vector((PUSH_M * share, 1.5 * PUSH_M * share, 0.02 * math.sin(4 * share)))
        one.location, one.rotation_quaternion = at, (at - Vector(target)).to_track_quat("Z", "Y")
        if move == "push":
            one.keyframe_insert("location", frame=frame)
            one.keyframe_insert("rotation_quaternion", frame=frame)
    return one


def _plane(collection: Any, name: str, material: Any, corners: list[tuple[float, float, float]]) -> Any:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    mesh.materials.append(material)
    plane = bpy.data.objects.new(name, mesh)
    collection.objects.link(plane)
    return plane
