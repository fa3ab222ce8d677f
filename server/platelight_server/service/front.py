"""The front process: owns the sockets, the store and the workers, and never does heavy work, so it always answers.

One loop takes what clients and workers say, and hands slow things to threads (`background`) or workers (`crew`). It
imports no torch and no picture library.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from platelight import __version__
from platelight.connection import Connection, private_folder, write_connection
from platelight.errors import BusyError, InputError
from platelight.keys import KeyPair, clients, new_pair, own_pair
from platelight.messages import Message, RootEntry
from platelight.wire import FRAME_MOST, Bytes, decode_frames, encode_frames

from ..alone import only_one
from ..plates import fence
from .allocator import give_memory_back, keep_memory
from .background import Background, Mailbox, logged
from .crew import Crew, Worker, spawner
from .doorkeeper import CLIENTS, WORKERS, Doorkeeper, Guests, WorkerKeys, lock
from .foreman import Foreman
from .link import NAMES, PAYLOAD, TO_FRONT, WorkerConfig
from .reception import About, Reception
from .spool import Spool
from .store import Store

TICK_MS = 50
CALM_S = 0.005  # between two looks at everything, however many messages come in that time
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
BATCH = 64  # messages of one socket before the others have their turn
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How a server is set up. `roots` empty on loopback means the whole file system, with this user's permissions."""

    home: Path
    connection_file: Path
    listen: str = "tcp://127.0.0.1:*"
    roots: tuple[RootEntry, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    curve: bool = True
    most_waiting: int = 10_000
    spool_bytes: int = 100 << 30
    cores: int = 1
    stall_s: float = 900.0
    modules: tuple[str, ...] = ()
    memory_bytes: int = 1 << 30
    stop: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        return self.listen.startswith(("tcp://127.", "tcp://[::1]", "tcp://localhost"))

    def require_safe(self) -> None:
        """Raises `InputError` where others could connect to a server that does not know them, or that has no roots, and
        for roots that contradict one another."""
        with fence.enclosed([fence.Root(entry.name, Path(entry.path), entry.writable) for entry in self.roots]):
            pass
        if self.is_local:
            return
        if not self.curve:
            raise InputError(
                f"--listen {self.listen}: expected CURVE for other machines; leave --insecure-loopback out"
            )
        if not clients(self.home / "keys").entries():
            raise InputError(
                f"--listen {self.listen}: expected at least one client key; add it with: platelight keys allow NAME KEY"
            )
        if not self.roots:
            raise InputError(
                f"--listen {self.listen}: expected media roots, outside of which nothing is touched: --root NAME=DIR"
            )


class Front:
    """A running server. `run` returns when it is asked to stop."""

    def __init__(self, settings: Settings) -> None:
        settings.require_safe()
        keep_memory()
        self.settings = settings
        self.epoch = os.urandom(8).hex()
        state = settings.home / "server"
        private_folder(settings.home)
        private_folder(state)
        private_folder(state / "logs")
        self._lock = only_one(state / "lock")
        if self._lock is None:
            raise BusyError(f"{settings.home}: another server uses it; stop that one, or choose another --home", "BUSY")
        self._context: zmq.Context[Any] = zmq.Context()
        self._local, self._worker_keys = new_pair(), WorkerKeys()
        self._server_pair = own_pair("server", settings.home / "keys")
        self._guests = Guests(self._local.public, clients(settings.home / "keys"))
        self._doorkeeper = Doorkeeper(self._context, self._guests, self._worker_keys)
        self._workers_pair: KeyPair = new_pair()
        self._clients = self._router(CLIENTS, self._server_pair if settings.curve else None, settings.listen)
        self._links = self._router(WORKERS, self._workers_pair, "tcp://127.0.0.1:*")
        self._poller = zmq.Poller()
        self._woken = self._context.socket(zmq.PULL)
        self._woken.bind("inproc://wake")
        self._wakers = threading.local()
        self._mailbox = Mailbox(self._wake)
        self._threads = [Background(name, self._mailbox) for name in ("store", "spool", "files")]
        self._build(state)

    @property
    def address(self) -> str:
        """Where clients connect."""
        bound = self._clients.getsockopt_string(zmq.LAST_ENDPOINT)
        return bound.replace("0.0.0.0", socket.gethostname()) if "0.0.0.0" in bound else bound

    def _build(self, state: Path) -> None:
        settings = self.settings
        store_thread, spool_thread, files_thread = self._threads
        self.foreman = Foreman(
            Store(state / "jobs.sqlite"), Spool(state / "spool", settings.spool_bytes), store_thread, spool_thread,
            time.monotonic, time.time, settings.most_waiting,
        )  # fmt: skip
        roots = settings.roots or whole_file_system()
        fenced = bool(settings.roots)
        about = About(self.epoch, __version__, socket.gethostname(), roots, fenced)
        self.reception = Reception(
            about, self.foreman, files_thread, self._post, time.monotonic,
            self._guests.allowed if settings.curve else lambda user: True,
        )  # fmt: skip

        def config(worker: Worker) -> WorkerConfig:
            pair = new_pair()
            self._worker_keys.keys.add(pair.public)
            return WorkerConfig(
                self._links.getsockopt_string(zmq.LAST_ENDPOINT), worker.identity, worker.role, worker.device,
                self._workers_pair.public, pair.public, pair.secret, roots, fenced, settings.cores, settings.modules,
            )  # fmt: skip

        crew = Crew(spawner(config, state / "logs"), self._post_worker, self.foreman.idle, time.monotonic)
        crew.stall_s = settings.stall_s
        crew.workers = [
            *(Worker(f"render-{i}", "render", device) for i, device in enumerate(settings.devices)),
            Worker("check-0", "check", "cpu"),
            Worker("preview-0", "preview", settings.devices[0], on_demand=True),
        ]
        self.foreman.crew = crew
        self.crew = crew

    def run(self, ready: Callable[[Connection], None] = lambda connection: None) -> None:
        """Answers until `settings.stop` is set, SIGTERM or SIGINT."""
        connection = Connection(
            self.address, self._server_pair.public if self.settings.curve else "",
            self._local.public if self.settings.curve else "", self._local.secret if self.settings.curve else "",
            self.epoch, os.getpid(), socket.gethostname(), __version__,
        )  # fmt: skip
        write_connection(self.settings.connection_file, connection)
        ready(connection)
        log.info("listening on %s epoch=%s", connection.address, self.epoch)
        for one in (self._clients, self._links, self._woken):
            self._poller.register(one, zmq.POLLIN)
        looked, wait_ms = 0.0, TICK_MS
        try:
            while not self.settings.stop.is_set():
                came = dict(self._poller.poll(wait_ms))
                if self._woken in came:
                    self._drain()
                if self._links in came:
                    self._hear_workers()
                if self._clients in came:
                    self._hear_clients()
                self._guarded(self._mailbox.deliver)
                if came and time.monotonic() < looked + CALM_S:
                    wait_ms = int(CALM_S * 1000)
                    continue
                for part in (self.crew.tick, self.foreman.tick, self.reception.tick, self._defend):
                    self._guarded(part)
                looked, wait_ms = time.monotonic(), TICK_MS
        finally:
            self._close()

    def _defend(self) -> None:
        """Listens anew where memory has grown beyond measure.

        No option of ZeroMQ bounds the number of parts of one message, and a message that never ends is invisible until
        it does. A client with a key could fill the memory with one: closing the socket throws such messages away, and
        the other clients connect again within a moment.
        """
        if resident_bytes() < self.settings.memory_bytes:
            return
        address = self._clients.getsockopt_string(zmq.LAST_ENDPOINT)
        log.error("memory=%d beyond %d: listening anew", resident_bytes(), self.settings.memory_bytes)
        self._poller.unregister(self._clients)
        self._clients.close(linger=0)
        for _ in range(100):  # the port is free as soon as ZeroMQ's own thread has closed it
            try:
                self._clients = self._router(CLIENTS, self._server_pair if self.settings.curve else None, address)
                break
            except InputError:
                time.sleep(0.02)
        self._poller.register(self._clients, zmq.POLLIN)
        give_memory_back()

    @staticmethod
    def _guarded(part: Callable[[], object]) -> None:
        """The loop goes on, whatever a part of it has met."""
        try:
            part()
        except Exception as error:
            logged(error)

    def _hear_clients(self) -> None:
        for _ in range(BATCH):
            try:
                frames = self._clients.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            ident, *rest = frames
            user = _user(rest[-1]) if rest and self.settings.curve else ""
            self.reception.receive(ident.bytes, [frame.buffer for frame in rest], user)

    def _hear_workers(self) -> None:
        for _ in range(BATCH):
            try:
                frames = self._links.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            ident, *rest = frames
            try:
                message, payload = decode_frames([frame.buffer for frame in rest], TO_FRONT, PAYLOAD)
                self.crew.heard(ident.bytes.decode("ascii", "replace"), message, payload)
            except Exception as error:
                logged(error)

    def _drain(self) -> None:
        try:
            while True:
                self._woken.recv(zmq.DONTWAIT)
        except zmq.Again:
            pass

    def _wake(self) -> None:
        """Called by background threads, each with a socket of its own."""
        if not hasattr(self._wakers, "push"):
            self._wakers.push = self._context.socket(zmq.PUSH)
            self._wakers.push.setsockopt(zmq.LINGER, 0)
            self._wakers.push.connect("inproc://wake")
        with contextlib.suppress(zmq.Again):  # then it is awake
            self._wakers.push.send(b"", zmq.DONTWAIT)

    def _post(self, ident: bytes, frames: Sequence[Bytes]) -> str:
        try:
            self._clients.send_multipart([ident, *frames], zmq.DONTWAIT, copy=len(frames) < 2)
        except zmq.Again:
            return "full"
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return "gone"
            raise
        return "sent"

    def _post_worker(self, identity: str, message: Message, payload: Bytes | None) -> None:
        try:
            self._links.send_multipart([identity.encode(), *encode_frames(message, payload, NAMES)], zmq.DONTWAIT)
        except zmq.ZMQError as error:  # it has just died; the next tick sees it
            log.warning("worker=%s cannot be told: %s", identity, error)

    def _router(self, domain: str, pair: KeyPair | None, address: str) -> zmq.Socket[Any]:
        router: zmq.Socket[Any] = self._context.socket(zmq.ROUTER)
        options = {
            zmq.ROUTER_MANDATORY: 1, zmq.ROUTER_HANDOVER: 1, zmq.MAXMSGSIZE: FRAME_MOST, zmq.SNDHWM: 64, zmq.RCVHWM: 64,
            zmq.HANDSHAKE_IVL: 5000, zmq.BACKLOG: 100, zmq.HEARTBEAT_IVL: 5000, zmq.HEARTBEAT_TIMEOUT: 30000,
            zmq.LINGER: 0, zmq.TCP_KEEPALIVE: 1, zmq.IPV6: 1 if "[" in address else 0,
        }  # fmt: skip
        for option, value in options.items():
            router.setsockopt(option, value)
        if pair is not None:
            lock(router, domain, pair)
        try:
            router.bind(address)
        except zmq.ZMQError as error:
            raise InputError(f"--listen {address}: cannot listen there: {error}") from None
        return router

    def _close(self) -> None:
        self.reception.close()
        self.crew.close()
        self._mailbox.deliver()
        self.foreman.flush()
        for thread in self._threads:
            thread.close()
        self._mailbox.deliver()
        self.foreman.store.close()
        _remove_own(self.settings.connection_file, self.epoch)
        self._clients.close(linger=500)
        self._links.close(linger=0)
        self._woken.close(linger=0)
        self._doorkeeper.close()
        self._context.destroy(linger=500)


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:  # noqa: PTH123 - five times as fast, many times a second
            return int(file.read(64).split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def whole_file_system() -> tuple[RootEntry, ...]:
    """The roots of a server for its own user alone: everything that this user can reach."""
    if os.name != "nt":
        return (RootEntry("fs", "/"),)
    letters = (letter for letter in "abcdefghijklmnopqrstuvwxyz" if Path(f"{letter}:\\").exists())
    return tuple(RootEntry(f"drive-{letter}", f"{letter.upper()}:\\") for letter in letters)


def stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM and SIGINT end the server in good order."""

    def end(number: int, frame: object) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def _user(frame: zmq.Frame) -> str:
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


def _remove_own(path: Path, epoch: str) -> None:
    """Takes the connection file away, unless another server has written its own by now."""
    try:
        if f'"{epoch}"' in path.read_text("utf-8"):
            path.unlink()
    except OSError:
        pass
