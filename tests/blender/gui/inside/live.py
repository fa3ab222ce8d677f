"""A lamp is dragged with the preview live: how long until the picture of that light is on the screen?"""

from __future__ import annotations

import time
from pathlib import Path

import bpy

from .drive import Drive, Steps
from .shot import MODULE, areas, compositing, make, part, switch_on
from .watch import Watch, summary

DRAGS = 20
SETTLED_S = 1.0  # no other preview within this: the last one was of the last move
MOVE_S, MOVES = 0.02, 60  # of one long drag


def steps(drive: Drive) -> Steps:
    """Connects, shows the preview, moves the lamp by single moves, then drags it without a pause."""
    switch_on()
    pump, desk = part("pump"), part("desk").desk
    make(Path(drive.options["shot"]), Path(drive.options["blend"]), 12, lit=True)
    yield from compositing()
    yield from drive.wait("connected", lambda: pump.session.is_up)
    lamp = bpy.data.objects["Light"]
    bpy.ops.platelight.live()
    key = desk.live
    yield from drive.wait("the first preview", lambda: desk.previews.get(key), 60)
    editor = areas("IMAGE_EDITOR")[0].spaces.active
    editor.image = bpy.data.images["Platelight preview sh010"]
    drawn: dict[int, float] = {}  # which preview was on the screen first when

    def note() -> None:
        drawn.setdefault(desk.previews[key], time.perf_counter())

    handle = editor.draw_handler_add(note, (), "WINDOW", "POST_PIXEL")
    yield 2.0
    seen = []
    watch = Watch().start(MODULE)
    for _ in range(DRAGS):
        count, began = desk.previews[key], time.perf_counter()
        lamp.location.x += 0.2
        yield lambda count=count: desk.previews[key] > count
        yield lambda count=count: count + 1 in drawn
        seen.append((drawn[count + 1] - began) * 1000)
        yield 0.3
    drive.report["moves"] = watch.stop()
    drive.report["seen"] = summary(sorted(seen))
    watch, count, began = Watch().start(MODULE), desk.previews[key], time.perf_counter()
    for _ in range(MOVES):
        lamp.location.x -= 0.05
        yield MOVE_S
    moved, last, known = time.perf_counter(), time.perf_counter(), desk.previews[key]
    while time.perf_counter() < last + SETTLED_S:
        if desk.previews[key] != known:
            known, last = desk.previews[key], time.perf_counter()
        yield MOVE_S / 4
    drive.report["drag"] = watch.stop()
    drive.report["drag_per_s"] = round((known - count) / (last - began), 1)
    drive.report["drag_last"] = round((last - moved) * 1000, 1)
    editor.draw_handler_remove(handle, "WINDOW")
