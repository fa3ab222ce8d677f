"""The first row of the panel: a dot, the server's version, its device and memory; what helps where there is none."""

from __future__ import annotations

from .. import pump
from .text import draw_sentence, gigabytes


def draw_server(layout):
    """The server in a row or two."""
    session = pump.session
    if session.is_up:
        for number, line in enumerate(server_lines(session)):
            layout.label(text=line, icon="BLANK1" if number else "RADIOBUT_ON")
        return
    connecting = session.link is not None and not session.trouble
    layout.label(text="Connecting" if connecting else "No server", icon="RADIOBUT_OFF")
    if session.trouble:
        draw_sentence(layout, None, session.trouble)
    row = layout.row(align=True)
    row.operator("platelight.start_server", icon="PLAY")
    if pump.server.log is not None:
        row.operator("platelight.show_log", text="", icon="TEXT")
    if pump.server.words:
        draw_sentence(layout, None, pump.server.words, stops=True)


def server_lines(session) -> list[str]:
    """Host, version, and for each worker that renders its device, free memory and state."""
    status = session.status
    if status is None:
        return [session.words]
    workers = [one for one in status.workers if one.name.startswith("render")]
    head = " · ".join((status.version, *(_device(one) for one in workers[:1])))
    return [head, *(_device(one) for one in workers[1:]), f"{status.host}: {_work(status, workers)}"]


def _device(worker) -> str:
    memory = f"{gigabytes(worker.memory_free)} free" if worker.memory_free else ""
    return " · ".join(filter(None, (worker.hardware or worker.device, memory)))


def _work(status, workers) -> str:
    states = ", ".join(sorted({one.state for one in workers})) or "no worker"
    return f"{states}, {status.queued} waiting" if status.queued else states
