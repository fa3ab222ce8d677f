"""A thousand frames of 4K are sent: how long is Blender away when the button is pressed, and while they are sent?"""

from __future__ import annotations

import time
from pathlib import Path

import bpy

from .drive import Drive, Steps
from .shot import MODULE, compositing, make, part, switch_on
from .watch import Watch


def steps(drive: Drive) -> Steps:
    """Presses the button, and cancels the job when it is there."""
    switch_on()
    pump = part("pump")
    shot = make(Path(drive.options["shot"]), Path(drive.options["blend"]), drive.options["frames"], lit=True)
    shot.camera_kind, shot.camera_object = "OBJECT", bpy.data.objects["Camera"]
    yield from compositing()
    yield from drive.wait("connected", lambda: pump.session.is_up)
    yield 2.0
    watch, began = Watch().start(MODULE), time.perf_counter()
    bpy.ops.platelight.relight()
    drive.report["submit"] = round((time.perf_counter() - began) * 1000, 1)
    yield from drive.wait("the shot is sent", lambda: bool(shot.job), 120)
    drive.report["sent_s"] = round(time.perf_counter() - began, 2)
    yield 2.0
    bpy.ops.platelight.job(job=shot.job, action="cancel")
    yield from drive.wait("it is cancelled", lambda: pump.session.jobs[shot.job].ended, 120)
    drive.report["sent"] = watch.stop()
