"""The server on this machine: started, and its log shown."""

from __future__ import annotations

import bpy
from bpy.props import IntProperty

from .. import pump
from ..core import InputError
from ..local_server import find_command
from ..preferences import preferences, user_folder
from .base import Reporting

LOG_NAME = "Platelight server log"


class PLATELIGHT_OT_start_server(Reporting, bpy.types.Operator):
    """Starts a server on this machine, where Platelight is installed. It goes on when Blender quits"""

    bl_idname = "platelight.start_server"
    bl_label = "Start Local Server"

    def do(self, context):
        held = preferences()
        command = find_command(held.command if held is not None else "")
        if command is None:
            raise InputError(
                "Platelight's server is not found on this machine: install it, or name its folder in the preferences."
            )
        pump.server.start(command, user_folder("server") / "server.log")
        self.report({"INFO"}, "The server starts")


class PLATELIGHT_OT_show_log(Reporting, bpy.types.Operator):
    """Opens the log of the server that was started here as a text, for any Text Editor"""

    bl_idname = "platelight.show_log"
    bl_label = "Server Log"

    lines: IntProperty(name="Lines", description="How many of the last lines", default=500, min=1)

    def do(self, context):
        log = pump.server.log
        if log is None or not log.is_file():
            raise InputError("No server was started from this Blender.")
        text = bpy.data.texts.get(LOG_NAME) or bpy.data.texts.new(LOG_NAME)
        text.from_string("\n".join(log.read_text("utf-8", "replace").splitlines()[-self.lines :]))
        self.report({"INFO"}, f"It is the text '{LOG_NAME}'")


CLASSES = (PLATELIGHT_OT_start_server, PLATELIGHT_OT_show_log)
