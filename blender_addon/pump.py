"""The timer that turns the session on Blender's main thread, and the end of it all when Blender quits.

Jobs and the connection live in this module, not in Blender's data: File > New and Open wipe that. `unregister` runs
when a Blender with windows quits, and not in background mode; `atexit` runs in both. The client's thread is joined in
either, as a thread that is left behind crashes 4.2 and hangs others.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable

import bpy

from .local_server import LocalServer
from .session import Session

BUSY_S, IDLE_S = 0.1, 0.5
EDITORS = {"NODE_EDITOR", "CLIP_EDITOR", "SEQUENCE_EDITOR", "IMAGE_EDITOR"}

session = Session()
server = LocalServer()
ticked: list[Callable[[], bool]] = []  # what else is turned: each says whether it wants to be turned again soon


def turn() -> float:
    """One turn: takes in what has come, then lets the others work. Returns when to come again."""
    session.pump()
    busy = any([one() for one in ticked])
    if session.changed:
        session.changed = False
        redraw()
    live = any(not job.ended for job in session.jobs.values())
    return BUSY_S if busy or live else IDLE_S


def redraw() -> None:
    """Has the panels drawn anew."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in EDITORS:
                area.tag_redraw()


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
    if not bpy.app.timers.is_registered(turn):
        bpy.app.timers.register(turn, first_interval=IDLE_S, persistent=True)


def unregister() -> None:
    """Ends the timer and the connection. A server that was started goes on: its jobs are not Blender's."""
    if bpy.app.timers.is_registered(turn):
        bpy.app.timers.unregister(turn)
    session.close()
    atexit.unregister(session.close)
