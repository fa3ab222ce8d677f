"""A thousand frames of 4K are sent: how long is Blender away when the button is pressed, and while they are sent?"""

from __future__ import annotations

import time
from pathlib import Path

import bpy

from .drive import Drive, Steps
from .shot import MODULE, compositing, make, part, switch_on
from .watch import Watch

SENT_S = 10.0


def steps(drive: Drive) -> Steps:
    """Presses the button, and looks on while the recipe goes to the server. What the server does is not waited for."""
    switch_on()
    pump, desk = part("pump"), part("desk").desk
    shot = make(Path(drive.options["shot"]), Path(drive.options["blend"]), drive.options["frames"], lit=True)
    shot.camera_kind, shot.camera_object = "OBJECT", bpy.data.objects["Camera"]
    yield from compositing()
    yield from drive.wait("connected", lambda: pump.session.is_up)
    yield 2.0
    watch, began = Watch().start(MODULE), time.perf_counter()
    bpy.ops.platelight.relight()
    drive.report["submit"] = round((time.perf_counter() - began) * 1000, 1)
    yield SENT_S
    drive.report["sent"] = watch.stop()
    drive.holds("the server was asked", not desk.said and bool(desk.busy or shot.job), list(desk.said.values()))
