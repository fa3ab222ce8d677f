"""What a server can do, against its limits: bytes by value, answers under load, deaf clients, many requests.

A real server process with a home of its own is measured through the real client and the real wire. Rates are ratios
within one run, interleaved, medians: on a shared machine nothing else says much.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import platelight
from platelight.connection import read_connection
from platelight.errors import RecipeError
from platelight.recipe import Recipe

from ..service.allocator import keep_memory
from .bench_server_crowd import fill
from .bench_server_engine import NAME as SELFISH
from .bench_server_host import Host, Peer, Pinger, hosted
from .bench_shot import make_bench_shot

# A little more than one upload of the transport measure: the spool is full, as on every server that is used, and room
# for a blob is made by removing an old one. Memory that a virtual machine touches for the first time costs ten times
# as much to write.
SPOOL_GB = 0.3


@dataclass(frozen=True)
class ServerFigure:
    """One measured value. `limit` None where there is none to keep; `most` says on which side of it is right."""

    measure: str
    name: str
    value: float
    unit: str
    limit: float | None = None
    most: bool = True
    said: str = ""

    @property
    def ok(self) -> bool:
        """Whether the limit is kept."""
        return self.limit is None or (self.value <= self.limit if self.most else self.value >= self.limit)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "ok": self.ok}


@dataclass(frozen=True)
class Size:
    """How much is measured. The defaults are what limits are stated for."""

    rounds: int = 5
    files: int = 8
    file_bytes: int = 32 << 20
    seconds: float = 4.0
    requests: int = 60_000
    jobs: int = 1000
    events: int = 10_000
    width_px: int = 4096
    height_px: int = 2160
    starts: int = 3


@dataclass
class Bench:
    """What the measures share: a folder, and a server that is started when it is first needed."""

    folder: Path
    size: Size
    stack: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def host(self) -> Host:
        """The server, once its worker is ready."""
        host: Host = self.stack.enter_context(hosted(self.folder / "home", "--spool-gb", str(SPOOL_GB)))
        with self.client(host) as client:
            while any(one.state == "starting" for one in client.status().workers):
                time.sleep(0.1)
        return host

    @contextmanager
    def client(self, host: Host | None = None) -> Iterator[platelight.Client]:
        """The real client, as the commands have it."""
        keep_memory()
        with platelight.connect(connection_file=(host or self.host).connection_file) as client:
            yield client

    def peer(self, deaf: bool = False) -> Peer:
        """A connection by hand."""
        return Peer(read_connection(self.host.connection_file), deaf)

    def pinger(self) -> Pinger:
        """A process that pings for as long as a measure takes."""
        return Pinger(self.host.connection_file, self.size.seconds)

    def selfish(self, frames: int = 2000) -> Recipe:
        """A small shot whose engine lets no other thread run."""
        folder = self.folder / f"selfish-{frames}"
        if folder.exists():
            shutil.rmtree(folder)
        recipe = make_bench_shot(folder, 64, 36, frames, distinct=1)
        return replace(recipe, engine=replace(recipe.engine, name=SELFISH))

    @cached_property
    def large(self) -> tuple[str, int]:
        """A job with a log as large as an upload: (its id, bytes)."""
        with self.client() as client:
            job = client.submit(self.selfish(1), self.folder)
            job.result(60)
        size = self.size.files * self.size.file_bytes
        with self.host.spool("jobs", job.id, "log").open("wb") as file:
            for _ in range(self.size.files):
                file.write(bytes(range(256)) * (self.size.file_bytes // 256))
        return job.id, size

    @cached_property
    def watched(self) -> str:
        """A job with a long history. From here on the queue is full, and the worker busy."""
        with self.client() as client:
            job = client.submit(self.selfish(), self.folder, priority=90)
            while job.status().state != "running":
                time.sleep(0.1)
        watched = fill(self.host, job.id, self.size.jobs, self.size.events)
        with self.client() as client:
            while not client.status().running:
                time.sleep(0.1)
        return watched


Measure = Callable[[Bench], list[ServerFigure]]


def measure_server(folder: Path, only: Sequence[str] = (), size: Size | None = None) -> list[ServerFigure]:
    """Measures all, or `only` those named. Raises `RecipeError` for a name that there is not."""
    known = measures()
    for name in only:
        if name not in known:
            raise RecipeError("--only", f"one of {', '.join(known)}", repr(name))
    found = []
    with ExitStack() as stack:
        bench = Bench(folder, size or Size(), stack)
        for name, measure in known.items():
            if not only or name in only:
                found += measure(bench)
    return found


def measures() -> dict[str, Measure]:
    """By name, in the order in which they are taken: those that fill the queue come last."""
    from .bench_server_load import measure_cancel, measure_control, measure_stalled
    from .bench_server_transport import measure_transport
    from .bench_server_volume import measure_listing, measure_requests, measure_start

    return {
        "start": measure_start,
        "requests": measure_requests,
        "transport": measure_transport,
        "cancel": measure_cancel,
        "control": measure_control,
        "stalled": measure_stalled,
        "listing": measure_listing,
    }
