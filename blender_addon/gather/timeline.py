"""Objects and worlds as they are on other frames: animation, drivers, constraints and parents evaluated, the playhead
left alone.

They are linked into a scene of their own for a moment, and that scene is stepped through the frames: Blender
brings in whatever they depend on. The artist's scene, frame and unkeyed changes are not touched (`frame_set` on it
would undo unkeyed changes, and cost a redraw of everything). 10 µs per frame for two objects on 2 cores; the artist's
frame handlers are kept from running meanwhile. Rigid body simulations do not run in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import bpy

Read = TypeVar("Read")
HANDLERS = ("frame_change_pre", "frame_change_post", "depsgraph_update_pre", "depsgraph_update_post")
TRANSIENT_NAME = ".platelight timeline"


def over_frames(
    scene: Any, objects: Sequence[Any], frames: Sequence[int], read: Callable[[list[Any]], Read]
) -> list[Read]:
    """What `read` makes of the evaluated objects or worlds (in order) on each of the scene frames.

    What cannot change is read once: the list then repeats one value. Nothing of Blender's may be kept by `read`.
    """
    if all(is_still(one) for one in objects):
        with _transient(scene, objects) as stepped:
            value = read(stepped(frames[0]))
        return [value] * len(frames)
    with _transient(scene, objects) as stepped:
        return [read(stepped(frame)) for frame in frames]


def now(context: Any, scene: Any, objects: Sequence[Any]) -> list[Any] | None:
    """The objects as the window shows them, where none of them can change over time; else None.

    Costs nothing, so a light can be dragged with the result following. Only for the scene of the context.
    """
    if context is None or getattr(context, "scene", None) != scene or not all(is_still(one) for one in objects):
        return None
    graph = context.evaluated_depsgraph_get()
    return [one.evaluated_get(graph) for one in objects]


def is_still(thing: Any) -> bool:
    """Whether nothing about an object or a world can depend on the frame. Errs towards moving."""
    if isinstance(thing, bpy.types.Object):
        if thing.parent is not None or any(not one.mute for one in thing.constraints) or thing.rigid_body is not None:
            return False
        if thing.data is not None and not is_still(thing.data):
            return False
    return not _is_animated(thing) and not has_moving_nodes(thing)


def has_moving_nodes(owner: Any) -> bool:
    """Whether something in a datablock's nodes, or in the groups among them, can depend on the frame."""
    return any(_is_animated(tree) for tree in trees_of(getattr(owner, "node_tree", None)))


def is_alone(one: Any) -> bool:
    """Whether an object moves by its own keys alone, so that nothing else in the file can change where and what it is.

    Its data's nodes count as well. Errs towards False.
    """
    if one.parent is not None or len(one.constraints) > 0 or one.rigid_body is not None:
        return False
    data = one.data
    trees = trees_of(getattr(data, "node_tree", None))
    held = [getattr(owner, "animation_data", None) for owner in (one, data, *trees) if owner is not None]
    return all(len(animation.drivers) == 0 for animation in held if animation is not None)


def trees_of(tree: Any) -> list[Any]:
    """A node tree and those of the groups in it, each once."""
    found, waiting = [], [tree]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting.extend(node.node_tree for node in one.nodes if getattr(node, "node_tree", None) is not None)
    return found


def _is_animated(owner: Any) -> bool:
    held = getattr(owner, "animation_data", None)
    return held is not None and (held.action is not None or len(held.drivers) > 0 or len(held.nla_tracks) > 0)


@contextmanager
def _transient(scene: Any, objects: Sequence[Any]) -> Iterator[Callable[[int], list[Any]]]:
    kept = {name: list(getattr(bpy.app.handlers, name)) for name in HANDLERS}
    for name in HANDLERS:
        getattr(bpy.app.handlers, name).clear()
    made = bpy.data.scenes.new(TRANSIENT_NAME)
    try:
        _like(made, scene)
        for one in objects:
            if isinstance(one, bpy.types.World):
                made.world = one
            else:
                made.collection.objects.link(one)

        def stepped(frame: int) -> list[Any]:
            made.frame_set(frame)
            graph = made.view_layers[0].depsgraph
            return [one.evaluated_get(graph) for one in objects]

        yield stepped
    finally:
        bpy.data.scenes.remove(made)
        # To Blender, a scene that comes and goes changes every object: that is told to nobody.
        if bpy.context.view_layer is not None:
            bpy.context.view_layer.update()
        for name in HANDLERS:
            getattr(bpy.app.handlers, name).extend(kept[name])


def _like(made: Any, scene: Any) -> None:
    """What constraints and drivers ask a scene for: its clip, times, units and custom properties."""
    made.active_clip = scene.active_clip
    for name in ("frame_start", "frame_end", "frame_step"):
        setattr(made, name, getattr(scene, name))
    for name in (
        "fps", "fps_base", "frame_map_old", "frame_map_new", "resolution_x", "resolution_y", "resolution_percentage",
        "pixel_aspect_x", "pixel_aspect_y",
    ):  # fmt: skip
        setattr(made.render, name, getattr(scene.render, name))
    made.camera = scene.camera
    for key in scene.keys():  # noqa: SIM118
        if isinstance(value := scene[key], (bool, int, float, str)):
            made[key] = value
