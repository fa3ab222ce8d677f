"""Bytes to the server: blobs named by their hash, in chunks, and on from where it stopped after any interruption.

The hash of the next file is made in a thread while the one before is sent. Chunks are read straight into memory that
ZeroMQ sends from, and that memory is used again once the server has a chunk: a fresh mebibyte costs as much as hashing
and writing it.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import zmq

from .errors import InputError, RestartedError, ServerError
from .link import Link
from .messages import Had, Have, Put, PutOk
from .requests import Request
from .waiting import value_of
from .wire import Bytes

AGAIN = frozenset({"NO_UPLOAD", "BAD_OFFSET", "BUSY"})
PATIENCE_S = 60.0  # without a chunk that was taken
PIECE = 1 << 20

Progress = Callable[[int, int], None]  # bytes sent, bytes in all
Read = Callable[[int, memoryview], int]  # fills a buffer from an offset on; how much there was


@dataclass(frozen=True)
class Blob:
    """Content by its hash."""

    name: str
    size: int


def algorithm_of(offered: Sequence[str]) -> str:
    """The hash to use with a server that knows `offered`: BLAKE3 where both sides have it, else SHA-256."""
    if "blake3" in offered:
        with suppress(ImportError):
            import blake3  # noqa: F401

            return "blake3"
    return "sha256"


def hash_of(pieces: Iterator[Bytes], algorithm: str) -> str:
    """`ALGORITHM:HEX` of bytes that come in pieces."""
    digest: Any
    if algorithm == "blake3":
        import blake3

        digest = blake3.blake3()
    else:
        digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return f"{algorithm}:{digest.hexdigest()}"


def upload_bytes(link: Link, data: bytes, offered: Sequence[str]) -> Blob:
    """Uploads bytes, unless the server has them."""
    blob = Blob(hash_of(iter([data]), algorithm_of(offered)), len(data))

    def read(offset: int, buffer: memoryview) -> int:
        piece = data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    _send(link, blob, read, lambda sent: None, _Frames())
    return blob


def upload_files(
    link: Link, files: Mapping[str, Path], offered: Sequence[str], progress: Progress | None = None
) -> dict[str, Blob]:
    """Uploads files, unless the server has them: name to blob. Raises `InputError` where one cannot be read."""
    algorithm = algorithm_of(offered)
    names = list(files)
    found: dict[str, Blob] = {}
    try:
        total = sum(path.stat().st_size for path in files.values())
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from None
    before, frames = 0, _Frames()
    with ThreadPoolExecutor(1, "platelight-hash") as pool:
        ahead = deque(pool.submit(_blob_of, files[name], algorithm) for name in names[:1])
        for i, name in enumerate(names):
            if i + 1 < len(names):
                ahead.append(pool.submit(_blob_of, files[names[i + 1]], algorithm))
            blob = value_of(ahead.popleft())
            with files[name].open("rb", buffering=0) as file:

                def read(offset: int, buffer: memoryview, file: Any = file) -> int:
                    file.seek(offset)
                    count: int = file.readinto(buffer)
                    return count

                def sent(count: int, before: int = before) -> None:
                    if progress is not None:
                        progress(before + count, total)

                try:
                    _send(link, blob, read, sent, frames)
                except ServerError as error:
                    if error.code == "HASH_MISMATCH":
                        raise InputError(f"{files[name]}: was changed while it was uploaded; try again") from None
                    raise
            before += blob.size
            sent(blob.size)
            found[name] = blob
    return found


def _blob_of(path: Path, algorithm: str) -> Blob:
    try:
        with path.open("rb", buffering=0) as file:
            buffer = memoryview(bytearray(PIECE))
            name = hash_of((buffer[:count] for count in iter(lambda: file.readinto(buffer), 0)), algorithm)
            return Blob(name, file.tell())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


class _Frames:
    """Memory for chunks, of ZeroMQ's own making. What was sent may be given back once the server has answered it."""

    def __init__(self) -> None:
        self._free: list[zmq.Frame] = []

    def read(self, read: Read, offset: int, size: int) -> Bytes:
        """A chunk of `size` bytes, less where there are less. A frame is bytes to all who send it."""
        if size < PIECE:
            piece = bytearray(size)
            return memoryview(piece)[: read(offset, memoryview(piece))]
        frame = self._free.pop() if self._free else zmq.Frame(bytes(size), copy=True)
        count = read(offset, frame.buffer)
        return cast(Bytes, frame) if count == size else bytes(frame.buffer[:count])

    def give_back(self, piece: object) -> None:
        """The server has it."""
        if isinstance(piece, zmq.Frame):
            self._free.append(piece)


def _send(link: Link, blob: Blob, read: Read, sent: Callable[[int], None], frames: _Frames) -> None:
    """Sends a blob's missing bytes, until the server says that it is whole."""
    have = Have(blob=blob.name, size=blob.size)
    held, taken_at = -1, time.monotonic()
    while True:
        had: Had = value_of(link.ask(Request(have, again=lambda: have)).future)
        if had.state == "complete":
            return
        if had.offset > held:
            held, taken_at = had.offset, time.monotonic()
        try:
            if _send_from(link, blob, had.offset, read, sent, frames):
                return
        except ServerError as error:
            lost = isinstance(error, RestartedError) or error.code in AGAIN
            if not lost or time.monotonic() - taken_at > PATIENCE_S:
                raise
            time.sleep(max(0.05, min(error.retry_after_s, 5.0)))


def _send_from(link: Link, blob: Blob, offset: int, read: Read, sent: Callable[[int], None], frames: _Frames) -> bool:
    """Sends chunks from `offset` on with a window; whether the blob is whole then."""
    welcome = link.welcome
    chunk, most = (welcome.chunk, welcome.window) if welcome is not None else (PIECE, 8)
    under_way: deque[Request] = deque()
    whole = False
    try:
        while offset < blob.size or under_way:
            while offset < blob.size and len(under_way) < max(1, most):
                piece = frames.read(read, offset, min(chunk, PIECE, blob.size - offset))
                if not len(piece):
                    raise InputError(f"{blob.name}: the file became shorter while it was uploaded; try again")
                under_way.append(link.ask(Request(Put(blob=blob.name, offset=offset), piece)))
                offset += len(piece)
            answer: PutOk = value_of(under_way[0].future)
            frames.give_back(under_way.popleft().payload)
            sent(answer.offset)
            whole = answer.complete
        return whole
    finally:
        for request in under_way:  # those that were sent are answered, or fail with the connection
            with suppress(ServerError):
                value_of(request.future)
