"""The sockets of the result group. They are added, renamed by the artist at will, and never taken away.

A socket is found by the identifier that Blender gave it, so links to it survive whatever the inside is rebuilt to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bpy.types import Node, NodeSocket, NodeTree

from .layers import DIALS, NUMBER, OUTPUTS, Dial, Output

SOCKETS = "platelight_sockets"  # on the group: "OUTPUT Image" -> identifier


def ensure_outputs(group: NodeTree, wanted: Iterable[str]) -> None:
    """Sockets on the right for these names, in the order of `OUTPUTS`."""
    names = set(wanted)
    for output in OUTPUTS:
        if output.name in names:
            _ensure(group, output, "OUTPUT")


def ensure_dials(group: NodeTree) -> None:
    """Sockets on the left for all dials."""
    for dial in DIALS:
        if _ensure(group, dial, "INPUT"):
            item = _item(group, dial.name, "INPUT")
            item.default_value = dial.default
            if dial.kind == NUMBER:
                item.min_value, item.max_value = dial.least, dial.most


def identifier(group: NodeTree, name: str, side: str) -> str | None:
    """What Blender calls the socket that this module made under `name`; side INPUT or OUTPUT."""
    item = _item(group, name, side)
    return None if item is None else item.identifier


def socket_of(sockets: Iterable[NodeSocket], wanted: str | None) -> NodeSocket | None:
    """The socket with this identifier."""
    return next((socket for socket in sockets if socket.identifier == wanted), None)


def given(group: NodeTree, node: Node) -> Mapping[str, NodeSocket]:
    """The dials as sockets of a Group Input node, by name."""
    found = {dial.name: socket_of(node.outputs, identifier(group, dial.name, "INPUT")) for dial in DIALS}
    return {name: socket for name, socket in found.items() if socket is not None}


def left_empty(group: NodeTree, shown: Iterable[str]) -> tuple[str, ...]:
    """Outputs that an earlier version filled and this one does not."""
    names = set(shown)
    return tuple(o.name for o in OUTPUTS if o.name not in names and _item(group, o.name, "OUTPUT") is not None)


def _ensure(group: NodeTree, socket: Output | Dial, side: str) -> bool:
    """Whether the socket had to be made."""
    if _item(group, socket.name, side) is not None:
        return False
    item = group.interface.new_socket(name=socket.name, in_out=side, socket_type=socket.kind)
    item.description = socket.description
    known = dict(group.get(SOCKETS, {}))
    known[f"{side} {socket.name}"] = item.identifier
    group[SOCKETS] = known
    return True


def _item(group: NodeTree, name: str, side: str):
    wanted = dict(group.get(SOCKETS, {})).get(f"{side} {name}")
    for item in group.interface.items_tree:
        if item.item_type == "SOCKET" and item.in_out == side and item.identifier == wanted:
            return item
    return None
