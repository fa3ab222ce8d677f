"""The reception: every message of every client comes here, and is answered without waiting for anything.

It knows sessions and the wire's messages; queue, workers and disks are the foreman's. What a client says wrong is
answered with a code and costs nobody else anything.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platelight import messages as m
from platelight.errors import PlatelightError, ProtocolError, ServerError
from platelight.wire import CHUNK, TOGETHER, VERSION, Bytes, decode_frames

from .assignments import CheckTask, PreviewTask, Request
from .background import Background
from .foreman import Foreman
from .jobs import Job
from .link import Do, Looked
from .sessions import Post, Session, Transfer
from .spool import algorithms
from .transfers import PAGE_BYTES, WINDOW, Transfers
from .watching import Watching

FORGET_S = 60.0
SILENT_S = 10.0  # after which a session may be forgotten where there is no room for a new one
WORKING_S = 1.0
NOTICE_S = 0.1
STATUS_BYTES = 300  # of a status without its free texts: names of fields, numbers, job, state, wish
SESSIONS_MOST = 256
OUTSTANDING_MOST = 200
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What the server says of itself. `fenced`: nothing outside the roots may be touched."""

    epoch: str
    version: str
    host: str
    roots: tuple[m.RootEntry, ...] = ()
    fenced: bool = False


