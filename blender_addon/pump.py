"""The timer that turns the session on Blender's main thread, and the end of it all when Blender quits.

Jobs and the connection live in this module, not in Blender's data: File > New and Open wipe that. `unregister` runs
when a Blender with windows quits, and not in background mode; `atexit` runs in both. The client's thread is joined in
either, as a thread that is left behind crashes 4.2 and hangs others.
"""

from __future__ import annotations

import atexit
import logging
import time
from collections import deque
from collections.abc import Callable

import bpy

from .local_server import LocalServer
from .session import Session

BUSY_S, IDLE_S = 0.1, 0.5
SOON_S = 0.02  # while live, or something is awaited: what a turn is late, the artist waits
REDRAW_EVERY_S = 0.5
EDITORS = {"NODE_EDITOR", "CLIP_EDITOR", "SEQUENCE_EDITOR", "IMAGE_EDITOR"}
REGIONS = {"UI", "HEADER"}

log = logging.getLogger(__name__)
session = Session()
server = LocalServer()
ticked: list[Callable[[], bool]] = []  # what else is turned: each says whether it wants to be turned again soon
# Of the last turns, for whoever measures: begin and end by `time.perf_counter`, and seconds of this thread in between.
turns: deque[tuple[float, float, float]] = deque(maxlen=1000)
_drawn_at = 0.0


def on_timer() -> float:
    """One turn for Blender's timer, which is never called again once it has raised."""
    try:
        return turn()
    except Exception:  # the border to Blender: told on the terminal, and the next turn may be better
        log.exception("a turn failed")
        return IDLE_S


def turn() -> float:
    """One turn: takes in what has come, then lets the others work. Returns when to come again."""
    began, worked = time.perf_counter(), time.thread_time()
    session.pump()
    soon = any([one() for one in ticked])
    if session.changed:
        _redraw_at_times()
    turns.append((began, time.perf_counter(), time.thread_time() - worked))
    if soon or session.is_previewing:
        return SOON_S
    return BUSY_S if session.changed or any(not job.ended for job in session.jobs.values()) else IDLE_S


def _redraw_at_times() -> None:
    """A job's news come by the dozen a second, and a sidebar is drawn in 5 ms."""
    global _drawn_at
    now = time.monotonic()
    if now >= _drawn_at + REDRAW_EVERY_S:
        _drawn_at, session.changed = now, False
        redraw()


def redraw() -> None:
    """Has sidebars and headers drawn anew, not the pictures beside them: those cost a hundred times as much."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in EDITORS:
                for region in area.regions:
                    if region.type in REGIONS:
                        region.tag_redraw()


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Turns the session until something holds: for scripts and background mode, where timers never fire."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        turn()
        time.sleep(0.02)
    return True


def register() -> None:
    """Starts the timer."""
    atexit.register(session.close)
    if not bpy.app.timers.is_registered(on_timer):
        bpy.app.timers.register(on_timer, first_interval=IDLE_S, persistent=True)


def unregister() -> None:
    """Ends the timer and the connection. A server that was started goes on: its jobs are not Blender's."""
    if bpy.app.timers.is_registered(on_timer):
        bpy.app.timers.unregister(on_timer)
    session.close()
    atexit.unregister(session.close)
