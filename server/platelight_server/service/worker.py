"""A worker process: takes tasks from the front one at a time, and stays in touch while it works.

It learns what it is from its standard input, and ends when that closes: a front that dies takes its workers along. The
main thread works; a thread of its own holds the link, so that a sign of life goes out every second as long as the
process can run Python at all.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgpack
import zmq

from platelight.document import decode
from platelight.messages import Message
from platelight.wire import FRAME_MOST, Bytes, decode_frames, encode_frames

from .link import NAMES, PAYLOAD, TO_WORKER, Beat, Do, Ready, StopTask, WorkerConfig

BEAT_MS = 1000
log = logging.getLogger("platelight.worker")


class Link:
    """The connection to the front. `send` may be called from any thread."""

    def __init__(self, config: WorkerConfig) -> None:
        self.tasks: SimpleQueue[tuple[Do, bytes]] = SimpleQueue()
        self._config = config
        self._stopped: set[str] = set()
        self._out: SimpleQueue[tuple[Message, Bytes | None]] = SimpleQueue()
        self._context = zmq.Context()
        self._wake = self._context.socket(zmq.PULL)
        self._wake.bind("inproc://wake")
        self._local = threading.local()
        threading.Thread(target=self._run, name="link", daemon=True).start()

    def send(self, message: Message, payload: Bytes | None = None) -> None:
        """Sends as soon as the link's thread comes to it."""
        self._out.put((message, payload))
        if not hasattr(self._local, "push"):
            self._local.push = self._context.socket(zmq.PUSH)
            self._local.push.connect("inproc://wake")
        self._local.push.send(b"")

    def stopped(self, task: str) -> bool:
        """Whether the front has called the task off."""
        return task in self._stopped

    def forget(self, task: str) -> None:
        """The task is over."""
        self._stopped.discard(task)

    def _run(self) -> None:
        front = self._socket()
        poller = zmq.Poller()
        poller.register(front, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(BEAT_MS))
            if not ready:
                self._put(front, Beat(memory_free=free_memory(self._config.device)), None)
            if self._wake in ready:
                self._wake.recv()
            try:
                while True:
                    self._put(front, *self._out.get_nowait())
            except Empty:
                pass
            if front in ready:
                self._take(front.recv_multipart())

    def _put(self, front: zmq.Socket[bytes], message: Message, payload: Bytes | None) -> None:
        front.send_multipart(encode_frames(message, payload, NAMES), copy=payload is None or len(payload) < 65536)

    def _take(self, frames: list[bytes]) -> None:
        message, payload = decode_frames(frames, TO_WORKER, PAYLOAD)
        if isinstance(message, StopTask):
            self._stopped.add(message.id)
        elif isinstance(message, Do):
            self.tasks.put((message, bytes(payload or b"")))

    def _socket(self) -> zmq.Socket[bytes]:
        config = self._config
        front: zmq.Socket[bytes] = self._context.socket(zmq.DEALER)
        front.setsockopt(zmq.ROUTING_ID, config.name.encode())
        front.setsockopt(zmq.LINGER, 2000)
        front.setsockopt(zmq.MAXMSGSIZE, FRAME_MOST)
        if config.server_key:
            front.curve_serverkey = config.server_key.encode()
            front.curve_publickey = config.public_key.encode()
            front.curve_secretkey = config.secret_key.encode()
        front.connect(config.address)
        return front


def main() -> None:
    """Reads what it is, loads, says it is ready, and works until its standard input closes."""
    faulthandler.enable()  # what it was at goes to its log when the front gives it up with SIGABRT
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    config = decode(WorkerConfig, json.loads(sys.stdin.readline()), lenient=True)
    threading.Thread(target=_end_with_front, name="front", daemon=True).start()
    link = Link(config)
    for module in config.modules:
        import_module(module)
    from .tasks import Tasks

    tasks = Tasks(config, link)
    name, total = hardware(config.device)
    link.send(Ready(hardware=name, memory_total=total, memory_free=free_memory(config.device)), packed_engines())
    log.info("ready role=%s device=%s hardware=%s", config.role, config.device, name)
    while True:
        do, payload = link.tasks.get()
        tasks.do(do, payload)
        link.forget(do.id)


def _end_with_front() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def hardware(device: str) -> tuple[str, int]:
    """Name and memory of a torch device."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device), torch.cuda.mem_get_info(device)[1]
    import platform

    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return f"{platform.machine()}, {os.cpu_count()} cores", pages


def free_memory(device: str) -> int:
    """Bytes that a device has free; 0 where that is not known."""
    if device.startswith("cuda"):
        torch: Any = sys.modules.get("torch")
        return 0 if torch is None or not torch.cuda.is_initialized() else int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return 0
    lines: Mapping[str, str] = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    return int(lines.get("MemAvailable", "0 kB").split()[0]) * 1024


def packed_engines() -> bytes:
    """The capabilities of all engines, as the wire carries them."""
    from platelight_server.engines.registry import engine_class, engine_names

    packed: bytes = msgpack.packb([asdict(engine_class(name).capabilities) for name in engine_names()])
    return packed


if __name__ == "__main__":
    main()
