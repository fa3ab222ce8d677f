"""Whether the server answers while others keep it busy: renders, uploads, downloads that are stopped or never read."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platelight import messages as m
from platelight.link import Link
from platelight.recipe import Recipe
from platelight.uploads import upload_files
from platelight.wire import CHUNK, new_id

from .bench_server import Bench, ServerFigure
from .bench_server_host import Host, Peer
from .bench_shot import make_bench_shot

PING_MS = 50.0
STOPPED_MIB = 16.0
CREDIT = 8
LARGE_CREDIT = 64
STOPS = 5


def measure_control(bench: Bench) -> list[ServerFigure]:
    """Ping while nothing goes on, while 4K is rendered, while the worker holds its GIL, while another uploads."""
    found = [_pinged(bench, "idle")]
    size = bench.size
    with _rendering(bench, make_bench_shot(bench.folder / "4k", size.width_px, size.height_px, 40, distinct=1)):
        found.append(_pinged(bench, f"rendering {size.width_px}x{size.height_px}"))
    with _rendering(bench, bench.selfish()):
        found.append(_pinged(bench, "worker holds the GIL"))
    with _uploading(bench):
        found.append(_pinged(bench, "uploading"))
    return found


def measure_cancel(bench: Bench) -> list[ServerFigure]:
    """Bytes that still come after a `stop` of a download."""
    job, _ = bench.large
    with bench.peer() as peer:
        after = [_stopped(peer, job) for _ in range(STOPS)]
    said = f"{STOPS} stops, {', '.join(f'{one:.1f}' for one in after)}"
    return [ServerFigure("cancel", "delivered after stop", max(after), "MiB", STOPPED_MIB, said=said)]


def measure_stalled(bench: Bench) -> list[ServerFigure]:
    """Memory of the front while clients ask for much and read nothing, and the ping of another client."""
    job, total = bench.large
    host = bench.host
    _read(bench.peer(), job)  # once to its end, so that what the server needs for a download is there
    found = []
    for credit in (CREDIT, LARGE_CREDIT):
        with bench.peer(deaf=True) as deaf:
            before = host.resident_mib
            deaf.say(m.Get(new_id(), job, "log", credit=min(credit, total // CHUNK)))
            found += _grown(bench, host, before, f"get, credit {credit}", 2.0 * credit)
    watched = bench.watched
    _read(bench.peer(), job)
    with bench.peer(deaf=True) as deaf:
        before = host.resident_mib
        deaf.say(m.Watch(new_id(), watched, 0))
        found += _grown(bench, host, before, f"watch, {bench.size.events} events", 2.0 * CREDIT)
    return found


def _grown(bench: Bench, host: Host, before: float, name: str, limit: float) -> list[ServerFigure]:
    pinger, most = bench.pinger(), before
    while pinger.runs:
        most = max(most, host.resident_mib)
        time.sleep(0.05)
    said = "resident set of the front, the most of 20 looks a second"
    return [
        ServerFigure("stalled", f"{name}: memory", most - before, "MiB", limit, said=said),
        ServerFigure("stalled", f"{name}: ping p99", pinger.p99_ms(), "ms", PING_MS),
    ]


def _pinged(bench: Bench, name: str) -> ServerFigure:
    return ServerFigure("control", f"{name}: ping p99", bench.pinger().p99_ms(), "ms", PING_MS)


@contextmanager
def _rendering(bench: Bench, recipe: Recipe) -> Iterator[None]:
    """While the worker renders. Raises `RuntimeError` where it was done before the block ended."""
    with bench.client() as client:
        job = client.submit(recipe, bench.folder, force=True)
        while job.status().state in ("queued", "preparing"):
            time.sleep(0.1)
        yield
        state = job.status().state
        job.cancel()
        if state != "running":
            raise RuntimeError(f"bench: the job was {state} before the pings ended; give it more frames")
        while job.status().state == "running":
            time.sleep(0.1)


@contextmanager
def _uploading(bench: Bench) -> Iterator[None]:
    """While another client uploads, again and again."""
    done = threading.Event()
    path = bench.folder / "upload.bin"
    path.write_bytes(os.urandom(bench.size.file_bytes))
    with bench.client() as client:
        thread = threading.Thread(target=_upload_on, args=(client.calls.link, client.calls.welcome, path, done))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _upload_on(link: Link, welcome: m.Welcome, path: Path, done: threading.Event) -> None:
    while not done.is_set():
        with path.open("r+b") as file:
            file.write(os.urandom(16))
        upload_files(link, {"upload": path}, welcome.hashes)


def _stopped(peer: Peer, job: str) -> float:
    """MiB that come after the stop of a download that has run for a quarter of the file's chunks or 32."""
    get = m.Get(new_id(), job, "log", credit=CREDIT)
    peer.say(get)
    taken = 0
    while taken < 32 and (heard := peer.hear()) is not None:
        if isinstance(heard[0], m.Data):
            taken += 1
            if heard[0].last:
                break
            peer.say(m.Credit(get.id))
    peer.say(m.Stop(get.id))
    late = 0
    while (heard := peer.hear(0.5)) is not None:
        late += len(heard[1] or b"") if isinstance(heard[0], m.Data) else 0
    return late / 2**20


def _read(peer: Peer, job: str) -> None:
    """A whole download, thrown away."""
    get = m.Get(new_id(), job, "log", credit=CREDIT)
    with peer:
        peer.say(get)
        while (heard := peer.hear()) is not None:
            if isinstance(heard[0], m.Data):
                if heard[0].last:
                    return
                peer.say(m.Credit(get.id))
