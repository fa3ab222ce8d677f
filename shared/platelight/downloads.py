"""Bytes from the server: files of a job's result and its log, chunk by chunk as this side takes them.

A file is written whole or not at all. After a lost connection the transfer goes on at the byte it had come to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

from .errors import OutputError, ServerError
from .link import Link
from .messages import Credit, Data, Get, Message, Stop
from .requests import MORE, Request
from .waiting import next_of
from .wire import Bytes

CREDIT = 12
CREDITS_AT_ONCE = 4  # a quarter of the messages, and the server still has two thirds of them in hand


def chunks(link: Link, job: str, name: str, offset: int = 0) -> Iterator[Bytes]:
    """The bytes of a job's file from `offset` on. Raises `NotFoundError`, `ServerError`."""
    arrived: SimpleQueue[tuple[str, Bytes | None]] = SimpleQueue()
    received = offset

    def message() -> Message:
        return Get(job=job, name=name, offset=received, credit=CREDIT)

    def take(answer: Message, payload: Bytes | None) -> object:
        nonlocal received
        if not isinstance(answer, Data):
            return MORE
        if answer.offset != received:
            raise ServerError(f"{name}: expected bytes from {received} on, got {answer.offset}")
        received += len(payload or b"")
        arrived.put((answer.id, payload))
        return None if answer.last else MORE

    request = Request(message(), None, take, message)
    request.future.add_done_callback(lambda future: arrived.put(("", None)))
    link.ask(request)
    credited, taken = "", 0
    try:
        while True:
            asker, piece = next_of(arrived)
            if not asker:
                break
            if piece:
                yield piece
            request.sign_at = time.monotonic()  # waiting for us is no silence of the server
            credited, taken = asker, taken + 1 if asker == credited else 1
            if taken == CREDITS_AT_ONCE:
                link.say(Credit(asker, taken))
                taken = 0
        request.future.result()
    finally:
        if not request.future.done():
            request.settle()
            link.say(Stop(request.id))


def fetch_file(link: Link, job: str, name: str, path: Path) -> Path:
    """Writes a job's file, whole or not at all. Raises `OutputError` besides what `chunks` does."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            for piece in chunks(link, job, name):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path
