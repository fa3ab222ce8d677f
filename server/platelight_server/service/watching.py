"""Who watches what: a job's events, in order and without gaps, and the newest status of jobs that change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from platelight import messages as m
from platelight.wire import Bytes

from .foreman import Foreman
from .jobs import Job
from .sessions import Session, Watcher

EVENTS_AT_ONCE = 64


class Watching:
    """Answers `watch` and `unwatch`, and tells who watches. `sessions` are those of the reception."""

    def __init__(self, foreman: Foreman, sessions: Mapping[bytes, Session]) -> None:
        self._foreman, self._sessions = foreman, sessions
        foreman.changed, foreman.news = self._changed, self._news
        self.handlers: dict[type[m.Message], Callable[[Session, Any, Bytes | None], None]] = {
            m.Watch: self._watch,
            m.Unwatch: self._unwatch,
        }

    def told(self, job: Job, request: str = "") -> m.Told:
        """A job's status, with its result once it has ended."""
        return m.Told(request, self._foreman.jobs.status(job), job.id, job.result if job.ended else None)

    def tick(self, session: Session) -> None:
        """Sends the newest status of what has changed. The end of a job is told after its last event."""
        for job_id, request in list(session.notices.items()):
            if not session.has_room:
                return
            job = self._foreman.jobs.find(job_id)
            if job is None:
                session.send(m.Told(request, None, job_id))
            elif job.ended and self._is_behind(session, job):
                continue
            else:
                session.send(self.told(job, request))
            session.notices.pop(job_id, None)

    def pump(self, session: Session) -> None:
        """Sends events that wait, as far as there is room."""
        for job_id in list(session.watchers):
            self._pump(session, job_id)

    @staticmethod
    def _is_behind(session: Session, job: Job) -> bool:
        watcher = session.watchers.get(job.id)
        return job.saved < job.status.events or (watcher is not None and watcher.sent < job.status.events)

    def _watch(self, session: Session, asked: m.Watch, _: Bytes | None) -> None:
        if asked.job == "*":
            session.watches_all = asked.id
            session.notices.update({job.id: asked.id for job in self._foreman.jobs if not job.ended})
        else:
            job = self._foreman.jobs.get(asked.job)
            session.watchers[job.id] = Watcher(asked.id, min(asked.after, job.status.events))
            session.notices[job.id] = asked.id
        session.reply(asked.id, m.Watching(job=asked.job))
        self._pump(session, asked.job)

    def _unwatch(self, session: Session, asked: m.Unwatch, _: Bytes | None) -> None:
        if asked.job == "*":
            session.watches_all = ""
        else:
            session.watchers.pop(asked.job, None)
        session.notices = {job: request for job, request in session.notices.items() if job in session.watchers}
        session.reply(asked.id, m.Watching(job=asked.job))

    def _changed(self, job: Job) -> None:
        for session in self._sessions.values():
            watcher = session.watchers.get(job.id)
            if watcher is not None or session.watches_all:
                session.notices[job.id] = watcher.request if watcher is not None else session.watches_all

    def _news(self, job: Job) -> None:
        for session in list(self._sessions.values()):
            self._pump(session, job.id)

    def _pump(self, session: Session, job_id: str) -> None:
        watcher = session.watchers.get(job_id)
        if watcher is None or watcher.fetching or not session.has_room:
            return
        job = self._foreman.jobs.find(job_id)
        if job is None:
            session.watchers.pop(job_id)
            return
        if watcher.sent >= job.saved:
            return
        watcher.fetching = True

        def fetched(events: list[m.Event] | None, error: Exception | None) -> None:
            watcher.fetching = False
            for event in events or ():
                session.send(replace(event, id=watcher.request))
                watcher.sent = event.number
            if events and session.watchers.get(job_id) is watcher:
                self._pump(session, job_id)

        self._foreman.events(job, watcher.sent, EVENTS_AT_ONCE, fetched)
