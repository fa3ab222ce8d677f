"""Shots are added, filled in from what the editor shows, and removed."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import compat
from ..desk import desk
from ..offers import has_splines
from .base import OfShot, Reporting


class PLATELIGHT_OT_add_shot(Reporting, bpy.types.Operator):
    """Adds a shot, filled in from what the editor shows: its clip or strip, its mask, its solve"""

    bl_idname = "platelight.add_shot"
    bl_label = "Add Shot"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="Name of the shot; empty takes the plate's", options={"SKIP_SAVE"})

    def do(self, context):
        held, space = context.scene.platelight, context.space_data
        shot = held.shots.add()
        held.shot_index = len(held.shots) - 1
        source = _take_plate(context, shot)
        wanted = self.name or (Path(source).stem.rstrip("0123456789._-") if source else "") or "shot"
        shot.name = _free(wanted, {one.name for one in held.shots if one != shot})
        mask = getattr(space, "mask", None)
        if mask is not None and has_splines(mask):
            shot.matte_kind, shot.matte_mask = "MASK", mask
        desk.read(context.scene, shot)  # so that the panel is whole when it is drawn


class PLATELIGHT_OT_remove_shot(OfShot, bpy.types.Operator):
    """Removes the shot's settings. Its job goes on, its results and nodes stay"""

    bl_idname = "platelight.remove_shot"
    bl_label = "Remove Shot"
    bl_options = {"REGISTER", "UNDO"}

    def do(self, context):
        held = context.scene.platelight
        held.shots.remove(held.shot_index)
        held.shot_index = max(0, held.shot_index - 1)


def _take_plate(context, shot) -> str:
    """Takes the plate that the editor shows, else the scene's clip, else a clip of this file. Returns its name."""
    space, scene = context.space_data, context.scene
    strip = getattr(context, "active_strip", None) if space is not None and space.type == "SEQUENCE_EDITOR" else None
    if strip is not None and strip.type == "IMAGE" and compat.sequencer_scene(context) == scene:
        shot.plate_kind, shot.plate_strip = "STRIP", strip.name
        return strip.elements[0].filename
    clip = getattr(space, "clip", None) or scene.active_clip or next(iter(bpy.data.movieclips), None)
    if clip is None:
        return ""
    shot.plate_kind, shot.plate_clip = "CLIP", clip
    if clip.tracking.reconstruction.is_valid:
        shot.camera_kind = "SOLVE"
    return clip.name


def _free(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}.{number:03d}"
    return name


CLASSES = (PLATELIGHT_OT_add_shot, PLATELIGHT_OT_remove_shot)
