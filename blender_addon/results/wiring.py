"""Plain compositor nodes, wired by calls: `wiring.math("MULTIPLY", a, 2.0)` gives the socket that holds a · 2.

Uses only nodes that all of Blender 4.2 to 5.2 have, and no Alpha Over or Mix node: the inputs of the one changed
places, and the alpha of the other comes from its first input alone.
"""

from __future__ import annotations

from bpy.types import Node, NodeSocket, NodeTree

from .. import compat

Value = NodeSocket | float

COLUMN_PX, ROW_PX = 180, 45


class Wiring:
    """Adds nodes to one tree, in labelled frames from left to right."""

    def __init__(self, tree: NodeTree) -> None:
        self.tree = tree
        self._frame: Node | None = None
        self._left = self._columns = self._count = 0

    def stage(self, label: str, columns: int) -> None:
        """What is added from now on stands in a new frame, right of the last one, filled row by row."""
        self._left += COLUMN_PX * self._columns + (60 if self._frame else 0)
        self._frame = self.tree.nodes.new("NodeFrame")
        self._frame.label = label
        self._columns, self._count = columns, 0

    @property
    def right(self) -> float:
        """Where the next node outside any frame has room."""
        return self._left + COLUMN_PX * self._columns + 60

    def add(self, kind: str, *inputs: Value) -> Node:
        """A node of this kind in the current frame, its first inputs linked to sockets or set to numbers."""
        node = self.tree.nodes.new(kind)
        row, column = divmod(self._count, self._columns)
        node.location = (self._left + column * COLUMN_PX, -row * ROW_PX)
        node.hide, node.parent = True, self._frame
        self._count += 1
        for socket, value in zip(node.inputs, inputs, strict=False):
            self._give(socket, value)
        return node

    def math(self, operation: str, *values: Value) -> NodeSocket:
        """One operation of the Math node on numbers or single-channel pictures."""
        node = self.add(compat.math_node(), *values)
        node.operation = operation
        return node.outputs[0]

    def product(self, *values: Value) -> NodeSocket:
        """All of them multiplied."""
        first, *rest = values
        for value in rest:
            first = self.math("MULTIPLY", first, value)
        return first

    def channels(self, picture: NodeSocket) -> tuple[NodeSocket, NodeSocket, NodeSocket]:
        """Red, green and blue of a colour; X, Y and Z of a vector, which 4.2 loads as a colour."""
        red, green, blue, _alpha = self.add("CompositorNodeSeparateColor", picture).outputs
        return red, green, blue

    def color(self, red: Value, green: Value, blue: Value, alpha: Value) -> NodeSocket:
        """A colour of four channels."""
        return self.add("CompositorNodeCombineColor", red, green, blue, alpha).outputs[0]

    def masked(self, picture: NodeSocket, factor: NodeSocket) -> NodeSocket:
        """All channels of a picture, alpha too, multiplied by one factor."""
        if picture.type == "VALUE":
            return self.math("MULTIPLY", picture, factor)
        node = self.add("CompositorNodeSetAlpha", picture, factor)
        compat.set_apply_mask(node)
        return node.outputs[0]

    def converted(self, picture: NodeSocket, *, into: str = "", out_of: str = "") -> NodeSocket:
        """A colour taken from the working space into a space, or out of a space into the working space.

        A new node stands at the working space on both sides, whatever OCIO config Blender runs with.
        """
        node = self.add("CompositorNodeConvertColorSpace", picture)
        if into:
            node.to_color_space = into
        if out_of:
            node.from_color_space = out_of
        return node.outputs[0]

    def _give(self, socket: NodeSocket, value: Value) -> None:
        if isinstance(value, NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value
