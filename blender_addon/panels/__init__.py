"""The Platelight tab in the sidebars of compositor, clip editor and sequencer. Panels only read; nothing waits here."""

from __future__ import annotations

import bpy

from .. import preview_editors, pump
from .dials import draw_dials, draw_inputs, draw_more
from .header import DRAWERS, HEADERS
from .jobs import draw_jobs, draw_queue
from .menus import CLASSES as MENUS
from .menus import EDITORS, draw_entry
from .shot import draw_main

__all__ = ["draw_dials", "draw_inputs", "draw_jobs", "draw_main", "draw_more", "draw_queue", "register", "unregister"]

# suffix, label, what draws it, folded; the first one holds the others
PAGES = (
    ("main", "Platelight", draw_main, False),
    ("dials", "Look", draw_dials, False),
    ("inputs", "Inputs", draw_inputs, True),
    ("more", "More", draw_more, True),
    ("jobs", "Jobs", draw_jobs, False),
    ("queue", "Queue on This Server", draw_queue, True),
)
SPACES = (("node", "NODE_EDITOR"), ("clip", "CLIP_EDITOR"), ("strip", "SEQUENCE_EDITOR"))


class _Tab:
    """In the sidebar's Platelight tab."""

    bl_region_type = "UI"
    bl_category = "Platelight"

    @classmethod
    def poll(cls, context):
        space = context.space_data
        return space.type != "NODE_EDITOR" or space.tree_type == "CompositorNodeTree"


def _panel(editor, space, suffix, label, draw, closed):
    """One panel class for an editor: Blender ties a panel to one kind of space."""
    body = {
        "bl_space_type": space,
        "bl_label": label,
        "bl_idname": f"PLATELIGHT_PT_{editor}_{suffix}",
        "bl_options": {"DEFAULT_CLOSED"} if closed else set(),
        "draw": lambda self, context: draw(self.layout, context),
        "__doc__": label,
    }
    if suffix != "main":
        body["bl_parent_id"] = f"PLATELIGHT_PT_{editor}_main"
    return type(body["bl_idname"], (_Tab, bpy.types.Panel), body)


def _popover(identifier, space):
    """The jobs as they unfold from a header."""
    body = {
        "bl_space_type": space,
        "bl_region_type": "HEADER",
        "bl_label": "Platelight Jobs",
        "bl_idname": identifier,
        "bl_ui_units_x": 16,
        "draw": lambda self, context: draw_jobs(self.layout, context),
        "__doc__": "Platelight's jobs",
    }
    return type(identifier, (bpy.types.Panel,), body)


CLASSES = (
    *MENUS,
    *(_panel(editor, space, *page) for editor, space in SPACES for page in PAGES),
    *(_popover(identifier, space) for identifier, (_, space) in zip(HEADERS.values(), SPACES, strict=True)),
)


def register() -> None:
    """Adds the tab, the jobs in the headers and the menus."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for name, draw in DRAWERS.items():
        getattr(bpy.types, name).append(draw)
    for name in EDITORS:
        getattr(bpy.types, name).append(draw_entry)
    pump.ticked.append(preview_editors.turn)


def unregister() -> None:
    """Takes them away."""
    pump.ticked.remove(preview_editors.turn)
    for name in EDITORS:
        getattr(bpy.types, name).remove(draw_entry)
    for name, draw in DRAWERS.items():
        getattr(bpy.types, name).remove(draw)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
