"""What the nodes of a light or a world amount to, where they are simple enough to be said in numbers.

None means: not simple enough; the caller tells the artist. Muted nodes and groups are not simple.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees
from typing import Any

WHITE = (1.0, 1.0, 1.0)
BLENDER_TO_RECIPE_DEG = -90.0  # Blender's lat-long has +X in the middle, a recipe's has Blender's +Y there


def emission(tree: Any, output_kind: str, shader_kind: str) -> tuple[float, tuple[float, float, float]] | None:
    """Strength and colour of the one shader that shines; (1, white) where there are no nodes."""
    if tree is None:
        return 1.0, WHITE
    shader = shining(tree, output_kind)
    if shader is None or shader.bl_idname != shader_kind or any(one.is_linked for one in shader.inputs):
        return None
    red, green, blue, _ = shader.inputs["Color"].default_value
    return float(shader.inputs["Strength"].default_value), (red, green, blue)


def shining(tree: Any, output_kind: str) -> Any:
    """The node whose shader reaches the active output, or None."""
    outputs = [node for node in tree.nodes if node.bl_idname == output_kind and node.is_active_output]
    return _behind(outputs[0].inputs["Surface"]) if outputs else None


@dataclass(frozen=True)
class Surroundings:
    """An HDRI around the world. `rotation_deg` is the recipe's: about +Y up, anticlockwise from above."""

    image: Any
    node: Any
    strength: float
    rotation_deg: float


@dataclass(frozen=True)
class PlainWorld:
    """A world of one colour."""

    color: tuple[float, float, float]
    strength: float


def surroundings(tree: Any) -> Surroundings | PlainWorld | None:
    """What a world's nodes amount to: an HDRI, one colour, or None."""
    shader = shining(tree, "ShaderNodeOutputWorld")
    if shader is None or shader.bl_idname != "ShaderNodeBackground" or shader.inputs["Strength"].is_linked:
        return None
    strength = float(shader.inputs["Strength"].default_value)
    if not shader.inputs["Color"].is_linked:
        red, green, blue, _ = shader.inputs["Color"].default_value
        return PlainWorld((red, green, blue), strength)
    picture = _behind(shader.inputs["Color"])
    if picture is None or picture.bl_idname != "ShaderNodeTexEnvironment" or picture.projection != "EQUIRECTANGULAR":
        return None
    turned = _turned(picture.inputs["Vector"])
    return None if turned is None else Surroundings(picture.image, picture, strength, BLENDER_TO_RECIPE_DEG + turned)


def _turned(socket: Any) -> float | None:
    """How far a Mapping node turns the surroundings, degrees anticlockwise from above; None for anything else.

    Measured in Cycles 4.2, 5.0 and 5.2: a mapping turns the direction that is looked up, so the surroundings turn the
    other way, but for the type TEXTURE, which is the inverse.
    """
    if not socket.is_linked or _is_direction(socket):
        return 0.0
    mapping = _behind(socket)
    if mapping is None or mapping.bl_idname != "ShaderNodeMapping":
        return None
    if any(one.is_linked for one in mapping.inputs[1:]) or not _is_direction(mapping.inputs["Vector"]):
        return None
    x, y, z = mapping.inputs["Rotation"].default_value
    places = [one.default_value for one in mapping.inputs if one.name == "Location" and one.enabled]
    if (
        (x, y) != (0.0, 0.0)
        or any(any(place) for place in places)
        or tuple(mapping.inputs["Scale"].default_value) != (1.0, 1.0, 1.0)
    ):
        return None
    return degrees(z) if mapping.vector_type == "TEXTURE" else -degrees(z)


def _is_direction(socket: Any) -> bool:
    """Whether what comes in is the direction itself: a Texture Coordinate's Generated, or nothing."""
    if not socket.is_linked:
        return False
    link = socket.links[0]
    return link.from_node.bl_idname == "ShaderNodeTexCoord" and link.from_socket.name == "Generated"


def _behind(socket: Any) -> Any:
    """The node that feeds a socket, past reroutes; None where nothing does, or a muted node."""
    while socket.is_linked:
        node = socket.links[0].from_node
        if node.bl_idname != "NodeReroute":
            return None if node.mute else node
        socket = node.inputs[0]
    return None
