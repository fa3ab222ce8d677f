"""What is uploaded: bytes of a file or of memory, named by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from .errors import InputError
from .wire import Bytes

STEP = 256 << 10  # what is read and then hashed: it is still in the processor's cache then


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


class Content:
    """Bytes that are in memory. `label` is what an error calls them."""

    def __init__(self, data: bytes, algorithm: str) -> None:
        self._data = data
        self.blob = Blob(hash_of(iter([data]), algorithm), len(data))
        self.label = self.blob.name

    def read(self, offset: int, buffer: memoryview) -> int:
        """Fills a buffer with the bytes from `offset` on; how many there were."""
        piece = self._data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Nothing more is read."""


class FileContent(Content):
    """A file, hashed when this is made. Raises `InputError` where it cannot be read, then or later."""

    def __init__(self, path: Path, algorithm: str) -> None:
        self._path, self.label = path, str(path)
        self._file: FileIO | None = None
        buffer = memoryview(bytearray(STEP))
        try:
            with path.open("rb", buffering=0) as file:
                name = hash_of((buffer[:count] for count in iter(lambda: file.readinto(buffer), 0)), algorithm)
                self.blob = Blob(name, file.tell())
        except OSError as error:
            raise self._unreadable(error) from None

    def read(self, offset: int, buffer: memoryview) -> int:
        """See `Content`."""
        try:
            if self._file is None:
                self._file = self._path.open("rb", buffering=0)
            self._file.seek(offset)
            filled = 0
            while filled < len(buffer) and (count := self._file.readinto(buffer[filled:])):
                filled += count
            return filled
        except OSError as error:
            raise self._unreadable(error) from None

    def close(self) -> None:
        """See `Content`."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _unreadable(self, error: OSError) -> InputError:
        return InputError(f"{self._path}: cannot be read: {error.strerror}")
