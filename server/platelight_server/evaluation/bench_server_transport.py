"""How fast bytes go by value, as a share of what plain ZeroMQ with CURVE does between two processes here."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import platelight
from platelight.downloads import chunks
from platelight.uploads import upload_files
from platelight.wire import CHUNK

from .bench_server import Bench, ServerFigure
from .bench_server_plain import HASHED, PLAIN, WRITTEN, Plain

LEAST = 0.70
WARM = 2


def measure_transport(bench: Bench) -> list[ServerFigure]:
    """Upload of a shot's files into the spool and download of a file, round by round beside the plain rates.

    The first rounds are not counted: in them memory is touched for the first time, and the spool fills up.
    """
    size = bench.size
    job, total = bench.large
    files = {f"plate/{i}.exr": bench.folder / "files" / f"{i}.exr" for i in range(size.files)}
    next(iter(files.values())).parent.mkdir()
    for path in files.values():
        path.write_bytes(os.urandom(size.file_bytes))
    into = memoryview(bytearray(total))
    with bench.client() as client, Plain(total, bench.folder / "plain.bin") as plain:
        cases: dict[str, Callable[[], float]] = {
            "plain": lambda: plain.rate(PLAIN),
            "upload": lambda: _upload(client, files, total),
            "download": lambda: _download(client, job, into),
            "written": lambda: plain.rate(WRITTEN),
            "hashed": lambda: plain.rate(HASHED),
        }
        rounds = [{name: case() for name, case in cases.items()} for _ in range(size.rounds + WARM)][WARM:]
    return _figures(rounds)


def _figures(rounds: list[dict[str, float]]) -> list[ServerFigure]:
    def share(name: str, of: str) -> float:
        return statistics.median(one[name] / one[of] for one in rounds)

    rates = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    said = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()) + " MiB/s"
    rows = [
        ServerFigure("transport", "upload / plain", share("upload", "plain"), "", LEAST, False, said),
        ServerFigure("transport", "download / plain", share("download", "plain"), "", LEAST, False),
    ]
    yardsticks = {
        "written": "plain, written over a file",
        "hashed": "plain, hashed by both, written over a file",
    }
    for name, what in yardsticks.items():
        rows.append(ServerFigure("transport", f"upload / {name}", share("upload", name), "", said=what))
        rows.append(ServerFigure("transport", f"{name} / plain", share(name, "plain"), ""))
    return rows


def _upload(client: platelight.Client, files: dict[str, Path], total: int) -> float:
    for path in files.values():  # another content: what the server has is not sent
        with path.open("r+b") as file:
            file.write(os.urandom(16))
    link = client.calls.link
    start = time.perf_counter()
    upload_files(link, files, client.calls.welcome.hashes)
    return total / CHUNK / (time.perf_counter() - start)


def _download(client: platelight.Client, job: str, into: memoryview) -> float:
    start, offset = time.perf_counter(), 0
    for piece in chunks(client.calls.link, job, "log"):
        into[offset : offset + len(piece)] = piece
        offset += len(piece)
    assert offset == len(into)
    return offset / CHUNK / (time.perf_counter() - start)
