"""The server that is measured, as a process of its own, and a peer that speaks its wire by hand."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import zmq

from platelight import messages as m
from platelight.connection import Connection, read_connection
from platelight.errors import ServerError
from platelight.refusals import error_of
from platelight.wire import FRAME_MOST, Bytes, decode_frames, encode_frames, new_id

ENGINES = "platelight_server.evaluation.bench_server_engine"
WAIT_S = 60.0
PAUSE_S = 0.005  # between two pings


class Host:
    """`platelight serve` with a home of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self._arguments = arguments
        self.start()

    def start(self) -> None:
        """Starts it; also after `stop`."""
        command = [
            sys.executable, "-m", "platelight_server.cli", "serve", "--json", "--home", str(self.home),
            "--engine-module", ENGINES, *self._arguments,
        ]  # fmt: skip
        self.started = time.perf_counter()
        with self.home.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ServerError(f"the server did not start: {self.home.with_suffix('.log').read_text()[-500:]}")
        json.loads(line)

    def stop(self) -> None:
        """Ends it in good order."""
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    @property
    def connection_file(self) -> Path:
        """How to reach it."""
        return self.home / "connection.json"

    @property
    def resident_mib(self) -> float:
        """Memory of the front process (not of its workers), from /proc; 0 where there is none."""
        with contextlib.suppress(OSError):
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return 0.0

    @property
    def descriptors(self) -> int:
        """Open files of the front process."""
        with contextlib.suppress(OSError):
            return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))
        return 0

    @property
    def has_torch(self) -> bool:
        """Whether the front process has loaded torch."""
        with contextlib.suppress(OSError):
            return "libtorch" in Path(f"/proc/{self._process.pid}/maps").read_text()
        return False

    def spool(self, *parts: str) -> Path:
        """A path in its spool."""
        return self.home.joinpath("server", "spool", *parts)


class Peer:
    """A connection, said hello on. `deaf` takes nothing in that is not asked for: one message waits at this end."""

    def __init__(self, connection: Connection, deaf: bool = False) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self.socket: zmq.Socket[Any] = self._context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.MAXMSGSIZE, FRAME_MOST)
        self.socket.setsockopt(zmq.RCVHWM, 1 if deaf else 64)
        if deaf:
            self.socket.setsockopt(zmq.RCVBUF, 65536)
        if connection.server_key:
            self.socket.curve_serverkey = connection.server_key.encode()
            self.socket.curve_publickey = connection.public_key.encode()
            self.socket.curve_secretkey = connection.secret_key.encode()
        self.socket.connect(connection.address)
        self.ask(m.Hello(new_id(), client="bench"))

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.destroy(linger=0)

    def say(self, message: m.Message, payload: Bytes | None = None) -> None:
        """Sends."""
        self.socket.send_multipart(encode_frames(message, payload))

    def hear(self, wait_s: float = WAIT_S) -> tuple[m.Message, Bytes | None] | None:
        """The next message; None where none comes."""
        if not self.socket.poll(int(wait_s * 1000)):
            return None
        return decode_frames([frame.buffer for frame in self.socket.recv_multipart(copy=False)], m.ANSWERS)

    def ask(self, message: m.Message, payload: Bytes | None = None) -> m.Message:
        """The answer to a request. Raises `ServerError`."""
        self.say(message, payload)
        while (heard := self.hear()) is not None:
            if heard[0].id == message.id and not isinstance(heard[0], m.Working):
                if isinstance(heard[0], m.Refused):
                    raise error_of(heard[0])
                return heard[0]
        raise ServerError(f"no answer within {WAIT_S:g} s")


class Pinger:
    """Pings from a process of its own, which nothing that is measured here delays."""

    def __init__(self, connection_file: Path, seconds: float) -> None:
        command = [sys.executable, "-m", __name__, str(connection_file), str(seconds)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it begins now

    @property
    def runs(self) -> bool:
        """Whether it still pings."""
        return self._process.poll() is None

    def p99_ms(self) -> float:
        """Waits for the end: milliseconds that 99 of 100 pings stay below."""
        said, _ = self._process.communicate()
        return float(np.percentile(json.loads(said), 99))


@contextlib.contextmanager
def hosted(home: Path, *arguments: str) -> Iterator[Host]:
    """A server while the block runs."""
    host = Host(home, *arguments)
    try:
        yield host
    finally:
        host.stop()


def ping(connection_file: Path, seconds: float) -> list[float]:
    """Milliseconds of round trips, one after the other, for so long."""
    found = []
    with Peer(read_connection(connection_file)) as peer:
        print("pinging", flush=True)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            peer.ask(m.Ping(new_id()))
            found.append((time.perf_counter() - start) * 1000)
            time.sleep(PAUSE_S)
    return found


if __name__ == "__main__":
    print(json.dumps(ping(Path(sys.argv[1]), float(sys.argv[2]))))
