"""One node group per shot that shows its result, built once and brought up to date as frames and versions arrive.

Owns the group's inside, and finds the group by a property, so the artist may rename it. Keeps no reference to anything
in Blender between calls. Everything it makes is a plain node, so the .blend renders without the extension.

The caller does not call while a render runs, and makes the undo step where a timer called.
"""

from __future__ import annotations

import bpy
from bpy.types import NodeSocket, NodeTree

from ..core import InputError
from . import flag, images, sockets
from .delivery import Delivery
from .layers import OUTPUTS, REBUILT_FROM
from .placing import label_nodes
from .rebuild import rebuild
from .status import Status, groups_of, mark, set_status, status_of
from .wiring import Wiring

_BUILT, _SHOWN = "platelight_built", "platelight_shown"
_FORMAT = 2  # of what `_build` makes; a higher one builds the inside of older groups anew


def update_group(shot_key: str, delivery: Delivery) -> NodeTree:
    """The shot's node group, showing this delivery; made where there is none, else brought up to date.

    Links to its sockets stay. The same delivery again changes nothing. Raises FrameError where a file is not there,
    InputError where the group belongs to a linked library; then nothing has changed.
    """
    found = groups_of(shot_key)
    own = [group for group in found if group.library is None]
    if found and not own:
        raise InputError(
            f"{delivery.name}: its result nodes are linked from {found[0].library.filepath} and cannot be changed "
            "here. Make the node group local, or update the result in that file."
        )
    images.require_file(delivery)  # before anything is changed
    if not own:
        group = bpy.data.node_groups.new(f"Platelight {delivery.name}", "CompositorNodeTree")
        mark(group, shot_key)
        own = [group]
    for group in own:  # a copy that the artist made shows the same images, so it must follow
        if images.is_elsewhere(group, delivery):
            _clear(group)  # an Image node keeps a socket whose layer is gone as long as it is linked
    for group in own:
        _show(group, delivery)
        label_nodes(group)
    return own[0]


def say_landed(shot_key: str, delivery: Delivery) -> None:
    """Says which frames are there, and changes nothing for which Blender would composite anew."""
    for group in groups_of(shot_key):
        if group.library is None:
            before = status_of(group)
            set_status(group, Status(before.title, delivery.missing(), before.notes))
            label_nodes(group)


def _show(group: NodeTree, delivery: Delivery) -> None:
    node, note = images.point_at(group, images.MAIN, delivery.name, delivery)
    notes, layers = [note], dict(images.layer_sockets(node, images.MAIN))
    if delivery.aux and delivery.aux_file(delivery.delivered.first).is_file():
        node, _ = images.point_at(group, images.AUX, delivery.name, delivery)
        layers.update(images.layer_sockets(node, images.AUX))
    else:
        images.remove(group, images.AUX)
        if delivery.aux:
            notes.append(f"{delivery.title()} has no auxiliary files, so there are no dials. Relight with all layers.")
    space = "" if note else delivery.colorspace
    built = f"{_FORMAT} {space} {flag.shape_of(delivery.runs())} {sorted(layers)}"
    if group.get(_BUILT) != built:
        _build(group, delivery, layers, space)
        group[_BUILT] = built
    flag.set_runs(group, delivery.runs())
    empty = sockets.left_empty(group, _shown_outputs(layers))
    if empty:
        notes.append(f"{delivery.title()} has no {', '.join(empty)}: these outputs are empty.")
    _forget_landed(group, delivery)
    set_status(group, Status(delivery.title(), delivery.missing(), tuple(filter(None, notes))))


def _shown_outputs(layers: dict[str, NodeSocket]) -> set[str]:
    shown = {output.name for output in OUTPUTS if output.layer in layers}
    return shown | {"Delivered"} | ({"Image"} if "composite" in layers or set(REBUILT_FROM) <= set(layers) else set())


def _build(group: NodeTree, delivery: Delivery, layers: dict[str, NodeSocket], space: str) -> None:
    """The inside anew, all but the Image nodes, whose sockets come from the files."""
    _clear(group)
    sockets.ensure_outputs(group, _shown_outputs(layers))
    wiring = Wiring(group)
    shown = {output.name: layers[output.layer] for output in OUTPUTS if output.layer in layers}
    if set(REBUILT_FROM) <= set(layers):
        sockets.ensure_dials(group)
        dials = group.nodes.new("NodeGroupInput")
        dials.location = (-360, 320)
        made = rebuild(wiring, layers, sockets.given(group, dials), space or None)
        shown.update({"Image": made.image, "Relit": made.relit, "Alpha": made.alpha})
    elif "composite" in layers:
        shown["Image"] = layers["composite"]
    there = flag.delivered_flag(wiring, delivery.runs())
    wiring.stage("Nothing where nothing is delivered", 1)
    ends = {name: wiring.masked(socket, there) for name, socket in shown.items()} | {"Delivered": there}
    out = group.nodes.new("NodeGroupOutput")
    out.location = (wiring.right, 0)
    for name, socket in ends.items():
        group.links.new(socket, sockets.socket_of(out.inputs, sockets.identifier(group, name, "OUTPUT")))


def _clear(group: NodeTree) -> None:
    group[_BUILT] = ""
    for node in list(group.nodes):
        if node.get(images.ROLE) is None:
            group.nodes.remove(node)


def _forget_landed(group: NodeTree, delivery: Delivery) -> None:
    """Forgets where a scene stands on a frame that Blender saw missing; others are looked for when they are shown."""
    shown = f"{delivery.folder}\n{delivery.delivered}"
    before = group.get(_SHOWN, "")
    if before == shown:
        return
    group[_SHOWN] = shown
    folder, _, text = before.partition("\n")
    if folder != str(delivery.folder):
        return  # just loaded
    known = type(delivery.delivered).parse(text)
    landed = {number for number in delivery.delivered if number not in known}
    seen = {delivery.file_number(scene.frame_current) for scene in bpy.data.scenes}
    if landed & seen:
        images.forget_frames(group)
