"""What the nodes of a light or a world amount to, where they can be said in numbers. No `bpy` here.

A tree is one of a datablock, or of one that was evaluated on a frame. Colours are in Blender's working space.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees
from typing import Any

from .nodes import Color, Feed, Opaque, color, feed, number

WHITE = (1.0, 1.0, 1.0)
BLENDER_TO_RECIPE_DEG = -90.0  # Blender's lat-long has +X in the middle, a recipe's has Blender's +Y there


@dataclass(frozen=True)
class Emission:
    """What a light's nodes multiply it by. `left_out` are inputs that have no single value (shader, color, strength),
    each with the node in the way: white and 1 stand in for them."""

    strength: float = 1.0
    color: Color = WHITE
    left_out: tuple[tuple[str, str], ...] = ()


def emission(tree: Any, working_space: str) -> Emission:
    """Strength and colour of the one Emission that reaches a light's output; (1, white) where there are no nodes."""
    if tree is None:
        return Emission()
    try:
        shader = _shining(tree, "ShaderNodeOutputLight")
    except Opaque as way:
        return Emission(left_out=(("shader", way.node),))
    if shader is None:
        return Emission(0.0)
    if shader.node.bl_idname != "ShaderNodeEmission":
        return Emission(left_out=(("shader", shader.node.name),))
    strength, tint, left_out = 1.0, WHITE, []
    try:
        strength = number(shader.node.inputs["Strength"], working_space, shader.inside)
    except Opaque as way:
        left_out.append(("strength", way.node))
    try:
        tint = color(shader.node.inputs["Color"], working_space, shader.inside)
    except Opaque as way:
        left_out.append(("color", way.node))
    return Emission(strength, tint, tuple(left_out))


@dataclass(frozen=True)
class Surroundings:
    """An HDRI around the world. `rotation_deg` is the recipe's: about +Y up, anticlockwise from above."""

    image: Any
    node: Any
    strength: float
    rotation_deg: float


@dataclass(frozen=True)
class PlainWorld:
    """A world of one colour: its radiance."""

    color: Color


def surroundings(tree: Any, working_space: str) -> Surroundings | PlainWorld:
    """What a world's nodes amount to. Raises Opaque where only a render can tell."""
    shader = _shining(tree, "ShaderNodeOutputWorld")
    if shader is None:
        return PlainWorld((0.0, 0.0, 0.0))
    if shader.node.bl_idname != "ShaderNodeBackground":
        raise Opaque(shader.node.name)
    strength = number(shader.node.inputs["Strength"], working_space, shader.inside)
    picture = feed(shader.node.inputs["Color"], shader.inside)
    if picture is None or picture.node.bl_idname != "ShaderNodeTexEnvironment":
        red, green, blue = color(shader.node.inputs["Color"], working_space, shader.inside)
        return PlainWorld((red * strength, green * strength, blue * strength))
    if picture.node.projection != "EQUIRECTANGULAR":
        raise Opaque(picture.node.name)
    turned = _turned(picture, working_space)
    return Surroundings(picture.node.image, picture.node, strength, BLENDER_TO_RECIPE_DEG + turned)


def _shining(tree: Any, output_kind: str) -> Feed | None:
    """The shader that reaches the active output."""
    outputs = [node for node in tree.nodes if node.bl_idname == output_kind and node.is_active_output]
    return feed(outputs[0].inputs["Surface"]) if outputs else None


def _turned(picture: Feed, working_space: str) -> float:
    """How far a Mapping node turns the surroundings, degrees anticlockwise from above. Raises Opaque for anything else.

    Measured in Cycles 4.2, 5.0 and 5.2: a mapping turns the direction that is looked up, so the surroundings turn the
    other way, but for the type TEXTURE, which is the inverse.
    """
    mapping = feed(picture.node.inputs["Vector"], picture.inside)
    if mapping is None or _is_direction(mapping):
        return 0.0
    node = mapping.node
    if node.bl_idname != "ShaderNodeMapping":
        raise Opaque(node.name)
    looked_up = feed(node.inputs["Vector"], mapping.inside)
    x, y, z = color(node.inputs["Rotation"], working_space, mapping.inside)
    others = {
        one.name: color(one, working_space, mapping.inside)
        for one in node.inputs
        if one.name in {"Location", "Scale"} and one.enabled
    }
    if (
        looked_up is None
        or not _is_direction(looked_up)
        or (x, y) != (0.0, 0.0)
        or any(others.get("Location", (0.0, 0.0, 0.0)))
        or others.get("Scale", WHITE) != WHITE
    ):
        raise Opaque(node.name)
    return degrees(z) if node.vector_type == "TEXTURE" else -degrees(z)


def _is_direction(found: Feed) -> bool:
    """Whether it is the direction itself: a Texture Coordinate's Generated."""
    return found.node.bl_idname == "ShaderNodeTexCoord" and found.output.name == "Generated"
