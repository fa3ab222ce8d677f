"""The yardstick of the server's transport: two plain processes, a DEALER and a ROUTER with CURVE, a mebibyte a message.

The receiver copies each chunk into a buffer that is there already, and answers it; the sender has eight under way. On
demand both sides hash as well, and the receiver writes over a file: the least that an upload has to do besides.

    python -m platelight_server.evaluation.bench_server_plain PUBLIC SECRET BYTES FILE
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq

from platelight.content import algorithm_of
from platelight.keys import new_pair
from platelight.wire import CHUNK

from ..service.spool import algorithms, hasher

WINDOW = 8
PLAIN, WRITTEN, HASHED = b"plain", b"written", b"hashed"


class Plain:
    """A receiver in a process of its own, and the sender here."""

    def __init__(self, size: int, file: Path) -> None:
        server, client = new_pair(), new_pair()
        module = "platelight_server.evaluation.bench_server_plain"
        command = [sys.executable, "-m", module, server.public, server.secret, str(size), str(file)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket: zmq.Socket[Any] = self._context.socket(zmq.DEALER)
        self._socket.curve_serverkey = server.public.encode()
        self._socket.curve_publickey, self._socket.curve_secretkey = client.public.encode(), client.secret.encode()
        self._socket.connect(address)
        self._data = memoryview(os.urandom(size))

    def __enter__(self) -> Plain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._context.destroy(linger=0)

    def rate(self, what: bytes = PLAIN) -> float:
        """MiB a second."""
        self._socket.send(what)
        self._socket.recv()
        size, offset, under_way = len(self._data), 0, 0
        digest = hasher(algorithm_of(algorithms()))
        start = time.perf_counter()
        while offset < size or under_way:
            while offset < size and under_way < WINDOW:
                chunk = self._data[offset : offset + CHUNK]
                if what == HASHED:
                    digest.update(chunk)
                self._socket.send(chunk, copy=False)
                offset, under_way = offset + CHUNK, under_way + 1
            self._socket.recv()
            under_way -= 1
        return size / CHUNK / (time.perf_counter() - start)


def receive(public: str, secret: str, size: int, path: Path) -> None:
    """The receiver's process; ends when it is killed."""
    socket: zmq.Socket[Any] = zmq.Context().socket(zmq.ROUTER)
    socket.curve_server, socket.curve_publickey, socket.curve_secretkey = True, public.encode(), secret.encode()
    socket.bind("tcp://127.0.0.1:*")
    print(socket.getsockopt_string(zmq.LAST_ENDPOINT), flush=True)
    held = memoryview(bytearray(size))
    held[::4096] = bytes(len(held[::4096]))  # the memory is there before the first chunk
    path.write_bytes(b"")
    while True:
        ident, what = socket.recv_multipart()
        with path.open("r+b", buffering=0) as file:  # written over: fresh pages cost more than all the rest, or nothing
            socket.send_multipart([ident, b"go"])
            digest = hasher(algorithm_of(algorithms()))
            for offset in range(0, size, CHUNK):
                chunk = socket.recv_multipart(copy=False)[1].buffer
                if what == PLAIN:
                    held[offset : offset + len(chunk)] = chunk
                else:
                    file.write(chunk)
                if what == HASHED:
                    digest.update(chunk)
                socket.send_multipart([ident, b"ok"])


if __name__ == "__main__":
    receive(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
