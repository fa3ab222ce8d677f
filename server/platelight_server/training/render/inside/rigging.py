"""Armatures, the binding of meshes to their bones, and hair on a bone."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import bpy
from mathutils import Vector
from mathutils.geometry import intersect_point_line

Weights = Callable[[Vector], Mapping[str, float]]
HAIR_STEPS = 6


def armature(joints: Mapping[str, tuple[Any, Any, str]], collection: Any) -> Any:
    """An armature of bones: name -> head, tail, parent's name."""
    rig = bpy.data.objects.new("rig", bpy.data.armatures.new("rig"))
    collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, (head, tail, parent) in joints.items():
        bone = rig.data.edit_bones.new(name)
        bone.head, bone.tail = head, tail
        if parent:
            bone.parent = rig.data.edit_bones[parent]
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig


def adopt(one: Any, collection: Any, material: Any) -> Any:
    """Puts an object into the collection alone, with this material, smooth, its place baked into its mesh."""
    for other in list(one.users_collection):
        other.objects.unlink(one)
    collection.objects.link(one)
    bpy.context.view_layer.update()
    one.data.transform(one.matrix_world)
    one.matrix_world.identity()
    one.data.materials.clear()
    one.data.materials.append(material)
    for polygon in one.data.polygons:
        polygon.use_smooth = True
    return one


def bind(one: Any, rig: Any, weights: Weights) -> None:
    """Lets the bones move a mesh: `weights` gives for a point the share of each bone."""
    one.parent = rig
    for vertex in one.data.vertices:
        for bone, share in weights(vertex.co).items():
            group = one.vertex_groups.get(bone) or one.vertex_groups.new(name=bone)
            group.add([vertex.index], share, "REPLACE")
    modifier = one.modifiers.new("rig", "ARMATURE")
    modifier.object = rig
    one.modifiers.move(len(one.modifiers) - 1, 0)


def rigid(bone: str) -> Weights:
    """The weights of what one bone moves alone."""
    return lambda _: {bone: 1.0}


def near_bones(joints: Mapping[str, tuple[Any, Any, str]]) -> Weights:
    """Weights by the inverse fourth power of the distance to each bone."""

    def weights(point: Vector) -> dict[str, float]:
        found = {name: _distance(point, Vector(head), Vector(tail)) ** -4 for name, (head, tail, _) in joints.items()}
        whole = sum(found.values())
        return {name: value / whole for name, value in found.items() if value > 0.02 * whole}

    return weights


def _distance(point: Vector, head: Vector, tail: Vector) -> float:
    _, share = intersect_point_line(point, head, tail)
    return max(float((point - head.lerp(tail, min(max(share, 0.0), 1.0))).length), 1e-4)


def hair(
    rig: Any, bone: str, center: Vector, radii: Vector, material: Any, rng: random.Random, count: int, length: float
) -> None:
    """Curly strands on the upper and back half of an ellipsoid, moving with a bone."""
    curves = bpy.data.hair_curves.new("hair")
    curves.add_curves([HAIR_STEPS] * count)
    curves.materials.append(material)
    positions, thickness = [], []
    for _ in range(count):
        root = _on_scalp(rng)
        at = center + Vector(a * b for a, b in zip(root, radii, strict=True))
        phase, curl, reach = (
            rng.uniform(0, 2 * math.pi),
            rng.uniform(0.05, 0.16) * length,
            length * rng.uniform(0.7, 1.2),
        )
        for step in range(HAIR_STEPS):
            along = step / (HAIR_STEPS - 1)
            twist = Vector((math.cos(phase + 7 * along), math.sin(phase + 7 * along), 0)) * curl * along
            droop = Vector((0, 0.15, -0.55)) * reach * along**2
            positions.extend(at + root * reach * 0.75 * along + droop + twist)
            thickness.append(0.0022 * (1 - 0.7 * along))
    curves.attributes["position"].data.foreach_set("vector", positions)
    radius = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
    radius.data.foreach_set("value", thickness)
    strands = bpy.data.objects.new("hair", curves)
    bpy.data.collections["foreground"].objects.link(strands)
    strands.parent, strands.parent_type, strands.parent_bone = rig, "BONE", bone
    bpy.context.view_layer.update()
    strands.matrix_world = rig.matrix_world.copy()


def _on_scalp(rng: random.Random) -> Vector:
    while True:
        point = Vector((rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1))).normalized()
        if point.z > 0.35 or (point.y > 0.25 and point.z > -0.35):
            return point
