"""Bytes to the server: blobs named by their hash, in chunks, and on from where it stopped after any interruption.

The next files are hashed in a thread while those before are sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from .content import Blob, Content, FileContent, algorithm_of
from .errors import InputError
from .link import Link
from .sending import Sender
from .waiting import value_of

AHEAD_MOST = 3  # files that are hashed, or wait to be sent
LEFT_LEAST = 16 << 20  # bytes that are left to send when the next file follows: small ones do not wait for each other

Progress = Callable[[int, int], None]  # bytes sent, bytes in all


def upload_bytes(link: Link, data: bytes, offered: Sequence[str]) -> Blob:
    """Uploads bytes, unless the server has them."""
    content = Content(data, algorithm_of(offered))
    sender = Sender(link)
    sender.add(content)
    try:
        while sender:
            sender.turn()
    finally:
        sender.close()
    return content.blob


def upload_files(
    link: Link, files: Mapping[str, Path], offered: Sequence[str], progress: Progress | None = None
) -> dict[str, Blob]:
    """Uploads files, unless the server has them: name to blob. Raises `InputError` where one cannot be read."""
    try:
        total = sum(path.stat().st_size for path in files.values())
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from None
    held: dict[Content, int] = {}

    def confirmed(content: Content, count: int) -> None:
        held[content] = count
        if progress is not None:
            progress(sum(held.values()), total)

    algorithm, sender = algorithm_of(offered), Sender(link, confirmed)
    names = deque(files)
    found: dict[str, Blob] = {}
    ahead: deque[tuple[str, Future[FileContent]]] = deque()
    with ThreadPoolExecutor(1, "platelight-hash") as pool:
        try:
            while names or ahead or sender:
                while names and len(ahead) < AHEAD_MOST:
                    ahead.append((names[0], pool.submit(FileContent, files[names.popleft()], algorithm)))
                while ahead and (not sender or (ahead[0][1].done() and sender.left < LEFT_LEAST)):
                    name, reading = ahead.popleft()
                    content = value_of(reading)
                    found[name] = content.blob
                    sender.add(content)
                if sender:
                    sender.turn()
        finally:
            sender.close()
            for _, reading in ahead:
                reading.cancel()
    return found
