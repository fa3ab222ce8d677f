"""The image datablocks behind a result: one for the main files of a shot and one for its auxiliary files.

A new version repoints the same datablock and reloads it, which keeps the links of every node that shows it. Nothing is
kept here between calls: undo and loading a file would make a kept reference point at freed memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import bpy
from bpy.types import ColorManagedInputColorspaceSettings, Image, Node, NodeSocket, NodeTree

from ..core import FrameError
from .delivery import Delivery
from .layers import AUX_LAYERS, MAIN_LAYERS, SOCKET_OF
from .stand_in import stand_in

MAIN, AUX = "main", "aux"
ROLE = "platelight_role"  # on the Image nodes of a group


def image_node(group: NodeTree, role: str) -> Node | None:
    """The group's node for the main or for the auxiliary files."""
    return next((node for node in group.nodes if node.get(ROLE) == role), None)


def point_at(group: NodeTree, role: str, shot: str, delivery: Delivery) -> tuple[Node, str]:
    """The group's Image node for `role`, showing this delivery; and what is to be said about its colour, or nothing.

    The file that names the sequence stays the same while a version grows. The node has the frames of the whole job from
    the start: which of them show is told by the flag, at no cost. No frame is read here, see `stand_in`.
    """
    node = image_node(group, role) or _new_node(group, role)
    path, frames = _sequence_file(node.image, role, delivery), delivery.frames
    _set(node, frame_start=delivery.scene_frame_first, frame_duration=frames.last - frames.first + 1)
    _set(node, frame_offset=frames.first - 1, use_auto_refresh=True, use_cyclic=False)
    image = node.image
    if image is None or _absolute(image) != path:
        image = _named(node, path, delivery.colorspace, f"Platelight {shot}" + (" aux" if role == AUX else ""))
    elif image.colorspace_settings.name != _space(image, delivery.colorspace):
        image = _named(node, path, delivery.colorspace, image.name)
    return node, _note(image, delivery.colorspace)


def remove(group: NodeTree, role: str) -> None:
    """Takes the Image node out of the group, and the datablock out of the file where nothing else shows it."""
    node = image_node(group, role)
    if node is None:
        return
    image = node.image
    group.nodes.remove(node)
    if image is not None and image.users == 0:
        bpy.data.images.remove(image)


def require_file(delivery: Delivery) -> None:
    """Raises FrameError where this machine does not see what is delivered."""
    path = delivery.main_file(delivery.delivered.first).absolute()
    if not path.is_file():
        text = f"{path}: this frame is delivered, but this machine does not see the file"
        raise FrameError(f"{text}. Check that the folder is mounted here, or set where the server's root lies.")


def is_elsewhere(group: NodeTree, delivery: Delivery) -> bool:
    """Whether the group shows other files than those of this delivery: another version, or another place."""
    node = image_node(group, MAIN)
    return node is None or not _belongs(node.image, delivery.main_file, delivery)


def forget_frames(group: NodeTree) -> None:
    """Makes Blender forget what it knows of the files; needed where it has seen a frame that was not there yet."""
    for role in (MAIN, AUX):
        node = image_node(group, role)
        if node is not None and node.image is not None:
            node.image.buffers_free()


def layer_sockets(node: Node, role: str) -> Mapping[str, NodeSocket]:
    """The layers that Blender found in the files, by name."""
    found = {layer: node.outputs.get(SOCKET_OF.get(layer, layer)) for layer in _layers(role)}
    if role == MAIN and found["composite"] is None:  # a file of R, G, B, A alone is no multilayer file to Blender
        found["composite"] = node.outputs.get("Image")
    return {layer: socket for layer, socket in found.items() if socket is not None}


def _layers(role: str) -> tuple[str, ...]:
    return MAIN_LAYERS if role == MAIN else AUX_LAYERS


def _named(node: Node, path: Path, colorspace: str, name: str) -> Image:
    """The node's image, made where there is none, named by this file and with the sockets of its layers."""
    image = node.image
    with stand_in(path) as small:
        if image is None:
            image = bpy.data.images.load(str(small), check_existing=False)
            image.name, image.source = name, "SEQUENCE"
        else:
            image.filepath = str(small)
        # Last, as from 5.0 on whatever reads the file takes the space that its header names.
        _set(image.colorspace_settings, name=_space(image, colorspace))
        if node.image is None:
            node.image = image
            _set(image.colorspace_settings, name=_space(image, colorspace))
        image.filepath_raw = _as_blender_saves(path)
        image.buffers_free()
    return image


def _new_node(group: NodeTree, role: str) -> Node:
    node = group.nodes.new("CompositorNodeImage")
    node[ROLE] = role
    node.label = "Delivered" if role == MAIN else "Delivered, auxiliary"
    node.location = (-360, 0 if role == MAIN else -320)
    return node


def _sequence_file(image: Image | None, role: str, delivery: Delivery) -> Path:
    """The file that stands for the sequence: the one shown now if it belongs to this delivery, else the first."""
    file_of = delivery.main_file if role == MAIN else delivery.aux_file
    if _belongs(image, file_of, delivery):
        return _absolute(image)
    return file_of(delivery.delivered.first).absolute()


def _belongs(image: Image | None, file_of: Callable[[int], Path], delivery: Delivery) -> bool:
    """Whether an image names a delivered file of this delivery."""
    if image is None:
        return False
    path = _absolute(image)
    number = re.search(r"(\d+)\.exr$", path.name, re.ASCII)
    return number is not None and int(number[1]) in delivery.delivered and path == file_of(int(number[1])).absolute()


def _absolute(image: Image) -> Path:
    return Path(bpy.path.abspath(image.filepath, library=image.library)).absolute()


def _as_blender_saves(path: Path) -> str:
    """Relative to the .blend where the artist's preferences say so and there is a way, else absolute."""
    if not bpy.data.filepath or not bpy.context.preferences.filepaths.use_relative_paths:
        return str(path)
    try:
        return bpy.path.relpath(str(path))
    except ValueError:  # another drive on Windows
        return str(path)


def _set(owner: Image | Node | ColorManagedInputColorspaceSettings, **values: int | str) -> None:
    """Sets what is different. Setting some of these, to the same value too, makes Blender read a frame from disk."""
    for name, value in values.items():
        if getattr(owner, name) != value:
            setattr(owner, name, value)


def _space(image: Image, name: str) -> str:
    """The space that the image is to have: the one asked for, where this Blender knows it."""
    return name if _is_known(image, name) else working_space()


def _is_known(image: Image, name: str) -> bool:
    return name in image.colorspace_settings.bl_rna.properties["name"].enum_items


def _note(image: Image, name: str) -> str:
    if _is_known(image, name):
        return ""
    return (
        f"This Blender has no colour space '{name}', so the result is shown as if it were in Blender's working "
        "space. Start Blender with the $OCIO config that the plate is made in."
    )


def working_space() -> str:
    """The working space as this Blender's OCIO config calls it, which no function tells before 5.0."""
    tree = bpy.data.node_groups.new("platelight asks", "CompositorNodeTree")
    try:
        return tree.nodes.new("CompositorNodeConvertColorSpace").from_color_space
    finally:
        bpy.data.node_groups.remove(tree)
