"""Foregrounds made by rule and seed: a bust, and a full figure of metaballs; skin, metal, cloth and hair on each.

All of it is metres, Z-up, standing on z = 0, facing -Y, and rigged; topology never changes, so Blender's vectors and
our tracks hold for every point.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

import bpy
from mathutils import Vector

from . import materials, rigging

JOINTS = {
    "root": ((0, 0, 0.92), (0, 0, 1.05), ""),
    "spine": ((0, 0, 1.05), (0, 0, 1.45), "root"),
    "head": ((0, 0, 1.5), (0, 0, 1.75), "spine"),
    "arm.L": ((0.2, 0, 1.42), (0.47, 0, 1.42), "spine"),
    "arm.R": ((-0.2, 0, 1.42), (-0.47, 0, 1.42), "spine"),
    "forearm.L": ((0.47, 0, 1.42), (0.76, 0, 1.42), "arm.L"),
    "forearm.R": ((-0.47, 0, 1.42), (-0.76, 0, 1.42), "arm.R"),
    "thigh.L": ((0.11, 0, 0.92), (0.12, -0.01, 0.5), "root"),
    "thigh.R": ((-0.11, 0, 0.92), (-0.12, -0.01, 0.5), "root"),
    "shin.L": ((0.12, -0.01, 0.5), (0.12, 0.02, 0.08), "thigh.L"),
    "shin.R": ((-0.12, -0.01, 0.5), (-0.12, 0.02, 0.08), "thigh.R"),
}  # bone: head, tail, parent
RADII = {"root": 0.15, "spine": 0.16, "head": 0.06, "arm": 0.065, "forearm": 0.052, "thigh": 0.095, "shin": 0.065}
BUST_JOINTS = {
    "root": ((0, 0, 0.3), (0, 0, 0.5), ""),
    "spine": ((0, 0, 0.5), (0, 0, 0.72), "root"),
    "head": ((0, 0, 0.78), (0, 0, 1.2), "spine"),
}


@dataclass(frozen=True)
class Figure:
    """A foreground: its armature; the meshes are its children."""

    rig: Any


def make(kind: str, seed: int) -> Figure:
    """A `bust` or a `figure`; the seed chooses colours, materials and hair."""
    rng = random.Random(f"{kind}/{seed}")
    collection = bpy.data.collections["foreground"]
    return Figure({"bust": _bust, "figure": _figure}[kind](rng, collection))


def _bust(rng: random.Random, collection: Any) -> Any:
    rig = rigging.armature(BUST_JOINTS, collection)
    wear = _wardrobe(rng)
    bpy.ops.mesh.primitive_monkey_add(size=0.62, location=(0, 0, 1.05))
    head = rigging.adopt(bpy.context.object, collection, wear["skin"])
    subdivision = head.modifiers.new("smooth", "SUBSURF")
    subdivision.levels = subdivision.render_levels = 2
    rigging.bind(head, rig, rigging.rigid("head"))
    rigging.hair(rig, "head", Vector((0, 0.06, 1.12)), Vector((0.25, 0.2, 0.24)), wear["hair"], rng, 1500, 0.12)
    for height, radius, thick in ((0.79, 0.17, 0.028), (0.74, 0.21, 0.022)):
        _torus(rig, collection, wear["metal"], (0, 0.02, height), radius, thick, "spine")
    _drape(rig, collection, wear["cloth"], top=0.76, bottom=0.22, radii=(0.13, 0.52), arc=360, bone="spine")
    bpy.ops.mesh.primitive_cylinder_add(radius=0.22, depth=0.5, location=(0, 0, 0.25), vertices=48)
    rigging.bind(rigging.adopt(bpy.context.object, collection, wear["metal"]), rig, rigging.rigid("root"))
    return rig


def _figure(rng: random.Random, collection: Any) -> Any:
    rig = rigging.armature(JOINTS, collection)
    wear = _wardrobe(rng)
    body = rigging.adopt(_metaball_body(), collection, wear["suit"])
    rigging.bind(body, rig, rigging.near_bones(JOINTS))
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.125, location=(0, -0.01, 1.68), segments=40, ring_count=24)
    bpy.context.object.scale = (0.85, 0.95, 1.15)
    head = rigging.adopt(bpy.context.object, collection, wear["skin"])
    rigging.bind(head, rig, rigging.rigid("head"))
    rigging.hair(rig, "head", Vector((0, 0.015, 1.7)), Vector((0.11, 0.12, 0.135)), wear["hair"], rng, 900, 0.1)
    for side, name in ((1, "L"), (-1, "R")):
        for place, radii, bone, what in (
            ((0.22, 0, 1.45), (0.09, 0.09, 0.09), "arm", "metal"),
            ((0.8, 0, 1.42), (0.08, 0.045, 0.055), "forearm", "skin"),
            ((0.12, -0.06, 0.06), (0.06, 0.14, 0.06), "shin", "metal"),
        ):
            bpy.ops.mesh.primitive_uv_sphere_add(radius=1, location=(side * place[0], *place[1:]), segments=32)
            bpy.context.object.scale = radii
            part = rigging.adopt(bpy.context.object, collection, wear[what])
            rigging.bind(part, rig, rigging.rigid(f"{bone}.{name}"))
    _torus(rig, collection, wear["metal"], (0, 0, 1.0), 0.17, 0.03, "root")
    _drape(rig, collection, wear["cloth"], top=1.42, bottom=0.5, radii=(0.19, 0.4), arc=150, bone="spine")
    return rig


def _wardrobe(rng: random.Random) -> dict[str, Any]:
    skin = rng.choice([(0.72, 0.46, 0.34), (0.48, 0.27, 0.17), (0.2, 0.1, 0.06), (0.8, 0.57, 0.45)])
    metal = rng.choice([(0.95, 0.72, 0.35), (0.8, 0.8, 0.82), (0.9, 0.55, 0.42)])
    first, second, suit = ([rng.uniform(0.05, 0.6) for _ in range(3)] for _ in range(3))
    return {
        "skin": materials.skin(skin),
        "metal": materials.metal(metal, rng.uniform(0.15, 0.45)),
        "cloth": materials.cloth(first, second, rng.uniform(2, 6)),
        "suit": materials.cloth(suit, [0.6 * value for value in suit], rng.uniform(3, 8)),
        "hair": materials.hair(rng.random()),
    }


def _metaball_body() -> Any:
    """Balls along the bones, melted into one mesh."""
    balls = bpy.data.metaballs.new("body")
    balls.resolution = balls.render_resolution = 0.045
    for name, (start, end, _) in JOINTS.items():
        radius = RADII[name.split(".")[0]]
        for step in range(5):
            element = balls.elements.new()
            element.co = Vector(start).lerp(Vector(end), step / 4)
            element.radius = 1.9 * radius * (1 - 0.06 * step)
    whole = bpy.data.objects.new("body", balls)
    bpy.context.scene.collection.objects.link(whole)
    evaluated = whole.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = bpy.data.meshes.new_from_object(evaluated)
    bpy.data.objects.remove(whole)
    for polygon in mesh.polygons:
        polygon.use_smooth = True
    return bpy.data.objects.new("body", mesh)


def _torus(rig: Any, collection: Any, material: Any, place: Any, radius: float, thick: float, bone: str) -> None:
    bpy.ops.mesh.primitive_torus_add(location=place, major_radius=radius, minor_radius=thick, major_segments=64)
    rigging.bind(rigging.adopt(bpy.context.object, collection, material), rig, rigging.rigid(bone))


def _drape(
    rig: Any,
    collection: Any,
    material: Any,
    top: float,
    bottom: float,
    radii: tuple[float, float],
    arc: float,
    bone: str,
) -> None:
    """Cloth around the back (or all around): a part of a cone, with two standing waves as shape keys."""
    columns, rows = 60, 24
    sheet: list[Any] = []
    waves: dict[str, list[Any]] = {"sine": [], "cosine": []}
    for row in range(rows + 1):
        for column in range(columns + 1):
            down, angle = row / rows, math.radians(90 + arc * (column / columns - 0.5))
            outwards = Vector((math.cos(angle), math.sin(angle), 0))
            fold = 1 + 0.05 * down * math.sin(9 * angle)
            point = outwards * (radii[0] + (radii[1] - radii[0]) * down**0.7) * fold
            sheet.append(point + Vector((0, 0, top + (bottom - top) * down)))
            reach, phase = 0.07 * down**1.5, 4 * angle + 5 * down
            waves["sine"].append(sheet[-1] + outwards * reach * math.sin(phase))
            waves["cosine"].append(sheet[-1] + outwards * reach * math.cos(phase))
    corner = [row * (columns + 1) + column for row in range(rows) for column in range(columns)]
    faces = [(i, i + 1, i + columns + 2, i + columns + 1) for i in corner]
    mesh = bpy.data.meshes.new("cloth")
    mesh.from_pydata(sheet, [], faces)
    for polygon in mesh.polygons:
        polygon.use_smooth = True
    cloth = rigging.adopt(bpy.data.objects.new("cloth", mesh), collection, material)
    cloth.shape_key_add(name="Basis")
    for name, points in waves.items():
        key = cloth.shape_key_add(name=name)
        key.slider_min = -1.0
        for i, point in enumerate(points):
            key.data[i].co = point
    rigging.bind(cloth, rig, rigging.rigid(bone))
