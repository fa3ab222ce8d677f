"""A server with a full queue, one of whose jobs has a long history. Rows are put into its store while it is stopped.

The jobs wait as they would for each other: all have the result of one that renders for longer than the bench lasts.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from platelight.messages import Event

from ..service.jobs import Job, Jobs, first_events, pack_event
from ..service.store import Store
from .bench_server_host import Host


def fill(host: Host, running: str, jobs: int, events: int) -> str:
    """Starts the server anew with `jobs` queued jobs behind the one that is `running`; the id of one that has had that
    many `events`."""
    host.stop()
    watched = _fill(host.home / "server" / "jobs.sqlite", running, jobs, events)
    host.start()
    return watched


def _fill(path: Path, running: str, jobs: int, events: int) -> str:
    store = Store(path)
    known = Jobs(lambda job: None, time.time)
    known.load(store.jobs())
    model = known.get(running)
    recipe = store.recipe(running)
    for _ in range(jobs):
        status = replace(
            model.status, job=os.urandom(8).hex(), state="queued", priority=10, done=0, events=0, attempt=0
        )
        job = Job(0, os.urandom(8).hex(), model.digest, status, model.order)
        first_events(job, time.time())
        _add(store, job, recipe)
    job.status = replace(job.status, events=events)
    history = [(n, pack_event(_event(job, n))) for n in range(2, events + 1)]
    store.save({job.id: (job.body(), history)})
    store.close()
    return job.id


def _add(store: Store, job: Job, recipe: bytes) -> None:
    store.add(job.id, job.key, job.digest, recipe, job.body(), [(one.number, pack_event(one)) for one in job.held])


def _event(job: Job, number: int) -> Event:
    return Event(
        job=job.id, number=number, kind="done", frame=1000 + number, done=number, total=job.status.total,
        time=round(time.time(), 3),
    )  # fmt: skip
