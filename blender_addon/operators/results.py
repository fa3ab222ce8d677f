"""What came back: the preview, and the result's nodes."""

from __future__ import annotations

import bpy

from .. import results
from ..core import InputError
from ..desk import Plan, blender_space, chosen, desk, key_of
from ..gather import gather
from ..preview_editors import show_in_window
from ..preview_image import PREFIX
from .base import OfShot


class PLATELIGHT_OT_show_preview(OfShot, bpy.types.Operator):
    """Shows the preview in this window's Image Editor, or in a new window where there is none"""

    bl_idname = "platelight.show_preview"
    bl_label = "Show Preview"

    def do(self, context):
        _, shot = chosen(context)
        image = bpy.data.images.get(PREFIX + shot.name)
        if image is None:
            raise InputError("There is no preview yet: press Preview Frame.")
        if not bpy.app.background:
            show_in_window(context, image)


class PLATELIGHT_OT_show_result(OfShot, bpy.types.Operator):
    """Brings the result's nodes up to date with what is on disk"""

    bl_idname = "platelight.show_result"
    bl_label = "Show Result"
    bl_options = {"REGISTER", "UNDO"}

    def do(self, context):
        scene, shot = chosen(context)
        found = gather(scene, shot, context, max(shot.version, 1), desk.memory)
        if found.recipe is None or found.folder is None or found.mapping is None:
            raise InputError(found.problems[0].text if found.problems else "The shot cannot be read.")
        name, frames = found.recipe.output_name, found.recipe.frames
        there = results.found_in(found.folder, name)
        delivered = {number for number in there or () if number in frames}
        if not delivered:
            raise InputError(f"{found.folder}: there are no frames of {name} yet.")
        plan = Plan(
            key_of(scene, shot), found.folder, name, frames, found.mapping.scene(frames.first),
            blender_space(key_of(scene, shot), found.recipe),
        )  # fmt: skip
        desk.said.pop(plan.key, None)
        desk.show_result(plan, delivered)
        if plan.key in desk.said:
            raise InputError(desk.said[plan.key])


class PLATELIGHT_OT_connect(OfShot, bpy.types.Operator):
    """Makes the result what this scene renders"""

    bl_idname = "platelight.connect"
    bl_label = "Connect to Output"
    bl_options = {"REGISTER", "UNDO"}

    def do(self, context):
        scene, shot = chosen(context)
        group = results.find_group(key_of(scene, shot))
        if group is None:
            raise InputError("There is no result yet: relight the shot.")
        before = results.connect(scene, group)
        if before:
            self.report({"INFO"}, f"Instead of {before}")


CLASSES = (PLATELIGHT_OT_show_preview, PLATELIGHT_OT_show_result, PLATELIGHT_OT_connect)
