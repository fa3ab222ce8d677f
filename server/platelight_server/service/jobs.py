"""The queue: every job's state, who may change it how, and which is next. Pure; what must be kept is handed out.

A job belongs to at most one worker. Taking it raises its `epoch`, and only reports that carry the current epoch count:
what a worker says that was given up is left aside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgpack

from platelight.document import decode, encode, entry
from platelight.errors import ServerError
from platelight.frames import FrameRange
from platelight.messages import FINAL_STATES, Event, JobResult, JobStatus, State

EVENTS_HELD = 256  # of each job in memory; older ones are read from the store
ATTEMPTS_MOST = 3  # times that a worker may die on the same job without finishing a frame
ACTIVE_STATES = ("preparing", "running")


@dataclass(frozen=True)
class Order:
    """What a client asked for, as the worker needs it."""

    base: str = entry("folder that relative paths start at, on this machine", default="")
    frames: str = entry("part of the recipe's frames; empty = all", default="")
    files: str = entry("list of uploaded files", default="")
    force: bool = entry("render frames that are current as well", default=False)
    lane: str = entry("where the result goes: jobs of one lane do not run at once on the same frames", default="")
    user: str = entry("key of the client", default="")


@dataclass(frozen=True)
class _Row:
    """What the store keeps of a job beside its recipe."""

    status: JobStatus = entry("status")
    order: Order = entry("order")
    result: JobResult | None = entry("result", default=None)
    crashes: int = entry("deaths of workers without a finished frame", default=0)


@dataclass
class Job:
    """A job. `status` is what clients see."""

    number: int
    key: str
    digest: str
    status: JobStatus
    order: Order
    result: JobResult | None = None
    crashes: int = 0
    epoch: int = 0
    worker: str = ""
    held: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_HELD))
    unsaved: list[Event] = field(default_factory=list)
    saved: int = 0  # number of the last event that the store has: no client sees a later one

    @property
    def id(self) -> str:
        return self.status.job

    @property
    def ended(self) -> bool:
        return self.status.state in FINAL_STATES

    @property
    def active(self) -> bool:
        return self.status.state in ACTIVE_STATES

    def body(self) -> bytes:
        """The row to keep."""
        row = _Row(self.status, self.order, self.result, self.crashes)
        packed: bytes = msgpack.packb(encode(row, sparse=True), use_bin_type=True)
        return packed


class Jobs:
    """All jobs by id, in the order of their submission. `changed` is called with a job whenever it is another."""

    def __init__(self, changed: Callable[[Job], None], now: Callable[[], float], most_waiting: int = 10_000) -> None:
        self._changed, self._now, self._most_waiting = changed, now, most_waiting
        self._jobs: dict[str, Job] = {}
        self._keys: dict[str, Job] = {}

    def load(self, rows: Iterable[tuple[int, str, str, str, bytes]]) -> None:
        """Jobs from the store. What was running when the server ended is queued again."""
        for number, _, key, digest, body in rows:
            row = decode(_Row, msgpack.unpackb(body), lenient=True)
            job = Job(number, key, digest, row.status, row.order, row.result, row.crashes, saved=row.status.events)
            self._jobs[job.id] = self._keys[key] = job
        for job in self._jobs.values():
            if job.active:
                self._settle(job, "the server was started anew")
            elif job.status.wish:
                self._set(job, wish="")

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def __len__(self) -> int:
        return len(self._jobs)

    def find(self, job: str) -> Job | None:
        """The job, or None."""
        return self._jobs.get(job)

    def get(self, job: str) -> Job:
        """The job. Raises `ServerError` NOT_FOUND."""
        if job not in self._jobs:
            raise ServerError(f"job {job}: not found", "NOT_FOUND")
        return self._jobs[job]

    def with_key(self, key: str) -> Job | None:
        """The job that was submitted with this key."""
        return self._keys.get(key)

    def waiting(self) -> list[Job]:
        """Queued jobs, the next one first."""
        queued = [job for job in self._jobs.values() if job.status.state == "queued"]
        return sorted(queued, key=lambda job: (-job.status.priority, job.number))

    def running(self) -> list[Job]:
        """Jobs that a worker has."""
        return [job for job in self._jobs.values() if job.active]

    def require_room(self) -> None:
        """Raises `ServerError` QUEUE_FULL."""
        count = sum(job.status.state in ("queued", "paused") for job in self._jobs.values())
        if count >= self._most_waiting:
            raise ServerError(
                f"expected fewer than {self._most_waiting} jobs waiting, got {count}; ask again in 30 s",
                "QUEUE_FULL", True, 30.0,
            )  # fmt: skip

    def add(self, job: Job) -> None:
        """Takes in a job that the store has."""
        self._jobs[job.id] = self._keys[job.key] = job
        self._changed(job)

    def status(self, job: Job, place: int | None = None) -> JobStatus:
        """The status as clients see it, with its place in the queue."""
        if job.status.state != "queued":
            return job.status
        if place is None:
            mine = (-job.status.priority, job.number)
            place = sum(
                other.status.state == "queued" and (-other.status.priority, other.number) < mine
                for other in self._jobs.values()
            )
        return replace(job.status, position=place)

    # ---- what clients ask for

    def change(self, job: Job, action: str, priority: int = 50) -> None:
        """Cancels, pauses, resumes, retries, or changes the priority. Raises `ServerError` WRONG_STATE."""
        state = job.status.state
        if action == "priority" and not job.ended:
            self._set(job, priority=priority)
        elif action in ("cancel", "pause") and job.active:
            self._set(job, wish=action)
        elif action == "cancel" and state in ("queued", "paused"):
            self._end(job, "cancelled", text="cancelled before it began")
        elif action == "pause" and state == "queued":
            self._move(job, "paused")
        elif action == "resume" and (state == "paused" or job.status.wish == "pause"):
            # A worker that is on its way to stop finds it queued when it has stopped.
            self._set(job, wish="resume") if job.active else self._move(job, "queued")
        elif action == "retry" and state in ("failed", "partial", "cancelled"):
            job.crashes, job.result = 0, None
            self._set(job, code="", failed=0, done=0)
            self._move(job, "queued")
        else:
            raise ServerError(f"job {job.id}: cannot {action} a job that is {state}", "WRONG_STATE")

    def forget(self, job: Job) -> None:
        """Removes an ended job. Raises `ServerError` WRONG_STATE."""
        if not job.ended:
            raise ServerError(
                f"job {job.id}: expected an ended job, it is {job.status.state}; cancel it", "WRONG_STATE"
            )
        del self._jobs[job.id], self._keys[job.key]

    # ---- what workers do

    def take(self, worker: str) -> Job | None:
        """The next job for an idle worker, or None."""
        busy = [(other.order.lane, other.status.frames) for other in self.running()]
        for job in self.waiting():
            if not any(lane == job.order.lane and _overlap(frames, job.status.frames) for lane, frames in busy):
                job.epoch, job.worker = job.epoch + 1, worker
                self._set(job, attempt=job.status.attempt + 1, done=0, failed=0, stage="", step=0, steps=0)
                self._move(job, "preparing")
                return job
        return None

    def owned(self, job: str, epoch: int) -> Job | None:
        """The job, where this epoch's worker still owns it."""
        found = self._jobs.get(job)
        return found if found is not None and found.active and found.epoch == epoch else None

    def report(self, job: Job, kind: str, frame: int | None, done: int, total: int, text: str) -> None:
        """A frame is behind us, or the engine is prepared; `done` of the `total` frames to render are done."""
        if kind == "prepared":
            self._move(job, "running")
        if kind == "done":
            job.crashes = 0
        behind = job.status.done + (kind in ("current", "done", "failed"))
        self._set(job, done=behind, failed=job.status.failed + (kind == "failed"))
        self._tell(job, kind, frame, text, done, total)

    def step(self, job: Job, stage: str, step: int, steps: int, seconds_left: float | None) -> None:
        """Where the engine is; not kept."""
        self._set(job, keep=False, stage=stage, step=step, steps=steps, seconds_left=seconds_left)

    def finished(self, job: Job, state: State, result: JobResult | None, code: str = "", text: str = "") -> None:
        """The worker has ended the job: done, partial, failed; or "cancelled", where it stopped as it was asked."""
        job.result = result
        if state != "cancelled":
            self._end(job, state, code, text)
        elif job.status.wish == "cancel":
            self._end(job, "cancelled", text="cancelled")
        else:
            wish = job.status.wish
            self._release(job)
            self._move(job, "paused" if wish == "pause" else "queued")

    def lost(self, job: Job, code: str, why: str) -> None:
        """The worker died or was given up. The job is queued again, unless it is to blame."""
        job.crashes += 1
        if job.status.wish == "cancel":
            self._end(job, "cancelled", text="cancelled")
        elif job.crashes >= ATTEMPTS_MOST:
            self._end(job, "failed", code, f"{why}, {job.crashes} times without a finished frame in between")
        else:
            self._settle(job, why)

    def _settle(self, job: Job, why: str) -> None:
        """Back into the queue, or where a wish leads."""
        wish = job.status.wish
        self._release(job)
        if wish == "cancel":
            self._end(job, "cancelled", text="cancelled")
        else:
            self._move(job, "paused" if wish == "pause" else "queued", why)

    def _release(self, job: Job) -> None:
        job.worker = ""
        self._set(job, wish="", stage="", step=0, steps=0, seconds_left=None)

    def _end(self, job: Job, state: State, code: str = "", text: str = "") -> None:
        self._release(job)
        self._set(job, code=code, text=text)
        self._move(job, state, text)

    def _move(self, job: Job, state: State, text: str = "") -> None:
        if job.status.state != state:
            self._set(job, state=state)
            self._tell(job, "state", None, text)

    def _tell(self, job: Job, kind: str, frame: int | None, text: str, done: int = 0, total: int = 0) -> None:
        status = job.status
        event = Event(
            job=job.id, number=status.events + 1, kind=kind, frame=frame, done=done, total=total,
            state=status.state if kind == "state" else "", text=text, time=round(self._now(), 3),
        )  # fmt: skip
        job.unsaved.append(event)
        job.held.append(event)
        self._set(job, events=event.number)

    def _set(self, job: Job, keep: bool = True, **values: Any) -> None:
        job.status = replace(job.status, **values)
        if keep:
            self._changed(job)


def first_events(job: Job, now: float) -> None:
    """The event with which a job begins, before the store has it."""
    event = Event(job=job.id, number=1, kind="state", state="queued", total=job.status.total, time=round(now, 3))
    job.status, job.saved = replace(job.status, events=1), 1
    job.held.append(event)


def pack_event(event: Event) -> bytes:
    """An event as the store keeps it."""
    packed: bytes = msgpack.packb(encode(event, sparse=True), use_bin_type=True)
    return packed


def unpack_event(body: bytes) -> Event:
    """The inverse of `pack_event`."""
    return decode(Event, msgpack.unpackb(body), lenient=True)


def _overlap(one: str, other: str) -> bool:
    first, second = FrameRange.parse(one), FrameRange.parse(other)
    if first.last < second.first or second.last < first.first:
        return False
    return bool(set(first) & set(second))
