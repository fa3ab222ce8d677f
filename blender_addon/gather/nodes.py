"""What constant nodes amount to: the value that reaches a socket, where it is one number or one colour. No `bpy` here.

Values are Blender's own, colours in its working space. Anything else (a picture, a pattern, what depends on where a ray
goes) is `Opaque`: it names the node in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .blackbody import blackbody
from .space import from_rec709

Color = tuple[float, float, float]
MATH: Mapping[str, Callable[[float, float], float]] = {
    "ADD": lambda a, b: a + b,
    "SUBTRACT": lambda a, b: a - b,
    "MULTIPLY": lambda a, b: a * b,
    "DIVIDE": lambda a, b: a / b if b else 0.0,  # as Cycles divides
    "MINIMUM": min,
    "MAXIMUM": max,
}


class Opaque(Exception):
    """A socket has no single value; `node` is the name of the node that keeps it from having one."""

    def __init__(self, node: str) -> None:
        super().__init__(node)
        self.node = node


@dataclass(frozen=True)
class Feed:
    """What feeds a socket: a node, its output, and the group nodes that one is inside of, the outermost first."""

    node: Any
    output: Any
    inside: tuple[Any, ...] = ()


def feed(socket: Any, inside: tuple[Any, ...] = ()) -> Feed | None:
    """What feeds an input, past reroutes and through groups; None for an input that has its own value.

    Raises Opaque for a muted node.
    """
    links = [link for link in socket.links if not link.is_muted]
    if not links:
        return None
    node, output = links[0].from_node, links[0].from_socket
    if node.mute:
        raise Opaque(node.name)
    if node.bl_idname == "NodeReroute":
        return feed(node.inputs[0], inside) or Feed(node, output, inside)
    if node.bl_idname == "NodeGroupInput" and inside:
        outer = inside[-1].inputs[_place(node.outputs, output)]
        return feed(outer, inside[:-1]) or Feed(inside[-1], outer, inside[:-1])
    if node.bl_idname == "ShaderNodeGroup" and node.node_tree is not None:
        ends = [one for one in node.node_tree.nodes if one.bl_idname == "NodeGroupOutput"]
        end = next((one for one in ends if one.is_active_output), None)
        if end is not None:
            inner = end.inputs[_place(node.outputs, output)]
            return feed(inner, (*inside, node)) or Feed(end, inner, (*inside, node))
    return Feed(node, output, inside)


def number(socket: Any, working_space: str, inside: tuple[Any, ...] = ()) -> float:
    """The number at an input. Raises Opaque."""
    held = _value(socket, working_space, inside)
    if isinstance(held, tuple):
        raise Opaque(socket.node.name)  # a colour where a number is asked for: its weights are the renderer's
    return held


def color(socket: Any, working_space: str, inside: tuple[Any, ...] = ()) -> Color:
    """The colour (or vector) at an input; a number is grey. Raises Opaque."""
    held = _value(socket, working_space, inside)
    return held if isinstance(held, tuple) else (held, held, held)


def _value(socket: Any, space: str, inside: tuple[Any, ...]) -> float | Color:
    found = feed(socket, inside)
    if found is None:
        return _plain(socket.default_value)
    node, kind = found.node, found.node.bl_idname
    if kind in {"ShaderNodeValue", "ShaderNodeRGB", "ShaderNodeGroup", "NodeGroupOutput"}:
        return _plain(found.output.default_value)  # of a group, the socket that nothing feeds
    if kind == "ShaderNodeBlackbody":
        return from_rec709(blackbody(number(node.inputs[0], space, found.inside)), space)
    if kind == "ShaderNodeCombineXYZ":
        x, y, z = (number(one, space, found.inside) for one in node.inputs)
        return x, y, z
    if kind == "ShaderNodeMath" and node.operation in MATH:
        a, b = (number(one, space, found.inside) for one in list(node.inputs)[:2])
        result = MATH[node.operation](a, b)
        return min(max(result, 0.0), 1.0) if node.use_clamp else result
    raise Opaque(node.name)


def _plain(value: Any) -> float | Color:
    if hasattr(value, "__len__"):
        first, second, third = list(value)[:3]
        return float(first), float(second), float(third)
    return float(value)


def _place(sockets: Any, wanted: Any) -> int:
    return next(i for i, one in enumerate(sockets) if one.identifier == wanted.identifier)
