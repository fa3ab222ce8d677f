"""The engine and its options, as the server describes them."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from .. import pump
from ..core import InputError
from ..desk import chosen, desk
from ..engine_options import option_of, parsed, set_value, start_value
from .base import OfShot


class PLATELIGHT_OT_engine(OfShot, bpy.types.Operator):
    """Relights the shot with this engine"""

    bl_idname = "platelight.engine"
    bl_label = "Engine"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="The engine, as the server names it")

    @classmethod
    def description(cls, context, properties):
        told = next((one for one in pump.session.engines if one.get("name") == properties.name), {})
        return str(told.get("summary", "Relights the shot with this engine"))

    def do(self, context):
        _, shot = chosen(context)
        names = [str(one.get("name")) for one in pump.session.engines]
        if names and self.name not in names:
            raise InputError(f"The server has no engine {self.name!r}: it has {', '.join(names)}.")
        shot.engine = self.name


class PLATELIGHT_OT_option(OfShot, bpy.types.Operator):
    """Sets an option of the engine for the shot, or goes back to the engine's default"""

    bl_idname = "platelight.option"
    bl_label = "Engine Option"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="The option")
    value: StringProperty(
        name="Value",
        description="Its value as text, a list with commas; empty sets the default, or forgets what was set",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context, properties):
        from ..settings import active_shot

        shot = active_shot(context.scene)
        try:
            return str(option_of(shot, properties.name).get("description")) if shot is not None else cls.__doc__
        except InputError as error:
            return str(error)

    def do(self, context):
        scene, shot = chosen(context)
        option, held = option_of(shot, self.name), shot.engine_options
        if self.value:
            set_value(shot, option, parsed(option, self.value))
        elif self.name in held:
            del held[self.name]
        else:
            mapping = desk.read(scene, shot).mapping
            number = mapping.file(scene.frame_current) if mapping is not None else scene.frame_current
            set_value(shot, option, start_value(option, number))


CLASSES = (PLATELIGHT_OT_engine, PLATELIGHT_OT_option)
