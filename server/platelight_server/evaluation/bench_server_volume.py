"""Many requests, long lists, and how soon a server that was just started answers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from platelight import messages as m
from platelight.connection import read_connection
from platelight.uploads import upload_bytes
from platelight.wire import new_id

from .bench_server import Bench, ServerFigure
from .bench_server_host import Peer, hosted

START_S = 1.0
LISTING_MS = 100.0
DRIFT_MIB = 2.0
UNDER_WAY = 50
LISTINGS = 9


def measure_start(bench: Bench) -> list[ServerFigure]:
    """From the start of the process to the answer to a first ping, and whether torch is in it then and later."""
    times, torch = [], False
    for number in range(bench.size.starts):
        with hosted(bench.folder / f"start-{number}") as host:
            with Peer(read_connection(host.connection_file)) as peer:
                peer.ask(m.Ping(new_id()))
                times.append(time.perf_counter() - host.started)
            torch = torch or host.has_torch
    torch = torch or bench.host.has_torch
    said = "medians; " + ", ".join(f"{one:.2f}" for one in times)
    return [
        ServerFigure("start", "first answer", statistics.median(times), "s", START_S, said=said),
        ServerFigure("start", "torch in the front", float(torch), "", 0.0, said="1 = its library is mapped"),
    ]


def measure_requests(bench: Bench) -> list[ServerFigure]:
    """Pings, job, jobs and have, mixed: memory and descriptors of the front between a sixth of them and the end."""
    job, _ = bench.large
    host, count = bench.host, bench.size.requests
    with bench.client() as client:
        blob = upload_bytes(client.calls.link, b"content", client.calls.welcome.hashes)
    kinds: list[Callable[[str], m.Message]] = [
        lambda id: m.Ping(id),
        lambda id: m.JobAsked(id, job),
        lambda id: m.JobsAsked(id),
        lambda id: m.Have(id, blob.name, blob.size),
    ]
    with bench.peer() as peer:
        start = time.perf_counter()
        _many(peer, kinds, count // 6)
        before, opened = host.resident_mib, host.descriptors
        _many(peer, kinds, count - count // 6)
        passed = time.perf_counter() - start
        drift, more = host.resident_mib - before, host.descriptors - opened
    said = f"resident set of the front, from request {count // 6} to {count}"
    return [
        ServerFigure("requests", "memory", drift, "MiB", DRIFT_MIB, said=said),
        ServerFigure("requests", "descriptors", float(abs(more)), "more or fewer", 0.0),
        ServerFigure("requests", "rate", count / passed, "a second", said=f"{UNDER_WAY} under way, one connection"),
    ]


def measure_listing(bench: Bench) -> list[ServerFigure]:
    """All jobs of a full queue, page by page, through the client."""
    assert bench.watched
    with bench.client() as client:
        times = []
        for _ in range(LISTINGS):
            start = time.perf_counter()
            found = client.jobs(states=("queued",))
            times.append((time.perf_counter() - start) * 1000)
    said = f"median of {LISTINGS}; the slowest {max(times):.0f}"
    return [
        ServerFigure("listing", f"{len(found)} queued jobs", statistics.median(times), "ms", LISTING_MS, said=said),
        ServerFigure("listing", "missing", float(bench.size.jobs - len(found)), "jobs", 0.0),
    ]


def _many(peer: Peer, kinds: list[Callable[[str], m.Message]], count: int) -> None:
    """So many requests, some under way at once."""
    asked = answered = 0
    while answered < count:
        while asked < count and asked - answered < UNDER_WAY:
            peer.say(kinds[asked % len(kinds)](new_id()))
            asked += 1
        heard = peer.hear()
        if heard is None or isinstance(heard[0], m.Refused):
            raise RuntimeError(f"bench: expected an answer, got {heard}")
        answered += not isinstance(heard[0], m.Working)
