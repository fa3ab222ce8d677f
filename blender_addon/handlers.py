"""What Blender tells us of: a file was loaded, something in the scene changed. Handlers only note it."""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from . import pump
from .desk import desk
from .gather.raster import cancel_all


@persistent
def file_loaded(*_: object) -> None:
    """Nothing of the last file counts; the jobs of this one are followed again."""
    desk.forget_file()
    desk.adopt()
    pump.session.changed = True


@persistent
def scene_changed(scene: object, depsgraph: object = None) -> None:
    """Lights, cameras and masks are read anew where something of them may have changed."""
    desk.memory.forget()


def register() -> None:
    """Listens."""
    bpy.app.handlers.load_post.append(file_loaded)
    bpy.app.handlers.depsgraph_update_post.append(scene_changed)
    pump.ticked.append(desk.turn)


def unregister() -> None:
    """Listens no longer, and ends the drawings that are under way."""
    cancel_all()
    pump.ticked.remove(desk.turn)
    bpy.app.handlers.depsgraph_update_post.remove(scene_changed)
    bpy.app.handlers.load_post.remove(file_loaded)
