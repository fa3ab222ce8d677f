"""A real server process, and a peer that speaks the wire by hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import zmq

from platelight import messages as m
from platelight.connection import Connection, read_connection
from platelight.recipe import Recipe
from platelight.wire import FRAME_MOST, Bytes, decode_frames, encode_frames, new_id
from tests.client import serving as serving_process

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60.0


class Server(serving_process.Server):
    """The same, started at once, with a look at its log and its workers."""

    def __init__(self, home: Path, *arguments: str) -> None:
        super().__init__(home.parent, *arguments, name=home.name)
        self.start()

    def said(self) -> str:
        """What it has logged."""
        return self.log.read_text("utf-8", "replace")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def connection(self) -> Connection:
        return read_connection(self.file)

    def workers(self, role: str = "") -> list[psutil.Process]:
        """Its worker processes; with a role those whose place it is."""
        children = sorted(psutil.Process(self.pid).children(), key=lambda one: one.create_time())
        return children if not role else [one for one in children if role in _name(one)]


def _name(process: psutil.Process) -> str:
    """Which place a worker has: its log file says so."""
    with contextlib.suppress(psutil.Error, OSError):
        return str(Path(f"/proc/{process.pid}/fd/2").readlink())
    return ""


@contextlib.contextmanager
def serving(home: Path, *arguments: str) -> Iterator[Server]:
    """A server while the block runs."""
    server = Server(home, *arguments)
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            assert server.stop() == 0


class Peer:
    """A connection that says what a test wants said."""

    def __init__(self, connection: Connection, hello: bool = True, **keys: str) -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.MAXMSGSIZE, FRAME_MOST)
        keys = {
            "server": connection.server_key,
            "public": connection.public_key,
            "secret": connection.secret_key,
            **keys,
        }
        if keys["server"]:
            self.socket.curve_serverkey = keys["server"].encode()
            self.socket.curve_publickey = keys["public"].encode()
            self.socket.curve_secretkey = keys["secret"].encode()
        self.socket.connect(connection.address)
        self.came: list[tuple[m.Message, Bytes | None]] = []
        if hello:
            try:
                self.welcome = self.ask(m.Hello(new_id(), user="tester", host="here"))
            except TimeoutError:
                self.close()
                raise

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Goes without a word."""
        self.socket.close()
        self.context.destroy(linger=0)

    def send(self, message: m.Message, payload: Bytes | None = None) -> None:
        """Says something."""
        self.socket.send_multipart(encode_frames(message, payload))

    def next(self, wait_s: float = WAIT_S) -> tuple[m.Message, Bytes | None] | None:
        """The next message, or None."""
        if not self.socket.poll(int(wait_s * 1000)):
            return None
        self.came.append(decode_frames(self.socket.recv_multipart(), m.ANSWERS))
        return self.came[-1]

    def until(self, wanted: Callable[[m.Message], bool], wait_s: float = WAIT_S) -> m.Message:
        """Reads until a message is as wanted."""
        end = time.monotonic() + wait_s
        while (left := end - time.monotonic()) > 0:
            found = self.next(left)
            if found is not None and wanted(found[0]):
                return found[0]
        raise TimeoutError(f"waited {wait_s} s; came: {[type(one).__name__ for one, _ in self.came[-10:]]}")

    def ask(self, message: m.Message, payload: Bytes | None = None, wait_s: float = WAIT_S) -> m.Message:
        """Asks, and waits for the answer."""
        self.send(message, payload)
        return self.until(lambda one: one.id == message.id and not isinstance(one, m.Working), wait_s)

    def submit(self, recipe: Recipe, key: str, base: str = "", **more: Any) -> m.Message:
        """Asks for a job."""
        return self.ask(m.Submit(new_id(), key=key, base=base, **more), recipe.pack())

    def end_of(self, job: str, wait_s: float = WAIT_S) -> m.Told:
        """Watches a job until it has ended."""
        watch = m.Watch(new_id(), job)
        self.send(watch)
        found = self.until(lambda one: isinstance(one, m.Told) and one.result is not None or _is_over(one, job), wait_s)
        assert isinstance(found, m.Told)
        return found

    def status(self, job: str) -> m.JobStatus:
        """A job as it stands."""
        told = self.ask(m.JobAsked(new_id(), job))
        assert isinstance(told, m.Told) and told.status is not None, told
        return told.status


def _is_over(message: m.Message, job: str) -> bool:
    return (
        isinstance(message, m.Told)
        and message.job == job
        and message.status is not None
        and message.status.state in m.FINAL_STATES
    )


def on_wire(recipe: Recipe) -> Recipe:
    """A recipe with absolute paths as a server without roots knows them."""
    from platelight.recipe import with_paths

    return with_paths(recipe, lambda text: f"fs:{text.removeprefix('/')}")


def files_of(folder: Path) -> dict[str, bytes]:
    """The frames in a folder, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*.exr"))}


def wait_for(condition: Callable[[], bool], wait_s: float = WAIT_S) -> float:
    """Waits until something holds; returns how long that took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > wait_s:
            raise TimeoutError(f"waited {wait_s} s")
        time.sleep(0.02)
    return time.monotonic() - began
