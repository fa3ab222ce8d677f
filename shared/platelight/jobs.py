"""A job as both clients see it: what follows its events, how it ends, and the names of its files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path, PurePosixPath

from .errors import OutputError
from .messages import FINAL_STATES, Event, JobResult, JobStatus, Told
from .refusals import error_of_job
from .watches import EVERY_JOB, Listener, Watches

NEWS = object()  # stands in a queue for the newest status, whichever that is when the queue is read
Happening = Event | JobStatus


class Follower:
    """Hands a job's events, all of them, and its newest status to `put`, from the link's thread, until it has ended.

    `read` turns what `put` was given into an event or a status; it raises the error that ended the watch.
    """

    def __init__(self, watches: Watches, job: str, after: int, put: Callable[[object], None]) -> None:
        self._watches, self._put = watches, put
        self._lock = threading.Lock()
        self._told: Told | None = None
        self.ended = False
        self._listener = Listener(job, put, self._take, put, after)
        self._seen = after
        self._last: Told | None = None
        watches.listen(self._listener)

    def _take(self, told: Told) -> None:
        with self._lock:
            waiting, self._told = self._told is not None, told
        if not waiting:
            self._put(NEWS)

    def read(self, item: object) -> Happening | None:
        """An event or a status. `ended` is set with the last of them."""
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, Event):
            self._seen = item.number
        else:
            with self._lock:
                self._last, self._told = self._told or self._last, None
        status = self._last.status if self._last is not None else None
        if status is not None and status.state in FINAL_STATES:
            self.ended = self._seen >= status.events
        return item if isinstance(item, Event) else status

    @property
    def told(self) -> Told | None:
        """The newest status with its result."""
        return self._last

    def close(self) -> None:
        """Ends the watch."""
        self._watches.leave(self._listener)


class EveryJob:
    """Hands the newest status of every job that changes to `put`, as a ticket for `read`."""

    def __init__(self, watches: Watches, put: Callable[[object], None]) -> None:
        self._watches, self._put = watches, put
        self._lock = threading.Lock()
        self._news: dict[str, Told] = {}
        self._listener = Listener(EVERY_JOB, lambda event: None, self._take, put)
        watches.listen(self._listener)

    def _take(self, told: Told) -> None:
        with self._lock:
            waiting = told.job in self._news
            self._news[told.job] = told
        if not waiting:
            self._put(told.job)

    def read(self, item: object) -> JobStatus | None:
        """A job's status; None for one that was forgotten."""
        if isinstance(item, BaseException):
            raise item
        with self._lock:
            return self._news.pop(str(item)).status

    def close(self) -> None:
        """Ends the watch."""
        self._watches.leave(self._listener)


def future_result(watches: Watches, job: str) -> Future[JobResult]:
    """The result of a job once it has ended, or the error that says why there is none."""
    future: Future[JobResult] = Future()
    future.set_running_or_notify_cancel()

    def settle(result: JobResult | None, error: BaseException | None) -> None:
        with suppress(InvalidStateError):
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result or JobResult())
        watches.leave(listener)

    def told(news: Told) -> None:
        if news.status is not None and news.status.state in FINAL_STATES:
            settle(news.result, error_of_job(news.status, news.result))

    # No events are wanted: the number of the last one is past all of them.
    listener = Listener(job, lambda event: None, told, lambda error: settle(None, error), 2**53)
    watches.listen(listener)
    return future


def safe_name(name: str) -> PurePosixPath:
    """A file name that a server gave, if it leads nowhere else. Raises `OutputError`."""
    path = PurePosixPath(name)
    bad = not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name
    if bad:
        raise OutputError(f"{name!r}: expected the plain name of a file from the server")
    return path


def target_path(name: str, to: str | Path) -> Path:
    """Where a fetched file goes: below `to` where that is a folder, else `to` itself."""
    to = Path(to)
    return to / safe_name(name) if to.is_dir() else to
