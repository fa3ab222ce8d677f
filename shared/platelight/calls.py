"""What can be asked of a server, each as a future of `concurrent.futures`: what `Client` and `AsyncClient` share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import messages as m
from .errors import InputError, NotFoundError, ProtocolError, ServerError
from .frames import FrameRange
from .link import Link
from .places import Roots
from .recipe import Recipe
from .requests import MORE, Request
from .shipping import Shipment, by_path, by_value
from .uploads import Progress, upload_bytes, upload_files
from .watches import Watches
from .wire import CHUNK, Bytes

if TYPE_CHECKING:
    import numpy as np

RECIPE_MOST = 16 << 20
PREVIEW_CREDIT = 8
PREVIEW_BYTES_MOST = 2048 * 65536 * 64 * 2

Action = Literal["cancel", "pause", "resume", "retry", "priority", "forget"]


@dataclass(frozen=True)
class Estimate:
    """What a job will cost."""

    frames: int
    windows: int
    seconds: float
    memory_bytes: int
    disk_bytes: int
    plan: str = ""


@dataclass(frozen=True)
class Report:
    """What a check found. Without problems the job may start."""

    problems: tuple[m.Problem, ...]
    warnings: tuple[str, ...]
    estimate: Estimate

    @property
    def ok(self) -> bool:
        """Whether the job may start."""
        return not self.problems


@dataclass(frozen=True)
class Picture:
    """A preview of one frame.

    channels  name -> (height, width) float16, scene-linear in `colorspace`, may be <0 and >1; colour premultiplied
    """

    frame: int
    width: int
    height: int
    channels: Mapping[str, np.ndarray]
    colorspace: str
    warnings: tuple[str, ...]
    milliseconds: float


@dataclass(frozen=True)
class ServerStatus:
    """The server as it stands."""

    address: str
    host: str
    version: str
    epoch: str
    roots: tuple[m.RootEntry, ...]
    queued: int
    running: int
    workers: tuple[m.WorkerStatus, ...]


@dataclass(frozen=True)
class Sent:
    """The fields of a request about a recipe, once its files are with the server."""

    recipe: str = ""
    base: str = ""
    files: str = ""
    payload: bytes | None = None


class Calls:
    """The requests of a link."""

    def __init__(self, link: Link, seen: Mapping[str, Path], timeout: float) -> None:
        self.link, self._seen, self._timeout = link, seen, timeout
        self.watches = Watches(link)

    @property
    def welcome(self) -> m.Welcome:
        """What the server said of itself when it was last connected."""
        if self.link.welcome is None:
            raise ServerError("not connected")
        return self.link.welcome

    @property
    def roots(self) -> Roots:
        """The server's media roots, as this machine sees them."""
        return Roots.of(self.welcome.roots, self._seen)

    def ask(
        self,
        message: m.Message,
        answer: type[m.Message],
        value: Callable[[Any, Bytes | None], Any] = lambda message, payload: message,
        payload: bytes | None = None,
        repeat: bool = True,
        patience_s: float | None = None,
    ) -> Future[Any]:
        """Asks; the future has `value` of the answer."""

        def take(got: m.Message, data: Bytes | None) -> object:
            if not isinstance(got, answer):
                raise ProtocolError(f"expected {answer.__name__.lower()}, got {type(got).__name__.lower()}")
            return value(got, data)

        patience = self._timeout if patience_s is None else patience_s
        again = (lambda: message) if repeat else None
        return self.link.ask(Request(message, payload, take, again, patience)).future

    # ---- recipes

    def sent(
        self, recipe: Recipe | str | Path, base: str | Path | None, upload: bool, progress: Progress | None = None
    ) -> Sent:
        """Makes a recipe ready for a request, and uploads what has to be. Waits; raises `AccessError`, `InputError`."""
        if not isinstance(recipe, Recipe):
            path = Path(recipe)
            recipe, base = Recipe.from_toml(path), path.absolute().parent if base is None else base
        folder = Path(base) if base is not None else Path.cwd()
        shipment = by_value(recipe, folder) if upload else by_path(recipe, folder, self.roots)
        return self.shipped(shipment, progress)

    def shipped(self, shipment: Shipment, progress: Progress | None = None) -> Sent:
        """Uploads what a shipment needs uploaded."""
        import msgpack

        offered = self.welcome.hashes
        files = ""
        if shipment.by_value:
            blobs = upload_files(self.link, shipment.files, offered, progress)
            listed: bytes = msgpack.packb({name: [blob.name, blob.size] for name, blob in blobs.items()})
            files = upload_bytes(self.link, listed, offered).name
        if len(shipment.packed) > RECIPE_MOST:
            raise ServerError(f"expected a recipe of at most {RECIPE_MOST} bytes, got {len(shipment.packed)}")
        if len(shipment.packed) > min(self.welcome.chunk, CHUNK):
            return Sent(upload_bytes(self.link, shipment.packed, offered).name, shipment.base, files)
        return Sent("", shipment.base, files, shipment.packed)

    def check(self, sent: Sent, frames: str | FrameRange | None) -> Future[Report]:
        """What is wrong with a recipe, and what it will cost."""

        def value(got: m.Checked, _: Bytes | None) -> Report:
            cost = Estimate(got.frames, got.windows, got.seconds, got.memory_bytes, got.disk_bytes, got.plan)
            return Report(got.problems, got.warnings, cost)

        message = m.Check(recipe=sent.recipe, base=sent.base, files=sent.files, frames=str(frames or ""))
        return self.ask(message, m.Checked, value, sent.payload, patience_s=60.0)

    def submit(
        self, sent: Sent, frames: str | FrameRange | None, priority: int, key: str | None, force: bool
    ) -> Future[m.Accepted]:
        """Asks for a job; asking again with the same key gives the same job. Raises `InputError` for a bad key."""
        if key is not None and not re.fullmatch(m.ID, key):
            raise InputError(f"key: expected 1 to 64 letters, digits, _ and -, got {key[:80]!r}")
        message = m.Submit(
            recipe=sent.recipe, base=sent.base, files=sent.files, key=key or os.urandom(16).hex(),
            frames=str(frames or ""), priority=priority, force=force,
        )  # fmt: skip
        return self.ask(message, m.Accepted, payload=sent.payload, patience_s=60.0)

    def preview(self, sent: Sent, frame: int, width: int, layers: Sequence[str]) -> Future[Picture]:
        """One frame at reduced size. A new one ends the one before."""
        incoming = _IncomingPicture(self.link)
        message = m.PreviewAsked(
            recipe=sent.recipe, base=sent.base, files=sent.files, frame=frame, width=width, layers=tuple(layers),
            credit=PREVIEW_CREDIT,
        )  # fmt: skip
        request = Request(message, sent.payload, incoming.take, lambda: message)
        return self.link.ask(request).future

    # ---- jobs

    def told(self, job: str) -> Future[m.Told]:
        """A job's status, and its result once it has ended. Raises `NotFoundError` for what is no job's id."""
        if not re.fullmatch(m.JOB, job):
            raise NotFoundError(f"{job[:80]}: expected a job's id of 16 hexadecimal digits", "NOT_FOUND")
        return self.ask(m.JobAsked(job=job), m.Told)

    def change(self, job: str, action: Action, priority: int = 50) -> Future[m.Told]:
        """Asks for something to be done to a job."""
        return self.ask(m.Change(job=job, action=action, priority=priority), m.Told, repeat=False)

    def page(self, after: str, states: Sequence[str]) -> Future[m.Listed]:
        """A page of jobs, newest first."""
        return self.ask(m.JobsAsked(after=after, states=tuple(states)), m.Listed)

    def files(self, job: str, after: str) -> Future[m.Named]:
        """A page of a result's files."""
        return self.ask(m.FilesAsked(job=job, after=after), m.Named)

    # ---- the server

    def engines(self) -> Future[list[dict[str, Any]]]:
        """What the engines need and can do."""

        def value(_: m.Message, payload: Bytes | None) -> list[dict[str, Any]]:
            import msgpack

            found: list[dict[str, Any]] = msgpack.unpackb(payload or b"\x90", raw=False)
            return found

        return self.ask(m.EnginesAsked(), m.Engines, value, patience_s=60.0)

    def status(self) -> Future[ServerStatus]:
        """The server in a few numbers."""

        def value(pong: m.Pong, _: Bytes | None) -> ServerStatus:
            said = self.welcome
            return ServerStatus(
                self.link.connection.address, said.host, said.server_version, pong.epoch, said.roots, pong.queued,
                pong.running, pong.workers,
            )  # fmt: skip

        return self.ask(m.Ping(), m.Pong, value)


