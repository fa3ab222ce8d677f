"""The client: `connect`, then check, submit, watch and fetch. It needs numpy, pyzmq and msgpack, and no torch.

    with platelight.connect() as server:
        job = server.submit("shot.toml")
        for event in job.events():
            print(event.done, event.total)
        print(job.result().said)

Everything waits for its answer; the connection lives in a thread of its own (`link`). `connect_async` in `aio` is the
same for asyncio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from .calls import Calls, Picture, Report, ServerStatus
from .downloads import chunks, fetch_file
from .errors import BusyError, PlatelightError, ServerError, UnreachableError
from .frames import FrameRange
from .jobs import EveryJob, Follower, Happening, future_result, safe_name, target_path
from .link import Link
from .messages import Accepted, Event, JobResult, JobStatus, NamedFile
from .places import Roots
from .recipe import Recipe
from .targets import Target, seen_roots, target_of
from .uploads import Progress
from .waiting import next_of, value_of

TIMEOUT_S = 10.0


def connect(
    server: str | Path | None = None,
    *,
    connection_file: str | Path | None = None,
    server_key: str | None = None,
    roots: Mapping[str, str | Path] | None = None,
    timeout: float = TIMEOUT_S,
    program: str = "platelight",
) -> Client:
    """Connects to a server: an address, a connection file, `$PLATELIGHT_SERVER`, or this user's own on this machine.

    `server_key` is the server's public key (else the one that `platelight keys trust` noted), `roots` says where this
    machine sees the server's media roots (else `$PLATELIGHT_ROOTS`), `timeout` counts for this and for short requests.
    Raises `UnreachableError` where no server answers, `AccessError` where a key is missing.
    """
    target, seen = target_of(server, _path(connection_file), server_key), seen_roots(roots)
    link = Link(target.read, program)
    try:
        value_of(link.first, timeout)
    except BaseException as error:
        link.close()
        if isinstance(error, TimeoutError):
            raise no_answer(target, link, timeout) from None
        raise
    return Client(link, target, seen, timeout)


def no_answer(target: Target, link: Link, timeout: float) -> ServerError:
    """What to say when no welcome came: that the server has no room, where it said so, else where to ask further."""
    if isinstance(link.trouble, BusyError):
        return link.trouble
    return UnreachableError(
        f"no answer from {link.connection.address} within {timeout:g} s; run: platelight doctor{target.option}"
    )


class Client:
    """A connection to a server. Made by `connect`; may be used from several threads."""

    def __init__(self, link: Link, target: Target, seen: Mapping[str, Path], timeout: float) -> None:
        self.target = target
        self.calls = Calls(link, seen, timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection, within a second; jobs go on. May be called twice."""
        self.calls.link.close()

    @property
    def is_connected(self) -> bool:
        """Whether the server answers now. Where it does not, the client keeps trying by itself."""
        return self.calls.link.is_up

    @property
    def roots(self) -> Roots:
        """The server's media roots, as this machine sees them."""
        return self.calls.roots

    def check(
        self,
        recipe: Recipe | str | Path,
        base: str | Path | None = None,
        frames: str | FrameRange | None = None,
        upload: bool = False,
    ) -> Report:
        """What is wrong with a recipe (or a TOML file), and what it will cost. Relative paths start at `base`: the
        file's folder, or the current one. Raises `AccessError` for paths that the server cannot see."""
        report: Report = value_of(self.calls.check(self.calls.sent(recipe, base, upload), frames))
        return report

    def submit(
        self,
        recipe: Recipe | str | Path,
        base: str | Path | None = None,
        frames: str | FrameRange | None = None,
        priority: int = 50,
        key: str | None = None,
        force: bool = False,
        upload: bool = False,
        progress: Progress | None = None,
    ) -> Job:
        """Submits a job; from the return on the server does not lose it. The same `key` twice is the same job.

        With `upload` all input files go to the server and its result is there to `fetch`. Raises `RefusedError` with
        the check's problems, `AccessError` for paths that the server cannot see, `BusyError` where the queue is full.
        """
        sent = self.calls.sent(recipe, base, upload, progress)
        return Job(self, value_of(self.calls.submit(sent, frames, priority, key, force)))

    def preview(
        self,
        recipe: Recipe | str | Path,
        frame: int,
        width: int = 960,
        layers: Sequence[str] = ("composite",),
        base: str | Path | None = None,
        upload: bool = False,
    ) -> Picture:
        """One frame at reduced size, outside the queue. A new preview ends the one before (`CancelledError`)."""
        sent = self.calls.sent(recipe, base, upload)
        picture: Picture = value_of(self.calls.preview(sent, frame, width, layers))
        return picture

    def job(self, id: str) -> Job:
        """A job by its id. Raises `NotFoundError`."""
        value_of(self.calls.told(id))
        return Job(self, Accepted(job=id, new=False))

    def jobs(self, states: Sequence[str] = (), limit: int | None = None) -> list[JobStatus]:
        """Queue and history, newest first; with `states` only jobs in these."""
        found: list[JobStatus] = []
        after = ""
        while True:
            page = value_of(self.calls.page(after, states))
            found += page.jobs
            if not page.more or not page.jobs or (limit is not None and len(found) >= limit):
                return found[:limit]
            after = found[-1].job

    def watch(self) -> Iterator[JobStatus]:
        """The status of every job that changes, as it changes, without end."""
        queue: SimpleQueue[object] = SimpleQueue()
        follower = EveryJob(self.calls.watches, queue.put)
        try:
            while True:
                status = follower.read(next_of(queue))
                if status is not None:
                    yield status
        finally:
            follower.close()

    def engines(self) -> list[dict[str, Any]]:
        """What the server's engines need and can do."""
        found: list[dict[str, Any]] = value_of(self.calls.engines())
        return found

    def status(self) -> ServerStatus:
        """The server in a few numbers: queue, workers, roots."""
        status: ServerStatus = value_of(self.calls.status())
        return status

    def forget(self, id: str) -> None:
        """Removes an ended job and its folder from the server, not what it wrote below a root."""
        value_of(self.calls.change(id, "forget"))


