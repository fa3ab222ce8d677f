"""What the artist can do: each operator runs from a button, from a script, and in `blender -b` with `wait=True`.

They are thin: what happens is the desk's. An error is one sentence, reported; in background mode nothing pops up.
"""

from __future__ import annotations

import bpy

from ..tracking import choose_tab
from . import boxes, fixes, options, picking, results, server, shots, work

MODULES = (shots, fixes, boxes, work, results, options, picking, server)
CLASSES = tuple(cls for module in MODULES for cls in module.CLASSES)


def register() -> None:
    """Adds the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Takes them away, and the timer that one of them may have left."""
    if bpy.app.timers.is_registered(choose_tab):
        bpy.app.timers.unregister(choose_tab)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
