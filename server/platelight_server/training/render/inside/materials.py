"""Surfaces: skin with subsurface scattering, brushed metal, woven cloth, hair, and the ground's patterns."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import bpy

Color = Sequence[float]


def skin(color: Color) -> Any:
    """Skin: red light travels farthest below it."""
    material, shader, _ = _surface("skin", color, roughness=0.45)
    shader.inputs["Subsurface Weight"].default_value = 0.6
    shader.inputs["Subsurface Radius"].default_value = (0.036, 0.013, 0.007)
    shader.inputs["Subsurface Scale"].default_value = 0.6
    return material


def metal(color: Color, roughness: float) -> Any:
    """A metal of this reflectance."""
    material, shader, _ = _surface("metal", color, roughness)
    shader.inputs["Metallic"].default_value = 1.0
    return material


def cloth(color: Color, stripe: Color, scale: float) -> Any:
    """Striped cloth with a sheen."""
    material, shader, tree = _surface("cloth", color, roughness=0.9)
    shader.inputs["Sheen Weight"].default_value = 0.4
    wave = tree.nodes.new("ShaderNodeTexWave")
    wave.inputs["Scale"].default_value, wave.inputs["Distortion"].default_value = scale, 1.5
    _mixed(tree, shader, "Generated", wave, "Fac", color, stripe)
    return material


def hair(melanin: float) -> Any:
    """Hair as a rough dielectric fibre, brown to black by its melanin, 0..1."""
    light, dark = (0.45, 0.27, 0.12), (0.03, 0.02, 0.015)
    color = tuple(a + (b - a) * melanin for a, b in zip(light, dark, strict=True))
    return _surface("hair", color, roughness=0.35)[0]


def ground(rng: random.Random) -> Any:
    """A checked or mottled floor or wall in two related colours."""
    base = rng.uniform(0.12, 0.4)
    color = tuple(base * rng.uniform(0.75, 1.25) for _ in range(3))
    other = tuple(value * rng.uniform(0.35, 0.7) for value in color)
    material, shader, tree = _surface("ground", color, roughness=rng.uniform(0.5, 0.9))
    if rng.random() < 0.5:
        texture = tree.nodes.new("ShaderNodeTexChecker")
        texture.inputs["Scale"].default_value = rng.uniform(1.2, 2.5)
    else:
        texture = tree.nodes.new("ShaderNodeTexNoise")
        texture.inputs["Scale"].default_value, texture.inputs["Detail"].default_value = rng.uniform(1.5, 5), 6.0
    _mixed(tree, shader, "Object", texture, "Fac", color, other)
    return material


def _surface(name: str, color: Any, roughness: float) -> tuple[Any, Any, Any]:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:  # before 5.0
        material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = roughness
    return material, shader, material.node_tree


def _mixed(tree: Any, shader: Any, space: str, texture: Any, output: str, first: Any, second: Any) -> None:
    place = tree.nodes.new("ShaderNodeTexCoord")
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    for element, color in zip(ramp.color_ramp.elements, (first, second), strict=True):
        element.color = (*color, 1.0)
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.4, 0.6
    tree.links.new(place.outputs[space], texture.inputs["Vector"])
    factor = texture.outputs.get(output) or texture.outputs[0]
    tree.links.new(factor, ramp.inputs["Fac"])
    tree.links.new(ramp.outputs["Color"], shader.inputs["Base Color"])
