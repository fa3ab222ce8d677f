"""What is missing is put right: an input is taken from what the scene has, or from a file."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from ..core import InputError
from ..desk import chosen
from ..gather.files import pattern_or_still
from ..gather.findings import Findings, Stopped
from ..offers import FILE, INPUTS, SOLVE, Offer, at_once, offers
from ..tracking import open_solve_tab
from .base import OfShot

ONCE = {"options": {"SKIP_SAVE"}}


class PLATELIGHT_OT_fix(OfShot, bpy.types.Operator):
    """Takes what this scene has for an input of the shot, or a file"""

    bl_idname = "platelight.fix"
    bl_label = "Take Input"
    bl_options = {"REGISTER", "UNDO"}

    input: EnumProperty(
        name="Input", description="Which input is put right", items=tuple((one, one.capitalize(), "") for one in INPUTS)
    )
    choice: StringProperty(
        name="Choice", description="What is taken, such as MASK:Roto; empty takes the only thing there is", **ONCE
    )
    filepath: StringProperty(name="File", description="A file that is taken", subtype="FILE_PATH", **ONCE)

    @classmethod
    def description(cls, context, properties):
        return f"Sets the shot's {properties.input}: what the button says is taken"

    def invoke(self, context, event):
        """From a button: asks for a file where one is to be opened."""
        if self.choice == FILE and not self.filepath and not bpy.app.background:
            context.window_manager.fileselect_add(self)
            return {"RUNNING_MODAL"}
        return self.execute(context)

    def do(self, context):
        scene, shot = chosen(context)
        if self.filepath:
            _TAKERS[self.input](shot, bpy.path.abspath(self.filepath))
            self.report({"INFO"}, f"{shot.name}: {self.input} is {Path(self.filepath).name}")
            return
        offer = _wanted(self.input, self.choice, offers(self.input, scene, shot))
        if offer.key == SOLVE:
            clip = shot.plate_clip if shot.plate_kind == "CLIP" else shot.camera_clip
            self.report({"INFO"}, open_solve_tab(context, clip))
            return
        for name, value in offer.values.items():
            setattr(shot, name, value)
        self.report({"INFO"}, f"{shot.name}: {offer.label[:1].lower()}{offer.label[1:]}")


def _wanted(name: str, choice: str, found: list[Offer]) -> Offer:
    """The offer that is meant. Raises `InputError` that lists what there is."""
    offer = next((one for one in found if one.key == choice), None) if choice else at_once(name, found)
    if offer is None or offer.key == FILE:
        keys = ", ".join(one.key for one in found if one.key != FILE) or "nothing"
        asked = f"there is no {choice}" if choice and choice != FILE else "it must be chosen"
        raise InputError(f"The {name}: {asked}. This scene has {keys}; or name a filepath.")
    return offer


def _take_plate(shot, path: str) -> None:
    shot.plate_kind, shot.plate_clip = "CLIP", _loaded(bpy.data.movieclips, path, "plate")


def _take_matte(shot, path: str) -> None:
    _sequence(path, "matte")
    shot.matte_kind, shot.matte_path = "FILE", path


def _take_background(shot, path: str) -> None:
    still = _sequence(path, "background").is_still
    image = _loaded(bpy.data.images, path, "background")
    image.source = "FILE" if still else "SEQUENCE"
    shot.background_kind, shot.background_image = "STILL" if still else "SEQUENCE", image


def _take_camera(shot, path: str) -> None:
    if Path(path).suffix.lower() not in {".chan", ".json"}:
        raise InputError(f"The camera file {Path(path).name} is neither .chan nor .json: export one of these.")
    shot.camera_kind, shot.camera_path = "FILE", path


_TAKERS = {"plate": _take_plate, "matte": _take_matte, "background": _take_background, "camera": _take_camera}


def _loaded(collection, path: str, what: str):
    """The datablock of a file, loaded once. Raises `InputError`."""
    try:
        return collection.load(path, check_existing=True)
    except RuntimeError as error:
        raise InputError(f"The {what} {Path(path).name} cannot be opened: {str(error).splitlines()[0]}") from None


def _sequence(path: str, what: str):
    """The sequence or still that a file stands for. Raises `InputError`."""
    try:
        return pattern_or_still(Path(path), what, Findings())
    except Stopped as error:
        raise InputError(str(error)) from None


CLASSES = (PLATELIGHT_OT_fix,)