class Reception:
    """Answers clients. `post` sends frames to a connection; `user_allowed` says whether a key is still let in."""

    def __init__(
        self,
        about: About,
        foreman: Foreman,
        files: Background,
        post: Post,
        now: Callable[[], float],
        user_allowed: Callable[[str], bool] = lambda user: True,
    ) -> None:
        self._about, self._foreman, self._post = about, foreman, post
        self._now, self._user_allowed = now, user_allowed
        self._sessions: dict[bytes, Session] = {}
        self._notice_at = 0.0
        self._watching = Watching(foreman, self._sessions)
        folders = {entry.name: Path(entry.path) for entry in about.roots}
        self._transfers = Transfers(foreman, files, folders, about.fenced)
        self._handlers: dict[type[m.Message], Callable[[Session, Any, Bytes | None], None]] = {
            m.Ping: self._ping,
            m.EnginesAsked: self._engines,
            m.Check: self._check,
            m.Submit: self._submit,
            m.PreviewAsked: self._preview,
            m.JobsAsked: self._jobs,
            m.JobAsked: self._job,
            m.Change: self._change,
            m.Stop: self._stop,
            **self._watching.handlers,
            **self._transfers.handlers,
        }

    @property
    def sessions(self) -> int:
        """How many there are."""
        return len(self._sessions)

    # ---- in and out

    def receive(self, ident: bytes, frames: Sequence[Bytes], user: str = "") -> None:
        """Takes a message. Raises nothing."""
        session = self._sessions.get(ident) or Session(ident, user, self._now(), self._post)
        session.heard = self._now()
        if not self._user_allowed(user):
            self._drop(session)
            return
        try:
            message, payload = decode_frames(frames, m.REQUESTS)
            if isinstance(message, m.Hello):
                self._hello(session, message)
            elif isinstance(message, m.Bye):
                self._drop(session)
            elif ident not in self._sessions:
                session.refuse(message.id, ServerError("say hello first", "NO_SESSION", True))
            else:
                self._handle(session, message, payload, frames[2:])
        except ProtocolError as error:
            session.refuse(error.id, error)
        except Exception:  # the border of the process: one client's message ends nothing
            log.exception("ident=%s a message could not be handled", ident.hex())
            session.refuse("", ServerError("an unforeseen error; the server's log has more", "INTERNAL"))

    def _handle(self, session: Session, message: m.Message, payload: Bytes | None, more: Sequence[Bytes]) -> None:
        request = message.id
        if not isinstance(message, (m.Credit, m.Stop)):
            if not request:
                raise ProtocolError("expected an id")
            if request in session.pending or request in session.transfers:
                raise ProtocolError(f"id {request}: is in use")
            if len(session.pending) >= OUTSTANDING_MOST:
                too_many = ServerError(f"{OUTSTANDING_MOST} requests are unanswered; wait", "BUSY", True, 0.1)
                session.refuse(request, too_many)
                return
            session.pending[request] = None
        try:
            if isinstance(message, m.Put):
                self._transfers.put(session, message, [] if payload is None else [payload, *more])
            else:
                self._handlers[type(message)](session, message, payload)
        except PlatelightError as error:
            session.fail(request, error)
        except Exception:
            session.pending.pop(request, None)
            raise

    def tick(self) -> None:
        """Sends what waits, tells of changes, forgets who is gone."""
        now = self._now()
        notices = now >= self._notice_at
        if notices:
            self._notice_at = now + NOTICE_S
        for session in list(self._sessions.values()):
            session.push()
            if session.lost or now - session.heard > FORGET_S:
                self._drop(session)
                continue
            if notices:
                self._watching.tick(session)
            for request, told in session.working.items():
                if now - told >= WORKING_S:
                    session.working[request] = now
                    session.send(m.Working(id=request, text=self._said(session, request)))
            self._watching.pump(session)

    def _said(self, session: Session, request: str) -> str:
        """What a request that is worked on is at."""
        work = session.pending.get(request)
        if isinstance(work, str):
            return self._foreman.said(work)
        return work.said if isinstance(work, CheckTask) else "working"

    def close(self) -> None:
        """Says good-bye to everyone."""
        for session in self._sessions.values():
            session.send(m.Bye(text="the server stops; jobs stay in its store"))

    def _drop(self, session: Session) -> None:
        """Forgets a connection. Its jobs go on; what only it waited for is left."""
        if self._sessions.pop(session.ident, None) is not None:
            log.info("client=%s gone", session.client)
        for work in session.pending.values():
            self._abandon(work)
        for transfer in session.transfers.values():
            transfer.close()
        session.transfers.clear()
        session.outbox.clear()
        session.lost = True

    def _forget_silent(self) -> None:
        """Makes room: a client that pings is never silent for so long, and one that comes back says hello again."""
        for session in list(self._sessions.values()):
            if self._now() - session.heard > SILENT_S:
                self._drop(session)

    def _abandon(self, work: object) -> None:
        if isinstance(work, CheckTask):
            self._foreman.drop_check(work)
        elif isinstance(work, PreviewTask):
            self._foreman.drop_preview(work)

    # ---- sessions

    def _hello(self, session: Session, hello: m.Hello) -> None:
        _require_version(hello)
        if session.ident not in self._sessions and len(self._sessions) >= SESSIONS_MOST:
            self._forget_silent()
        if session.ident not in self._sessions and len(self._sessions) >= SESSIONS_MOST:
            session.refuse(hello.id, ServerError(f"{SESSIONS_MOST} connections are open", "BUSY", True, 5.0))
            return
        session.client = ("@".join(filter(None, (hello.user, hello.host))) or hello.client)[:200]
        self._sessions[session.ident] = session
        log.info("client=%s program=%s %s", session.client, hello.client[:100], hello.client_version[:100])
        about = self._about
        session.reply(
            hello.id,
            m.Welcome(
                version=VERSION, server_version=about.version, epoch=about.epoch, host=about.host, chunk=CHUNK,
                window=WINDOW, together=TOGETHER, outstanding=OUTSTANDING_MOST, hashes=algorithms(), roots=about.roots,
            ),
        )  # fmt: skip

    def _ping(self, session: Session, ping: m.Ping, _: Bytes | None) -> None:
        jobs, crew = self._foreman.jobs, self._foreman.crew
        queued = sum(job.status.state == "queued" for job in jobs)
        workers = crew.status() if crew is not None else ()
        session.reply(ping.id, m.Pong("", self._about.epoch, queued, len(jobs.running()), workers))

    def _engines(self, session: Session, asked: m.EnginesAsked, _: Bytes | None) -> None:
        engines = self._foreman.crew.engines if self._foreman.crew is not None else b""
        if not engines:
            raise ServerError("the engines are being loaded; ask again in half a second", "BUSY", True, 0.5)
        session.reply(asked.id, m.Engines(), engines)

    # ---- recipes

    def _request(self, session: Session, asked: Any, payload: Bytes | None, **more: Any) -> Request:
        if (payload is None) == (not asked.recipe):
            raise ServerError("expected a recipe, either as the payload or as a blob", "BAD_MESSAGE")
        session.working[asked.id] = self._now()
        return Request(
            bytes(payload or b""), asked.recipe, asked.base, asked.files, client=session.client, user=session.user,
            **more,
        )  # fmt: skip

    def _check(self, session: Session, asked: m.Check, payload: Bytes | None) -> None:
        def answer(looked: Looked) -> m.Checked:
            return m.Checked(
                "", looked.problems, looked.warnings, looked.total, looked.windows, looked.seconds,
                looked.memory_bytes, looked.disk_bytes, looked.plan,
            )  # fmt: skip

        request = self._request(session, asked, payload, frames=asked.frames)
        session.pending[asked.id] = self._foreman.check(request, session.finish(asked.id, answer))

    def _submit(self, session: Session, asked: m.Submit, payload: Bytes | None) -> None:
        if not asked.key:
            raise ServerError("expected a key, chosen once per job", "BAD_MESSAGE")

        def answer(found: tuple[Job, bool, Sequence[str]]) -> m.Accepted:
            job, new, warnings = found
            return m.Accepted("", job.id, new, self._foreman.jobs.status(job).position, tuple(warnings))

        request = self._request(
            session, asked, payload, frames=asked.frames, force=asked.force, priority=asked.priority, key=asked.key
        )  # fmt: skip
        session.pending[asked.id] = asked.key
        self._foreman.submit(request, session.finish(asked.id, answer))

    def _preview(self, session: Session, asked: m.PreviewAsked, payload: Bytes | None) -> None:
        if session.preview:
            self._cancel(session, session.preview, "another preview was asked for")
        self._transfers.require_room(session)

        def done(found: tuple[m.Previewed, list[Bytes]] | None, error: Exception | None) -> None:
            if session.preview == asked.id:
                session.preview = ""
            if asked.id not in session.pending or session.lost:
                return
            if found is None:
                session.fail(asked.id, error)
                return
            head, pieces = found
            session.reply(asked.id, head)
            credit = min(asked.credit, WINDOW)
            transfer = Transfer(
                asked.id, head.size, credit, 0,
                lambda offset, count, ready: ready(pieces[offset // CHUNK :][:count], None),
            )  # fmt: skip
            self._transfers.begin(session, transfer)

        do = Do(
            id=os.urandom(8).hex(), kind="preview", base=asked.base, frame=asked.frame, width=asked.width,
            layers=asked.layers,
        )  # fmt: skip
        session.preview = asked.id
        session.pending[asked.id] = self._foreman.preview(do, self._request(session, asked, payload), done)

    # ---- jobs

    def _job(self, session: Session, asked: m.JobAsked, _: Bytes | None) -> None:
        session.reply(asked.id, self._watching.told(self._foreman.jobs.get(asked.job)))

    def _jobs(self, session: Session, asked: m.JobsAsked, _: Bytes | None) -> None:
        jobs = [job for job in self._foreman.jobs if not asked.states or job.status.state in asked.states]
        jobs.reverse()
        if asked.after:
            last = next((i for i, job in enumerate(jobs) if job.id == asked.after), len(jobs))
            jobs = jobs[last + 1 :]
        places = {job.id: i for i, job in enumerate(self._foreman.jobs.waiting())}
        page: list[m.JobStatus] = []
        used = 0
        for job in jobs:
            status = self._foreman.jobs.status(job, places.get(job.id, 0))
            used += size_most(status)
            if used > PAGE_BYTES:
                break
            page.append(status)
        session.reply(asked.id, m.Listed("", tuple(page), len(page) < len(jobs)))

    def _change(self, session: Session, asked: m.Change, _: Bytes | None) -> None:
        job = self._foreman.jobs.get(asked.job)
        log.info("client=%s job=%s action=%s", session.client, job.id, asked.action)
        self._foreman.change(
            job, asked.action, asked.priority,
            session.finish(asked.id, lambda found: m.Told(job=job.id) if found is None else self._watching.told(found)),
        )  # fmt: skip

    def _stop(self, session: Session, asked: m.Stop, _: Bytes | None) -> None:
        self._cancel(session, asked.id, "stopped by its client")

    def _cancel(self, session: Session, request: str, why: str) -> None:
        """Ends a check, preview or transfer."""
        transfer = session.transfers.pop(request, None)
        if transfer is not None:
            transfer.close()
        elif not isinstance(session.pending.get(request), (CheckTask, PreviewTask)):
            return
        self._abandon(session.pending.get(request))
        if session.preview == request:
            session.preview = ""
        session.refuse(request, ServerError(why, "CANCELLED"))


def size_most(status: m.JobStatus) -> int:
    """Bytes that a status takes on the wire at most: to encode it for that would double the cost of a page."""
    texts = (status.name, status.frames, status.client, status.stage, status.code, status.text, status.folder)
    return STATUS_BYTES + sum(len(text.encode()) for text in texts)


def _require_version(hello: m.Hello) -> None:
    """Raises `ProtocolError` where there is no version in common."""
    if hello.version_least <= VERSION <= hello.version_most:
        return
    older = "client" if hello.version_most < VERSION else "server"
    raise ProtocolError(
        f"expected protocol version {VERSION}, the client speaks {hello.version_least} to {hello.version_most};"
        f" update the {older}", "VERSION", hello.id,
    )  # fmt: skip
