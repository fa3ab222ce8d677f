"""Where a result's node stands: in a scene's compositor, beside what the artist has there, and labelled.

Adding the node changes no picture. What the scene renders changes only where `connect` is called. Trees that belong to
a linked library are refused: Blender lets a script edit them and drops the edit when the file is saved.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy
from bpy.types import Node, NodeTree, Scene

from .. import compat
from ..core import InputError
from .sockets import identifier, socket_of
from .status import status_of

_LABEL = "platelight_label"  # on a node: the label that we gave it; another one is the artist's and stays
MISSING_COLOR = (0.45, 0.12, 0.08)


def add_to_compositor(scene: Scene, group: NodeTree) -> Node:
    """The group's node in the scene's compositor; added under the other nodes, unconnected, where it is not there.

    Raises InputError where the scene or its tree is linked from a library.
    """
    tree = _own_tree(scene)
    for node in _nodes_of(group, (tree,)):
        return node
    placed = [node for node in tree.nodes if node.bl_idname != "NodeFrame"]
    left = min((node.location.x for node in placed), default=0.0)
    bottom = min((node.location.y - max(node.height, node.dimensions.y) for node in placed), default=0.0)
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree, node.width = group, 220
    node.location = (left, bottom - 80 if placed else 0.0)
    label_nodes(group)
    return node


def connect(scene: Scene, group: NodeTree) -> str:
    """Makes the result what the scene renders. Returns the name of the node that was connected before, or nothing."""
    node = add_to_compositor(scene, group)
    image = socket_of(node.outputs, identifier(group, "Image", "OUTPUT"))
    if image is None:
        raise InputError(f"{group.name}: there is no composite to connect. Relight with the layer 'composite'.")
    tree = compat.compositor_tree(scene, create=True)  # and switched on, where it was off
    target = compat.compositor_output(tree)
    before = target.links[0].from_node if target.is_linked else None
    tree.links.new(image, target)
    scene.render.use_compositing = True
    return "" if before is None or before == node else before.name


def label_nodes(group: NodeTree) -> None:
    """Writes version and missing frames onto every node that shows the group; missing frames colour it."""
    status = status_of(group)
    label = f"{status.title} · {status.missing}" if status.missing else status.title
    for node in _nodes_of(group, _local_trees()):
        ours = node.get(_LABEL, "")
        if node.label in ("", ours):
            node.label = node[_LABEL] = label
        if status.missing:
            node.use_custom_color, node.color = True, MISSING_COLOR
        elif node.use_custom_color and all(abs(a - b) < 1e-3 for a, b in zip(node.color, MISSING_COLOR, strict=True)):
            node.use_custom_color = False


def _own_tree(scene: Scene) -> NodeTree:
    if scene.library is not None or scene.override_library is not None:
        raise InputError(f"Scene '{scene.name}' is linked from another file. Add the result in a scene of this file.")
    tree = compat.resting_compositor_tree(scene)
    fresh = tree is None
    if fresh:
        tree = compat.compositor_tree(scene, create=True)
    if tree.library is not None or tree.override_library is not None:
        raise InputError(
            f"The compositor of scene '{scene.name}' is linked from another file, and what is added to it is lost when "
            "this file is saved. Make its node tree local first."
        )
    if fresh and not len(tree.nodes):
        _pass_render_through(tree)
    return tree


def _pass_render_through(tree: NodeTree) -> None:
    """From 5.0 on a new tree is empty, and with an empty tree nothing is rendered any more."""
    target = compat.compositor_output(tree)
    target.node.location = (400, 0)
    tree.links.new(tree.nodes.new("CompositorNodeRLayers").outputs["Image"], target)


def _local_trees() -> Iterator[NodeTree]:
    for scene in bpy.data.scenes:
        tree = compat.resting_compositor_tree(scene)
        if tree is not None and scene.library is None and tree.library is None:
            yield tree
    for tree in bpy.data.node_groups:
        if tree.bl_idname == "CompositorNodeTree" and tree.library is None:
            yield tree


def _nodes_of(group: NodeTree, trees) -> Iterator[Node]:
    for tree in trees:
        for node in tree.nodes:
            if node.bl_idname == "CompositorNodeGroup" and node.node_tree == group:
                yield node
