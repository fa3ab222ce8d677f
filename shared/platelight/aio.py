"""The client for asyncio: the same calls as `client`, awaited. It shares the connection's one thread and adds none.

    async with platelight.connect_async() as server:
        jobs = await asyncio.gather(*(server.submit(recipe) for recipe in recipes))
        async for event in jobs[0].events():
            print(event.done, event.total)

What reads or writes files (uploads, fetching) runs in asyncio's own thread pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from .calls import Calls, Picture, Report, ServerStatus
from .client import TIMEOUT_S, Client, Job, no_answer
from .frames import FrameRange
from .jobs import EveryJob, Follower, Happening
from .link import Link
from .messages import Accepted, Event, JobResult, JobStatus, NamedFile
from .places import Roots
from .recipe import Recipe
from .targets import seen_roots, target_of

Value = TypeVar("Value")


def connect_async(
    server: str | Path | None = None,
    *,
    connection_file: str | Path | None = None,
    server_key: str | None = None,
    roots: Mapping[str, str | Path] | None = None,
    timeout: float = TIMEOUT_S,
    program: str = "platelight",
) -> Connecting:
    """As `connect`; to be awaited, or used with `async with`."""

    async def connected() -> AsyncClient:
        file = None if connection_file is None else Path(connection_file)
        target, seen = target_of(server, file, server_key), seen_roots(roots)
        link = Link(target.read, program)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.wrap_future(link.first)
        except BaseException as error:
            link.close()
            if isinstance(error, TimeoutError):
                raise no_answer(target, link, timeout) from None
            raise
        return AsyncClient(Client(link, target, seen, timeout))

    return Connecting(connected)


class Connecting(Awaitable["AsyncClient"]):
    """A connection that is being made."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._client: AsyncClient | None = None

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        client: AsyncClient = yield from self._make().__await__()
        return client

    async def __aenter__(self) -> AsyncClient:
        self._client = await self
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()


class AsyncClient:
    """A connection to a server; see `Client`, whose methods these are."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._calls: Calls = client.calls

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection, within a second; jobs go on."""
        await asyncio.to_thread(self._client.close)

    @property
    def is_connected(self) -> bool:
        """Whether the server answers now."""
        return self._client.is_connected

    @property
    def roots(self) -> Roots:
        """The server's media roots, as this machine sees them."""
        return self._client.roots

    async def check(
        self,
        recipe: Recipe | str | Path,
        base: str | Path | None = None,
        frames: str | FrameRange | None = None,
        upload: bool = False,
    ) -> Report:
        """What is wrong with a recipe, and what it will cost."""
        sent = await asyncio.to_thread(self._calls.sent, recipe, base, upload)
        return await _value(self._calls.check(sent, frames))

    async def submit(
        self,
        recipe: Recipe | str | Path,
        base: str | Path | None = None,
        frames: str | FrameRange | None = None,
        priority: int = 50,
        key: str | None = None,
        force: bool = False,
        upload: bool = False,
    ) -> AsyncJob:
        """Submits a job."""
        sent = await asyncio.to_thread(self._calls.sent, recipe, base, upload)
        accepted = await _value(self._calls.submit(sent, frames, priority, key, force))
        return AsyncJob(self._client, accepted)

    async def preview(
        self,
        recipe: Recipe | str | Path,
        frame: int,
        width: int = 960,
        layers: Sequence[str] = ("composite",),
        base: str | Path | None = None,
        upload: bool = False,
    ) -> Picture:
        """One frame at reduced size, outside the queue."""
        sent = await asyncio.to_thread(self._calls.sent, recipe, base, upload)
        return await _value(self._calls.preview(sent, frame, width, layers))

    async def job(self, id: str) -> AsyncJob:
        """A job by its id."""
        await _value(self._calls.told(id))
        return AsyncJob(self._client, Accepted(job=id, new=False))

    async def jobs(self, states: Sequence[str] = (), limit: int | None = None) -> list[JobStatus]:
        """Queue and history, newest first."""
        return await asyncio.to_thread(self._client.jobs, states, limit)

    async def watch(self) -> AsyncIterator[JobStatus]:
        """The status of every job that changes, without end."""
        queue, put = _queue()
        follower = EveryJob(self._calls.watches, put)
        try:
            while True:
                status = follower.read(await queue.get())
                if status is not None:
                    yield status
        finally:
            follower.close()

    async def engines(self) -> list[dict[str, Any]]:
        """What the server's engines need and can do."""
        return await _value(self._calls.engines())

    async def status(self) -> ServerStatus:
        """The server in a few numbers."""
        return await _value(self._calls.status())

    async def forget(self, id: str) -> None:
        """Removes an ended job and its folder from the server."""
        await _value(self._calls.change(id, "forget"))


class AsyncJob:
    """A job on a server; see `Job`, whose methods these are."""

    def __init__(self, client: Client, accepted: Accepted) -> None:
        self._calls = client.calls
        self._job = Job(client, accepted)
        self.id, self.new, self.warnings = accepted.job, accepted.new, accepted.warnings

    def __repr__(self) -> str:
        return f"AsyncJob({self.id!r})"

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        """What happens, each event once and in order, until the job has ended."""
        async for one in self.follow(after):
            if isinstance(one, Event):
                yield one

    async def follow(self, after: int = 0) -> AsyncIterator[Happening]:
        """The same, with the newest status in between."""
        queue, put = _queue()
        follower = Follower(self._calls.watches, self.id, after, put)
        try:
            while not follower.ended:
                item = follower.read(await queue.get())
                if item is not None:
                    yield item
        finally:
            follower.close()

    @property
    def future(self) -> Future[JobResult]:
        """The result as a `concurrent.futures.Future`."""
        return self._job.future

    async def result(self, timeout: float | None = None) -> JobResult:
        """Waits for the end."""
        async with asyncio.timeout(timeout):
            return await _value(self._job.future)

    async def status(self) -> JobStatus:
        """The job as it stands."""
        return await asyncio.to_thread(self._job.status)

    async def cancel(self) -> JobStatus:
        """Stops it; finished frames stay."""
        return await asyncio.to_thread(self._job.cancel)

    async def pause(self) -> JobStatus:
        """Stops it for now."""
        return await asyncio.to_thread(self._job.pause)

    async def resume(self) -> JobStatus:
        """Queues a paused job again."""
        return await asyncio.to_thread(self._job.resume)

    async def retry(self) -> JobStatus:
        """Queues an ended job again."""
        return await asyncio.to_thread(self._job.retry)

    async def set_priority(self, priority: int) -> JobStatus:
        """Moves it in the queue."""
        return await asyncio.to_thread(self._job.set_priority, priority)

    async def log(self) -> str:
        """What its worker wrote."""
        return await asyncio.to_thread(self._job.log)

    async def files(self) -> list[NamedFile]:
        """The files of its result."""
        return await asyncio.to_thread(self._job.files)

    async def fetch(self, name: str, to: str | Path) -> Path:
        """Copies a file of the result."""
        return await asyncio.to_thread(self._job.fetch, name, to)

    async def fetch_all(self, folder: str | Path) -> list[Path]:
        """Copies all files of the result into a folder."""
        return await asyncio.to_thread(self._job.fetch_all, folder)


async def _value(future: Future[Value]) -> Value:
    return await asyncio.wrap_future(future)


def _queue() -> tuple[asyncio.Queue[object], Callable[[object], None]]:
    """A queue of the running loop, and how another thread puts something into it."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[object] = asyncio.Queue()

    def put(item: object) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, item)

    return queue, put
