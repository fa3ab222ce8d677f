"""The extension's one connection to a server, as data that panels read and a pump that the main thread turns.

It knows no `bpy`. The client's own thread holds the socket; everything here happens in whichever thread calls `pump`,
which is Blender's main thread, within a budget of time. What must wait for a disk (a recipe that is too large for a
message) is done by a thread that ends with the session.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from .core import (
    FINAL_STATES,
    Calls,
    Event,
    EveryJob,
    Follower,
    JobResult,
    JobStatus,
    Link,
    Listed,
    Picture,
    PlatelightError,
    Recipe,
    ServerStatus,
    Target,
)

LOOK_AGAIN_S = 2.0  # for a server that was not there
STATUS_EVERY_S = 2.0
TIMEOUT_S = 10.0
PLACES = {"running": 0, "preparing": 1, "queued": 2, "paused": 3}  # in the queue; ended jobs have none
Then = Callable[[Any, BaseException | None], None]


@dataclass
class JobView:
    """A job as the panel shows it."""

    id: str
    name: str = ""
    shot: str = ""  # which shot of which scene it belongs to; empty for other people's jobs
    status: JobStatus | None = None
    result: JobResult | None = None
    delivered: set[int] = field(default_factory=set)
    failed: dict[int, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status is not None and self.status.state in FINAL_STATES

    @property
    def share(self) -> float:
        """How much of it is behind us, 0 to 1."""
        return self.status.done / self.status.total if self.status is not None and self.status.total else 0.0


@dataclass
class _Waiting:
    future: Future[Any]
    then: Then
    quiet: bool  # asked by the session itself: whether a panel shows something new is told by `then`


@dataclass
class _Followed:
    follower: Follower
    queue: SimpleQueue[object]


class Session:
    """A connection that comes and goes. `changed` is set by `pump` where a panel has something new to show."""

    def __init__(self) -> None:
        self.target: Target | None = None
        self.calls: Calls | None = None
        self.link: Link | None = None
        self.status: ServerStatus | None = None
        self.engines: list[dict[str, Any]] = []
        self.trouble = ""
        self.jobs: dict[str, JobView] = {}
        self.queue: tuple[JobStatus, ...] = ()  # of the server: what has not ended, whoever sent it
        self.connections = 0  # how often the server has answered anew
        self.heard: dict[str, JobStatus] = {}  # news of any job, for whoever takes them out
        self.changed = True
        self._roots: dict[str, Path] = {}
        self._waiting: list[_Waiting] = []
        self._followed: dict[str, _Followed] = {}
        self._every: tuple[EveryJob, SimpleQueue[object]] | None = None
        self._look_at = self._status_at = 0.0
        self._was_up = False
        self._asked_engines = False
        self._chores: SimpleQueue[tuple[Callable[[], Future[Any]], Future[Any]] | None] = SimpleQueue()
        self._worker: threading.Thread | None = None
        self._live = _Live()

    # ---- the connection

    @property
    def is_up(self) -> bool:
        """Whether the server answers now."""
        return self.link is not None and self.link.is_up

    @property
    def words(self) -> str:
        """The connection in a few words."""
        if self.is_up:
            said = self.calls.welcome if self.calls is not None else None
            return f"{said.host} · {said.server_version}" if said is not None else "connected"
        return self.trouble or ("connecting" if self.link is not None else "not connected")

    def aim(self, target: Target, roots: dict[str, Path]) -> None:
        """Connects to this server from now on; another one is left."""
        if target == self.target and roots == self._roots:
            return
        self.leave()
        self.target, self._roots, self._look_at = target, roots, 0.0

    def leave(self) -> None:
        """Ends the connection. Jobs go on at the server, and are found again when it is there again."""
        for followed in self._followed.values():
            followed.follower.close()
        self._followed.clear()
        if self._every is not None:
            self._every[0].close()
            self._every = None
        if self.link is not None:
            self.link.close()
        for waiting in self._waiting:
            waiting.future.cancel()
        self.link = self.calls = self.status = None
        self.queue = ()
        self._waiting, self._was_up, self._asked_engines, self.changed = [], False, False, True
        self._live = _Live()

    def close(self) -> None:
        """Ends everything; Blender quits."""
        self.leave()
        self.target = None
        if self._worker is not None:
            self._chores.put(None)
            self._worker.join(1.0)
            self._worker = None

    # ---- what can be asked; `then(value, error)` is called by a later `pump`

    def submit(
        self, recipe: Recipe, base: Path, shot: str, key: str, then: Then, first: Callable[[], object] = lambda: None
    ) -> None:
        """Submits a job for a shot; `then` gets its `JobView`. `first` is done before, off the main thread."""

        def ask(calls: Calls) -> Future[Any]:
            first()
            return calls.submit(calls.sent(recipe, base, False), None, 50, key, False)

        def accepted(value: Any, error: BaseException | None) -> None:
            if error is None:
                self.follow(value.job, recipe.name, shot)
            then(None if error is not None else self.jobs[value.job], error)

        self._chore(ask, accepted)

    def check(self, recipe: Recipe, base: Path, then: Then) -> None:
        """What is wrong with a recipe, and what it will cost."""
        self._chore(lambda calls: calls.check(calls.sent(recipe, base, False), None), then)

    def list_jobs(self, states: tuple[str, ...], then: Callable[[Listed | None, BaseException | None], None]) -> None:
        """The newest jobs in these states (in any, where none is named): a page, whoever sent them."""
        self._ask(lambda calls: calls.page("", states), then, quiet=True)

    def change(self, job: str, action: str, then: Then = lambda value, error: None) -> None:
        """Cancels, pauses, resumes, retries or forgets a job."""
        self._ask(lambda calls: calls.change(job, action), then)  # type: ignore[arg-type]

    @property
    def is_previewing(self) -> bool:
        """Whether a preview is under way."""
        return self._live.busy

    def preview(self, recipe: Recipe, base: Path, frame: int, width: int, then: Callable[..., None]) -> None:
        """One frame at reduced size. While one is under way only the newest wish is kept: a drag makes many."""
        self._live.wish = (recipe, base, frame, width, then)
        self._next_preview()

    def _next_preview(self) -> None:
        live = self._live
        if live.busy or live.wish is None:
            return
        (recipe, base, frame, width, then), live.wish, live.busy = live.wish, None, True

        def done(picture: Picture | None, error: BaseException | None) -> None:
            if self._live is live:
                live.busy = False
                then(picture, error)
                self._next_preview()

        self._chore(lambda calls: calls.preview(calls.sent(recipe, base, False), frame, width, ("composite",)), done)

    def follow(self, job: str, name: str, shot: str) -> JobView:
        """Keeps a job's view up to date; also one that was submitted before Blender was started."""
        view = self.jobs.setdefault(job, JobView(job, name, shot))
        view.shot = shot or view.shot
        if self.calls is not None and job not in self._followed and not view.ended:
            queue: SimpleQueue[object] = SimpleQueue()
            self._followed[job] = _Followed(Follower(self.calls.watches, job, 0, queue.put), queue)
        self.changed = True
        return view

    # ---- the pump

    def pump(self, budget_s: float = 0.004) -> None:
        """Takes in what has come, for at most about `budget_s`."""
        end = time.perf_counter() + budget_s
        self._keep_connected()
        for waiting in [one for one in self._waiting if one.future.done()]:
            self._waiting.remove(waiting)
            self.changed = self.changed or not waiting.quiet
            _hand_over(waiting)
            if time.perf_counter() > end:
                return
        self._hear()
        for job, item in self._news():
            self._take(job, item)
            if time.perf_counter() > end:
                return

    def _keep_connected(self) -> None:
        now = time.monotonic()
        if self.link is None and self.target is not None and now >= self._look_at:
            self._look_at = now + LOOK_AGAIN_S
            self._connect(self.target)
        if self.is_up != self._was_up:
            self._was_up, self.changed = self.is_up, True
            self._status_at, self.connections = 0.0, self.connections + self.is_up
            for view in list(self.jobs.values()):
                self.follow(view.id, view.name, view.shot)
        if self.link is not None and not self.is_up and self.link.trouble is not None:
            said = str(self.link.trouble)
            self.changed, self.trouble = self.changed or said != self.trouble, said
        if self.is_up and now >= self._status_at:
            self._status_at = now + STATUS_EVERY_S
            self._ask(lambda calls: calls.status(), self._seen, quiet=True)
            self.list_jobs(tuple(PLACES), self._queued)
            if not self._asked_engines:
                self._asked_engines = True
                self._ask(lambda calls: calls.engines(), self._described, quiet=True)

    def _connect(self, target: Target) -> None:
        try:
            self.link = Link(target.read, "platelight for Blender")
        except PlatelightError as error:
            said = str(error)
            self.changed, self.trouble = self.changed or said != self.trouble, said
            return
        self.calls = Calls(self.link, self._roots, TIMEOUT_S)
        queue: SimpleQueue[object] = SimpleQueue()
        self._every = EveryJob(self.calls.watches, queue.put), queue
        self.trouble, self.changed = "", True

    def _seen(self, status: ServerStatus | None, error: BaseException | None) -> None:
        if status is not None:
            self.changed = self.changed or _shown(status) != _shown(self.status)
            self.status = status

    def _queued(self, listed: Listed | None, error: BaseException | None) -> None:
        if listed is not None:
            queue = tuple(sorted(listed.jobs, key=lambda job: (PLACES[job.state], job.position, -job.priority)))
            self.changed, self.queue = self.changed or queue != self.queue, queue

    def _described(self, engines: list[dict[str, Any]] | None, error: BaseException | None) -> None:
        if engines is not None:
            self.engines, self.changed = engines, True
        else:
            self._asked_engines = False  # they were not loaded yet

    def _hear(self) -> None:
        """Takes in what is told of every job, also of those that nobody here follows."""
        if self._every is None:
            return
        every, queue = self._every
        while not queue.empty():
            try:
                status = every.read(queue.get_nowait())
            except PlatelightError:  # the watch has ended; with the next connection there is another
                return
            if status is not None:
                self.heard[status.job] = status

    def _news(self) -> Iterator[tuple[str, object]]:
        for job, followed in list(self._followed.items()):
            while job in self._followed:
                try:
                    yield job, followed.queue.get_nowait()
                except Empty:
                    break

    def _take(self, job: str, item: object) -> None:
        view, followed = self.jobs[job], self._followed[job]
        self.changed = True
        try:
            news = followed.follower.read(item)
        except PlatelightError as error:
            view.trouble = str(error)
            self._followed.pop(job).follower.close()
            return
        if isinstance(news, Event):
            if news.kind in ("done", "current") and news.frame is not None:
                view.delivered.add(news.frame)
                view.failed.pop(news.frame, None)
            elif news.kind == "failed" and news.frame is not None:
                view.failed[news.frame] = news.text
        told = followed.follower.told
        if told is not None and told.status is not None:
            view.status, view.result = told.status, told.result
            view.name = view.name or told.status.name
        if followed.follower.ended:
            self._followed.pop(job).follower.close()

    # ---- futures

    def _ask(self, make: Callable[[Calls], Future[Any]], then: Then, quiet: bool = False) -> None:
        if self.calls is None:
            then(None, ConnectionError(self.words))
            return
        try:
            self._waiting.append(_Waiting(make(self.calls), then, quiet))
        except PlatelightError as error:
            then(None, error)

    def _chore(self, work: Callable[[Calls], Future[Any]], then: Then) -> None:
        """Has the session's thread ask: it may read files and wait for the server before there is a question."""
        calls = self.calls
        if calls is None or not self.is_up:
            then(None, ConnectionError(self.words))
            return
        if self._worker is None:
            self._worker = threading.Thread(target=self._do_chores, name="platelight-chores", daemon=True)
            self._worker.start()
        future: Future[Any] = Future()
        self._chores.put((lambda: work(calls), future))
        self._waiting.append(_Waiting(future, then, quiet=False))

    def _do_chores(self) -> None:
        while (chore := self._chores.get()) is not None:
            work, future = chore
            if not future.set_running_or_notify_cancel():
                continue
            try:
                work().add_done_callback(partial(_pass_on, future))
            except BaseException as error:  # the border of the thread: whoever asked is told
                future.set_exception(error)


@dataclass
class _Live:
    """The preview under way, and the newest wish after it."""

    busy: bool = False
    wish: tuple[Recipe, Path, int, int, Callable[..., None]] | None = None


def _shown(status: ServerStatus | None) -> object:
    """What has panels drawn anew: of the free memory, which is another number each time, whole gigabytes."""
    if status is None:
        return None
    workers = [(one.name, one.state, round((one.memory_free or 0) / 2**30)) for one in status.workers]
    return status.host, status.version, status.queued, status.running, workers


def _pass_on(future: Future[Any], asked: Future[Any]) -> None:
    """Settles the future that is waited for as the question was."""
    if asked.cancelled():
        future.set_exception(ConnectionError("the question was withdrawn"))
    elif (error := asked.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(asked.result())


def _hand_over(waiting: _Waiting) -> None:
    if waiting.future.cancelled():
        return
    error = waiting.future.exception()
    waiting.then(None if error is not None else waiting.future.result(), error)
