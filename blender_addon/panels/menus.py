"""Menus: what an input can be taken from, the engines, and *Platelight* in the editors, where F3 looks."""

from __future__ import annotations

import bpy

from .. import pump
from ..offers import INPUTS, offers
from ..settings import active_shot
from .shot import draw_offer

# In the order of use; those with settings of their own in the panel are left out.
ENTRIES = (
    ("add_shot", "ADD"),
    ("preview", "IMAGE_DATA"),
    ("live", "REC"),
    ("show_preview", "WINDOW"),
    ("render_view", "RENDER_ANIMATION"),
    ("stop_rendering", "X"),
    ("relight", "LIGHT_SUN"),
    ("show_result", "NODETREE"),
    ("connect", "LINKED"),
    ("start_server", "PLAY"),
    ("show_log", "TEXT"),
    ("remove_shot", "REMOVE"),
)
EDITORS = (
    "NODE_MT_editor_menus",
    "CLIP_MT_tracking_editor_menus",
    "CLIP_MT_masking_editor_menus",
    "SEQUENCER_MT_editor_menus",
)


class PLATELIGHT_MT_menu(bpy.types.Menu):
    """Relights the plate"""

    bl_idname = "PLATELIGHT_MT_menu"
    bl_label = "Platelight"

    def draw(self, context):
        """All operators that need no setting of their own, and the ways to put an input right."""
        for name, icon in ENTRIES:
            self.layout.operator(f"platelight.{name}", icon=icon)
        if active_shot(context.scene) is not None:
            self.layout.separator()
            for name in INPUTS:
                self.layout.menu(f"PLATELIGHT_MT_fix_{name}")


class PLATELIGHT_MT_engine(bpy.types.Menu):
    """The server's engines"""

    bl_idname = "PLATELIGHT_MT_engine"
    bl_label = "Engine"

    def draw(self, context):
        """One entry for each."""
        for engine in pump.session.engines:
            name = str(engine.get("name"))
            self.layout.operator("platelight.engine", text=name).name = name


def _menu(name: str) -> type:
    def draw(self, context):
        shot = active_shot(context.scene)
        for offer in offers(name, context.scene, shot) if shot is not None else ():
            draw_offer(self.layout, name, offer)

    identifier = f"PLATELIGHT_MT_fix_{name}"
    body = {"bl_idname": identifier, "bl_label": f"Choose {name.capitalize()}", "draw": draw, "__doc__": f"The {name}"}
    return type(identifier, (bpy.types.Menu,), body)


def draw_entry(self, context):
    """The menu in an editor's header; of node editors, in the compositor's."""
    if context.space_data is None or getattr(context.space_data, "tree_type", "CompositorNodeTree") == (
        "CompositorNodeTree"
    ):
        self.layout.menu("PLATELIGHT_MT_menu")


CLASSES = (*(_menu(name) for name in INPUTS), PLATELIGHT_MT_engine, PLATELIGHT_MT_menu)
