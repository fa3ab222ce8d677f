"""The jobs of this Blender with their buttons, and the server's whole queue to look at."""

from __future__ import annotations

from .. import pump
from .text import draw_sentence, time_left

STATES = {
    "queued": "TIME",
    "preparing": "PREVIEW_RANGE",
    "running": "PLAY",
    "paused": "PAUSE",
    "done": "CHECKMARK",
    "partial": "ERROR",
    "failed": "CANCEL",
    "cancelled": "X",
}
ACTIONS = {
    "queued": ("pause", "cancel"),
    "preparing": ("cancel",),
    "running": ("pause", "cancel"),
    "paused": ("resume", "cancel"),
    "done": ("forget",),
}
ICONS = {"pause": "PAUSE", "cancel": "X", "resume": "PLAY", "retry": "FILE_REFRESH", "forget": "TRASH"}
QUEUE_MOST = 20


def draw_jobs(layout, context):
    """The jobs that this Blender knows of, the newest first."""
    jobs = list(pump.session.jobs.values())
    if not jobs:
        layout.label(text="No jobs yet")
    for view in reversed(jobs):
        _draw_job(layout, view)


def _draw_job(layout, view):
    status = view.status
    row = layout.row(align=True)
    if status is None:
        row.label(text=view.trouble or view.name or view.id, icon="TIME")
        _draw_action(row, view, "forget")
        return
    row.label(text="", icon=STATES.get(status.state, "QUESTION"))
    row.progress(factor=view.share, type="BAR", text=job_words(status, view.name))
    for action in ACTIONS.get(status.state, ("retry", "forget")):
        _draw_action(row, view, action)
    if view.trouble:
        draw_sentence(layout, None, view.trouble, stops=True)
    if status.text and status.state in ("failed", "partial"):
        draw_sentence(layout, None, status.text, stops=True)


def _draw_action(row, view, action):
    button = row.operator("platelight.job", text="", icon=ICONS[action])
    button.job, button.action = view.id, action


def job_words(status, name="") -> str:
    """A job's name, frames, time left, and what is about to happen to it."""
    left = f", {time_left(status.seconds_left)}" if status.seconds_left and status.state == "running" else ""
    wish = f" ({status.wish})" if status.wish else ""
    return f"{name or status.name} {status.done}/{status.total}{left}{wish}"


def draw_queue(layout, context):
    """Everybody's jobs that have not ended, in the order of their turn. They are only looked at here."""
    session = pump.session
    if not session.is_up or not session.queue:
        layout.label(text="Nothing is queued" if session.is_up else "No server")
        return
    for status in session.queue[:QUEUE_MOST]:
        row = layout.row(align=True)
        row.label(text=queue_words(status, status.job in session.jobs), icon=STATES.get(status.state, "QUESTION"))
        row.progress(
            factor=status.done / status.total if status.total else 0.0, type="BAR", text=f"{status.done}/{status.total}"
        )
    if len(session.queue) > QUEUE_MOST:
        layout.label(text=f"and {len(session.queue) - QUEUE_MOST} more")


def queue_words(status, own) -> str:
    """A job's place in the queue, its name, and whose it is."""
    place = f"{status.position + 1}. " if status.state == "queued" else ""
    return f"{place}{status.name} · {'this Blender' if own else status.client or 'unknown'}"
