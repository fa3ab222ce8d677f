"""Boxes of the keyer: dragged over the plate in a clip or image editor, or given by a script in pixels."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty, IntProperty, IntVectorProperty

from ..core import InputError
from ..desk import chosen
from ..gather.pictures import read_header
from ..offers import plate_file
from .base import OfShot
from .picking import is_plate_shown, place_under


class PLATELIGHT_OT_screen_box(OfShot, bpy.types.Operator):
    """Adds a box that is all background, or all foreground: drag it over the plate in the clip editor. Esc cancels"""

    bl_idname = "platelight.screen_box"
    bl_label = "Add Box"
    bl_options = {"REGISTER", "UNDO"}

    kind: EnumProperty(
        name="Box",
        description="What the box is",
        items=(("garbage", "Garbage", "Background"), ("hold_out", "Hold Out", "Foreground")),
    )
    box: IntVectorProperty(
        name="Pixels", description="Left, top, right and bottom, in the plate from its top left", size=4, min=0
    )

    def invoke(self, context, event):
        """From a button: waits for a drag over the plate."""
        if bpy.app.background:
            return self.execute(context)
        if not is_plate_shown(context, chosen(context)[1]):
            self.report({"ERROR"}, "The plate is not shown in this window: open it in a clip editor, and drag again.")
            return {"CANCELLED"}
        self.start = None
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set("Drag from one corner of the box to the other, Esc to cancel")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """A drag inside the plate ends it, and so do Esc and the right button."""
        if event.type in {"ESC", "RIGHTMOUSE"}:
            return self._end(context, {"CANCELLED"})
        if event.type != "LEFTMOUSE" or event.value not in {"PRESS", "RELEASE"}:
            return {"RUNNING_MODAL"}
        scene, shot = chosen(context)
        place = place_under(context, event, scene, shot)
        if event.value == "PRESS" or place is None or self.start is None:
            self.start = place if event.value == "PRESS" else None
            return {"RUNNING_MODAL"}
        width, height = _plate_size(scene, shot)
        across, down = (sorted(pair) for pair in zip(self.start, place, strict=True))
        self.box = (
            round(across[0] * width), round(down[0] * height), round(across[1] * width), round(down[1] * height),
        )  # fmt: skip
        return self._end(context, self.execute(context))

    def _end(self, context, answer):
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        return answer

    def do(self, context):
        _, shot = chosen(context)
        left, top, right, bottom = self.box
        if left >= right or top >= bottom:
            raise InputError(f"The box: expected left < right and top < bottom, got {left}, {top}, {right}, {bottom}.")
        made = shot.keying.boxes.add()
        made.kind, made.left, made.top, made.right, made.bottom = self.kind, left, top, right, bottom


class PLATELIGHT_OT_remove_screen_box(OfShot, bpy.types.Operator):
    """Removes this box of the keyer"""

    bl_idname = "platelight.remove_screen_box"
    bl_label = "Remove Box"
    bl_options = {"REGISTER", "UNDO"}

    index: IntProperty(name="Box", description="Its place in the list, from 0", min=0)

    def do(self, context):
        _, shot = chosen(context)
        if self.index >= len(shot.keying.boxes):
            raise InputError(f"The box: expected one of {len(shot.keying.boxes)}, got {self.index}.")
        shot.keying.boxes.remove(self.index)


def _plate_size(scene, shot) -> tuple[int, int]:
    """Width and height of the plate's display window, pixels. The plate is shown, so it is a clip or an image."""
    path = plate_file(scene, shot)
    header = read_header(path) if path is not None else None
    if header is not None:
        return header.width_px, header.height_px
    block = shot.plate_clip if shot.plate_kind == "CLIP" else shot.plate_image
    return tuple(block.size)


CLASSES = (PLATELIGHT_OT_screen_box, PLATELIGHT_OT_remove_screen_box)
