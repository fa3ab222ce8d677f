"""The lamps of a basis: suns, discs of area light, and the world, each in a light group of its own name.

Unit: a lamp of weight 1 gives the irradiance 1 (W/m²) on a surface at the scene's centre that faces it; the world of
weight 1 has the radiance 1 in all directions. Directions come Y-up and become Blender's Z-up here.
"""

from __future__ import annotations

import math
from typing import Any

import bpy
from mathutils import Vector


def z_up(vector: Any) -> Vector:
    """(x, y, z) Y-up -> Z-up: x stays, y becomes z, z becomes -y."""
    x, y, z = vector
    return Vector((x, -z, y))


def make(lamps: list[dict[str, Any]], weights: dict[str, list[float]] | None) -> None:
    """Makes all lamps with weight 1, or with the weights (R, G, B) given by name."""
    for lamp in lamps:
        weight = [1.0, 1.0, 1.0] if weights is None else weights[lamp["name"]]
        {"sun": _sun, "area": _area, "ambient": _world}[lamp["kind"]](lamp, weight)


def _sun(lamp: dict[str, Any], weight: list[float]) -> None:
    light = bpy.data.lights.new(lamp["name"], "SUN")
    light.energy, light.color, light.angle = 1.0, weight, math.radians(lamp["angle_degrees"])
    _place(light, lamp["name"], Vector((0, 0, 0)), z_up(lamp["direction"]))


def _area(lamp: dict[str, Any], weight: list[float]) -> None:
    light = bpy.data.lights.new(lamp["name"], "AREA")
    distance, radius = lamp["distance_m"], lamp["radius_m"]
    light.shape, light.size = "DISK", 2 * radius
    # A disc of radiance L gives pi L r²/(r² + d²) on its axis; Blender's power is pi L times the disc's area.
    light.energy, light.color = math.pi * (radius**2 + distance**2), weight
    direction = z_up(lamp["direction"])
    _place(light, lamp["name"], z_up(lamp["center"]) + distance * direction, direction)


def _place(light: Any, name: str, location: Vector, towards: Vector) -> None:
    lamp = bpy.data.objects.new(name, light)
    lamp.location, lamp.rotation_euler = location, towards.to_track_quat("Z", "Y").to_euler()
    lamp.visible_camera, lamp.lightgroup = False, name
    bpy.context.scene.collection.objects.link(lamp)


def _world(lamp: dict[str, Any], weight: list[float]) -> None:
    world = bpy.data.worlds.new(lamp["name"])
    if world.node_tree is None:  # before 5.0
        world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (*weight, 1.0)
    background.inputs["Strength"].default_value = 1.0
    world.lightgroup = lamp["name"]
    bpy.context.scene.world = world