class Job:
    """A job on a server. It goes on when this process ends."""

    def __init__(self, server: Client, accepted: Accepted) -> None:
        self._calls = server.calls
        self.id = accepted.job
        self.new = accepted.new
        self.warnings = accepted.warnings
        self._future: Future[JobResult] | None = None

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def events(self, after: int = 0) -> Iterator[Event]:
        """What happens, each event once and in order, from the one behind number `after` until the job has ended.

        Lost connections and restarts of the server do not show.
        """
        return (one for one in self.follow(after) if isinstance(one, Event))

    def follow(self, after: int = 0) -> Iterator[Happening]:
        """The same, with the newest status (which has the engine's steps) in between, a few times a second."""
        queue: SimpleQueue[object] = SimpleQueue()
        follower = Follower(self._calls.watches, self.id, after, queue.put)
        try:
            while not follower.ended:
                item = follower.read(next_of(queue))
                if item is not None:
                    yield item
        finally:
            follower.close()

    @property
    def future(self) -> Future[JobResult]:
        """The result as a future; its error is one of those that `result` raises."""
        if self._future is None:
            self._future = future_result(self._calls.watches, self.id)
        return self._future

    def result(self, timeout: float | None = None) -> JobResult:
        """Waits for the end. Raises `PartialError`, `JobFailedError`, `CancelledError`, `TimeoutError`."""
        result: JobResult = value_of(self.future, timeout)
        return result

    def status(self) -> JobStatus:
        """The job as it stands. Raises `NotFoundError` where it was forgotten."""
        return _status(value_of(self._calls.told(self.id)).status)

    def cancel(self) -> JobStatus:
        """Stops it within a step or a frame; finished frames stay."""
        return _status(value_of(self._calls.change(self.id, "cancel")).status)

    def pause(self) -> JobStatus:
        """Stops it for now; it keeps its place."""
        return _status(value_of(self._calls.change(self.id, "pause")).status)

    def resume(self) -> JobStatus:
        """Queues a paused job again."""
        return _status(value_of(self._calls.change(self.id, "resume")).status)

    def retry(self) -> JobStatus:
        """Queues an ended job again; frames that are current are not rendered again."""
        told = value_of(self._calls.change(self.id, "retry"))
        self._future = None
        return _status(told.status)

    def set_priority(self, priority: int) -> JobStatus:
        """Moves it in the queue: 0 to 100, higher runs first."""
        return _status(value_of(self._calls.change(self.id, "priority", priority)).status)

    def log(self) -> str:
        """What its worker wrote."""
        return b"".join(bytes(piece) for piece in chunks(self._calls.link, self.id, "log")).decode("utf-8", "replace")

    def log_from(self, offset: int) -> bytes:
        """The bytes of its log from `offset` on."""
        return b"".join(bytes(piece) for piece in chunks(self._calls.link, self.id, "log", offset))

    def files(self) -> list[NamedFile]:
        """The files of its result, by name."""
        found: list[NamedFile] = []
        while True:
            page = value_of(self._calls.files(self.id, found[-1].name if found else ""))
            found += page.files
            if not page.more or not page.files:
                return found

    def fetch(self, name: str, to: str | Path) -> Path:
        """Copies a file of the result into the folder `to` (or to that path), whole or not at all."""
        return fetch_file(self._calls.link, self.id, name, target_path(name, to))

    def fetch_all(self, folder: str | Path) -> list[Path]:
        """Copies all files of the result into a folder."""
        link, to = self._calls.link, Path(folder)
        return [fetch_file(link, self.id, one.name, to / safe_name(one.name)) for one in self.files()]


def _status(status: JobStatus | None) -> JobStatus:
    if status is None:
        raise PlatelightError("the job was forgotten")
    return status


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
