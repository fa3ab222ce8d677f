"""The foreman: brings jobs and workers together, and sees that what happened is kept before anybody hears of it."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from platelight.errors import ServerError
from platelight.messages import JobStatus
from platelight.wire import CHUNK

from .assignments import Answer, CheckTask, JobTask, PreviewTask, Request, refusal
from .background import Background
from .crew import Crew, Worker
from .job_folders import JobFolders
from .jobs import Job, Jobs, Order, first_events, pack_event, unpack_event
from .link import Do, Looked
from .spool import Spool
from .store import Store

SAVE_AGAIN_S = 1.0
CHECKS_WAITING_MOST = 1000
ENDED_KEPT = 5000
log = logging.getLogger(__name__)


class Foreman:
    """Owns the queue, and hands work out. `changed` is called with a job that is another, `news` when the store has new
    events of it."""

    def __init__(
        self,
        store: Store,
        spool: Spool,
        store_thread: Background,
        spool_thread: Background,
        now: Callable[[], float],
        clock: Callable[[], float],
        most_waiting: int,
    ) -> None:
        self.store, self.spool, self.folders = store, spool, JobFolders(spool)
        self._store_thread, self._spool_thread = store_thread, spool_thread
        self._now, self._clock = now, clock
        self.changed: Callable[[Job], None] = lambda job: None
        self.news: Callable[[Job], None] = lambda job: None
        self.jobs = Jobs(self._dirty, clock, most_waiting)
        self.crew: Crew | None = None
        self._unsaved: dict[str, Job] = {}
        self._saving = False
        self._save_at = 0.0
        self._checks: deque[CheckTask] = deque()
        self._previews: deque[PreviewTask] = deque()
        self._submits: dict[str, tuple[str, list[Answer]]] = {}  # by key: digest, and who waits for it
        self._said: dict[str, CheckTask] = {}
        self._preparing: set[str] = set()
        self.jobs.load(store.jobs())
        self.folders.forget_others(frozenset(job.id for job in self.jobs))

    # ---- for clients

    def check(self, request: Request, done: Answer) -> CheckTask:
        """Checks a recipe; `done` gets `Looked`. Raises `ServerError` BUSY."""
        task = CheckTask(Do(id=os.urandom(8).hex(), kind="check", base=request.base, frames=request.frames), b"", done)
        self._begin_check(task, request, _folder_name(request))
        return task

    def said(self, key: str) -> str:
        """What the check of a submit is at."""
        return self._said[key].said if key in self._said else "working"

    def submit(self, request: Request, done: Answer) -> None:
        """Checks a recipe and takes the job in; `done` gets (Job, new, warnings) once the store has it, or an error."""
        known = self.jobs.with_key(request.key)
        if known is not None:
            self._require_same(known.digest, request)
            done((known, False, ()), None)
            return
        if request.key in self._submits:
            digest, others = self._submits[request.key]
            self._require_same(digest, request)
            others.append(done)
            return
        self.jobs.require_room()
        job = os.urandom(8).hex()
        do = Do(id=job, kind="check", base=request.base, frames=request.frames, commits=True)
        task = CheckTask(do, b"", lambda looked, error: self._looked(request, job, looked, error))
        self._begin_check(task, request, job)
        self._submits[request.key], self._said[request.key] = (request.digest, [done]), task

    def preview(self, do: Do, request: Request, done: Answer) -> PreviewTask:
        """Renders one frame at reduced size; `done` gets (Previewed, chunks)."""
        task, name = PreviewTask(do, b"", done), _folder_name(request)

        def placed(found: tuple[Do, bytes] | None, error: Exception | None) -> None:
            if error is not None or found is None:
                done(None, error)
                return
            task.do, task.payload = found
            self._previews.append(task)
            self._hand_out()

        assert self.crew is not None
        self.crew.wake("preview")
        self._spool_thread.call(lambda: self._placed(do, request, name), placed)
        return task

    def drop_preview(self, task: PreviewTask) -> None:
        """Nobody wants it any more: not begun if it has not been, else stopped at its next step."""
        task.done = lambda result, error: None
        if task in self._previews:
            self._previews.remove(task)
        elif self.crew is not None:
            self.crew.stop_task(task.do.id)

    def drop_check(self, task: CheckTask) -> None:
        """The same for a check."""
        task.abandoned = True
        task.done = lambda result, error: None
        if task in self._checks:
            self._checks.remove(task)

    def change(self, job: Job, action: str, priority: int, done: Answer) -> None:
        """What a client asks to be done to a job; `done` gets the job once the store has it, None where it is
        forgotten."""
        if action == "forget":
            self.jobs.forget(job)
            self._unsaved.pop(job.id, None)
            self._spool_thread.call(lambda: self.folders.forget(job.id), lambda result, error: None)
            self._store_thread.call(lambda: self.store.remove(job.id), lambda result, error: done(None, error))
            self.changed(job)
            return
        self.jobs.change(job, action, priority)
        if job.active and job.status.wish and self.crew is not None:
            self.crew.stop_task(f"{job.id}-{job.epoch}")
        self.flush()
        # The thread keeps the order: when this comes back, what was flushed before it is in the store.
        self._store_thread.call(lambda: None, lambda result, error: done(job, error))
        self._hand_out()

    def events(self, job: Job, after: int, most: int, done: Answer) -> None:
        """At most `most` events of a job that follow number `after`; `done` gets them."""
        held = [event for event in job.held if after < event.number <= job.saved]
        if after >= job.saved or (held and held[0].number == after + 1):
            done(held[:most], None)
            return
        self._store_thread.call(
            lambda: [unpack_event(body) for number, body in self.store.events(job.id, after, most)], done
        )  # fmt: skip

    def spool_call(self, work: Callable[[], Any], done: Answer) -> None:
        """Runs `work` on the spool in its thread; `done` gets the result."""
        self._spool_thread.call(work, done)

    # ---- for the loop

    def tick(self) -> None:
        """Hands work out, and keeps what has changed."""
        self._hand_out()
        self.flush()

    def flush(self) -> None:
        """Has the store keep what has changed, unless it is at that already."""
        if self._saving or not self._unsaved or self._now() < self._save_at:
            return
        batch = {job.id: (job.body(), job.unsaved, job) for job in self._unsaved.values()}
        for job in self._unsaved.values():
            job.unsaved = []
        self._unsaved = {}
        self._saving = True
        rows = {id: (body, [(e.number, pack_event(e)) for e in events]) for id, (body, events, _) in batch.items()}

        def kept(result: Any, error: Exception | None) -> None:
            self._saving = False
            if error is not None:
                log.error("store: %s; trying again", error)
                self._save_at = self._now() + SAVE_AGAIN_S
                for _, events, job in batch.values():
                    job.unsaved = events + job.unsaved
                    self._unsaved[job.id] = job
                return
            for _, events, job in batch.values():
                if events:
                    job.saved = events[-1].number
                    self.news(job)
            self.flush()

        self._store_thread.call(lambda: self.store.save(rows), kept)

    def idle(self, worker: Worker) -> None:
        """A worker can take something."""
        self._hand_out()

    # ---- inside

    def _dirty(self, job: Job) -> None:
        self._unsaved[job.id] = job
        self.changed(job)

    @staticmethod
    def _require_same(digest: str, request: Request) -> None:
        if digest != request.digest:
            raise ServerError(
                f"key {request.key}: belongs to a job with another recipe; choose another key", "KEY_REUSED"
            )

    def _begin_check(self, task: CheckTask, request: Request, name: str) -> None:
        if len(self._checks) >= CHECKS_WAITING_MOST:
            raise ServerError("too many checks wait; ask again in 5 s", "BUSY", True, 5.0)

        def placed(found: tuple[Do, bytes] | None, error: Exception | None) -> None:
            if error is not None or found is None:
                task.done(None, error)
                return
            if not task.abandoned:
                task.do, task.payload = found
                self._checks.append(task)
                self._hand_out()

        self._spool_thread.call(lambda: self._placed(task.do, request, name), placed)

    def _placed(self, do: Do, request: Request, name: str) -> tuple[Do, bytes]:
        """In the spool's thread: the task with the folder that it needs, and what goes along with it."""
        folder = str(self.folders.made(name, request.files)) if name else ""
        file = ""
        if request.blob:
            self.spool.read(request.blob)  # it is here, and not too large
            file = str(self.spool.path(request.blob))
        return replace(do, folder=folder, recipe_file=file), request.recipe

    def _looked(self, request: Request, job_id: str, looked: Looked | None, error: Exception | None) -> None:
        """The check of a submit is over."""
        if error is None and looked is not None and looked.problems:
            error = refusal(looked.problems, looked.forbidden)
        if error is not None or looked is None:
            self._spool_thread.call(lambda: self.folders.forget(job_id), lambda result, failed: None)
            self._answer_submit(request, None, (), error)
            return
        order = Order(request.base, request.frames, request.files, request.force, looked.lane, request.user)
        status = JobStatus(
            job=job_id, name=looked.name, state="queued", frames=looked.frames, total=looked.total,
            priority=request.priority, created=round(self._clock(), 3), client=request.client, folder=looked.place,
        )  # fmt: skip
        job = Job(0, request.key, request.digest, status, order)
        first_events(job, self._clock())
        events = [(event.number, pack_event(event)) for event in job.held]

        def added(number: int | None, failed: Exception | None) -> None:
            if failed is None and number is not None:
                job.number = number
                self.jobs.add(job)
            self._answer_submit(request, job, looked.warnings, failed)
            self._forget_old()
            self._hand_out()

        self._store_thread.call(
            lambda: self.store.add(job.id, job.key, job.digest, self._kept(request), job.body(), events), added
        )  # fmt: skip

    def _answer_submit(
        self, request: Request, job: Job | None, warnings: tuple[str, ...], error: Exception | None
    ) -> None:
        """Everyone who asked with this key while its check ran; the first made the job."""
        _, waiting = self._submits.pop(request.key)
        self._said.pop(request.key, None)
        for i, done in enumerate(waiting):
            done(None if error is not None else (job, i == 0, warnings), error)

    def _kept(self, request: Request) -> bytes:
        """The recipe itself, also where it came as a blob: those are removed one day."""
        return self.spool.path(request.blob).read_bytes() if request.blob else request.recipe

    def _forget_old(self) -> None:
        ended = [job for job in self.jobs if job.ended]
        for job in ended[: max(0, len(ended) - ENDED_KEPT)]:
            self.change(job, "forget", 0, lambda result, error: None)

    def _hand_out(self) -> None:
        if self.crew is None:
            return
        for worker in self.crew.workers:
            if worker.state != "idle":
                continue
            if worker.role == "check" and self._checks:
                self.crew.give(worker, self._checks.popleft())
            elif worker.role == "preview" and self._previews:
                self.crew.give(worker, self._previews.popleft())
            elif worker.role == "render" and worker.name not in self._preparing:
                self._take_job(worker)

    def _take_job(self, worker: Worker) -> None:
        job = self.jobs.take(worker.name)
        if job is None:
            return
        generation, epoch = worker.generation, job.epoch
        self._preparing.add(worker.name)

        def prepared(found: tuple[bytes, str] | None, error: Exception | None) -> None:
            self._preparing.discard(worker.name)
            owned = self.jobs.owned(job.id, epoch)
            if owned is None:
                return
            if error is not None or found is None:
                self.jobs.finished(owned, "failed", None, getattr(error, "code", "IO"), str(error))
                return
            if worker.state != "idle" or worker.generation != generation or self.crew is None:
                self.jobs.lost(owned, "WORKER_CRASH", "the worker was gone before it began")
                return
            recipe, folder = found
            do = Do(
                id=f"{job.id}-{epoch}", kind="job", job=job.id, epoch=epoch, base=job.order.base,
                frames=job.order.frames, force=job.order.force and job.status.attempt == 1, folder=folder,
            )  # fmt: skip
            do, payload = _carried(do, recipe, folder)
            self.crew.give(worker, JobTask(do, payload, owned, self.jobs))
            if owned.status.wish:
                self.crew.stop_task(do.id)

        def fetch() -> tuple[bytes, str]:
            recipe = self.store.recipe(job.id)
            return recipe, str(self.folders.made(job.id))

        self._store_thread.call(fetch, prepared)


def _folder_name(request: Request) -> str:
    """Of the folder for the uploads of a check or a preview: the same uploads share one."""
    return f"files-{request.files.partition(':')[2][:16]}" if request.files else ""


def _carried(do: Do, recipe: bytes, folder: str) -> tuple[Do, bytes]:
    """A recipe that is too large for a payload travels as a file in the job's folder."""
    if len(recipe) <= CHUNK:
        return do, recipe
    path = Path(folder) / "recipe.msgpack"
    path.write_bytes(recipe)
    return replace(do, recipe_file=str(path)), b""
