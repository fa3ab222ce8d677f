"""What Blender tells us of: a file was loaded, something in the scene changed. Handlers only note it."""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from . import pump
from .desk import desk
from .gather.memory import OWN_LIGHTS
from .gather.raster import cancel_all

# Told along with whatever changes; what is read of them is never kept, or part of what it is kept under.
BESIDE = (bpy.types.Scene, bpy.types.Collection, bpy.types.Image)


@persistent
def file_loaded(*_: object) -> None:
    """Nothing of the last file counts; the jobs of this one are followed again."""
    desk.forget_file()
    desk.adopt()
    pump.session.changed = True


@persistent
def scene_changed(scene: object, depsgraph: bpy.types.Depsgraph) -> None:
    """Lights, cameras and masks are read anew where something of them may have changed."""
    if desk.is_reading:
        return
    told = [update.id for update in depsgraph.updates]
    desk.watch.forget(one.original for one in told)
    if all(isinstance(one, bpy.types.Image) for one in told):
        return  # a preview has come (4.3 tells of nothing then), or a picture was painted on
    if all(isinstance(one, BESIDE) or is_lamp(one) for one in told):
        desk.memory.forget({"lights", OWN_LIGHTS})  # a lamp is dragged: sampling a camera again would block the drag
    elif any(is_lamp(one) or may_move_lamps(one) for one in told):
        desk.memory.forget()
    else:
        desk.memory.forget_but({OWN_LIGHTS})
    desk.changed()


@persistent
def frame_changed(*_: object) -> None:
    """A live preview follows the playhead."""
    if not desk.is_reading:
        desk.changed()


@persistent
def undone(*_: object) -> None:
    """Everything may be another, and a result's nodes may be of an earlier state, or gone."""
    desk.memory.forget()
    desk.watch.forget()
    desk.changed()
    desk.after_undo()


def is_lamp(block: object) -> bool:
    """Whether a datablock is a light or an object that is one."""
    return isinstance(block, bpy.types.Light) or (isinstance(block, bpy.types.Object) and block.type == "LIGHT")


def may_move_lamps(block: bpy.types.ID) -> bool:
    """Whether it is what a light without any others may depend on: keys, and a group among its nodes."""
    return isinstance(block, bpy.types.Action) or (
        isinstance(block, bpy.types.NodeTree) and not block.original.is_embedded_data
    )


HANDLERS = {
    "load_post": file_loaded,
    "depsgraph_update_post": scene_changed,
    "frame_change_post": frame_changed,
    "undo_post": undone,
    "redo_post": undone,
}


def register() -> None:
    """Listens."""
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)
    pump.ticked.append(desk.turn)


def unregister() -> None:
    """Listens no longer, and ends the drawings that are under way."""
    cancel_all()
    pump.ticked.remove(desk.turn)
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