class _IncomingPicture:
    """A preview on its way: planes of little-endian float16 into one buffer, a credit for each chunk."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._head = m.Previewed()
        self._buffer = bytearray()

    def take(self, answer: m.Message, payload: Bytes | None) -> object:
        """Takes one answer, in the link's thread."""
        if isinstance(answer, m.Previewed):
            size = answer.width * answer.height * len(answer.channels) * 2
            if answer.size != size or not 0 < size <= PREVIEW_BYTES_MOST:
                raise ProtocolError(f"preview: expected {size} bytes, got {answer.size}")
            self._head, self._buffer = answer, bytearray(size)
            return MORE
        if not isinstance(answer, m.Data) or payload is None:
            return MORE
        end = answer.offset + len(payload)
        if end > len(self._buffer):
            raise ProtocolError(f"preview: expected {len(self._buffer)} bytes, got {end}")
        self._buffer[answer.offset : end] = payload
        if not answer.last:
            self._link.say(m.Credit(answer.id))
            return MORE
        return self._picture()

    def _picture(self) -> Picture:
        import numpy as np

        head = self._head
        planes = np.frombuffer(self._buffer, "<f2").astype(np.float16, copy=False)
        planes = planes.reshape(len(head.channels), head.height, head.width)
        channels = dict(zip(head.channels, planes, strict=True))
        return Picture(
            head.frame, head.width, head.height, channels, head.colorspace, head.warnings, head.milliseconds
        )  # fmt: skip
