"""Blobs: bytes that clients upload, named by their hash, in chunks that may be interrupted at any moment.

    part/ALGORITHM-HEX     what has come so far
    held/ALGORITHM-HEX     how much that is, as eight bytes, for a part that is written over an old blob
    blobs/ALGORITHM-HEX    whole, and its hash was right; jobs have hard links to it (job_folders.py)

Whole blobs are removed, oldest first, when the spool is full and no job links to them. The first one that goes is
written over instead: its memory and its blocks are there already, which fresh ones cost more than to write them. Used
from one thread only.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from platelight.connection import private_folder
from platelight.errors import ServerError
from platelight.wire import Bytes

FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0)
LIST_MOST = 16 << 20


class _Hash(Protocol):
    def update(self, data: Bytes, /) -> Any: ...
    def hexdigest(self) -> str: ...


def algorithms() -> tuple[str, ...]:
    """Hash algorithms of this installation, the fastest first."""
    try:
        import blake3  # noqa: F401
    except ModuleNotFoundError:
        return ("sha256",)
    return ("blake3", "sha256")


def hasher(algorithm: str) -> _Hash:
    """A hash that is fed piece by piece. Raises `ServerError` where the algorithm is not installed."""
    if algorithm == "sha256":
        return hashlib.sha256()
    if algorithm not in algorithms():
        raise ServerError(f"expected a hash of {', '.join(algorithms())}, got {algorithm}", "UNSUPPORTED")
    import blake3

    fresh: _Hash = blake3.blake3()
    return fresh


@dataclass
class _Upload:
    """An open upload. `room` is what its file takes; `mark` the file that says how much is held, or -1."""

    size: int
    held: int
    room: int
    hash: _Hash
    file: int
    mark: int = -1


class Spool:
    """The spool below `folder`, at most `most_bytes` of blobs and parts."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self._open: dict[str, _Upload] = {}
        for name in ("part", "held", "blobs"):
            private_folder(folder)
            private_folder(folder / name)
        self._used = sum(path.stat().st_size for name in ("part", "blobs") for path in (folder / name).iterdir())

    def have(self, blob: str, size: int) -> tuple[str, int]:
        """("complete" | "partial" | "none", bytes held); opens the upload unless it is complete."""
        whole, part = self.path(blob), self._part(blob)
        if self._is_whole(whole, size):
            with contextlib.suppress(OSError):
                os.utime(whole)  # the oldest are removed first
            return "complete", size
        self._close(blob)
        self._make_room(size - (part.stat().st_size if part.exists() else 0), blob)
        held, digest = self._resumed(part, size, blob)
        file = os.open(part, FLAGS | os.O_CREAT, 0o600)
        mark = os.open(self._mark(blob), FLAGS) if self._mark(blob).exists() else -1
        self._open[blob] = _Upload(size, held, os.fstat(file).st_size, digest, file, mark)
        if held == size:
            return ("complete", size) if self._finish(blob) else ("none", 0)
        return ("partial" if held else "none"), held

    def put(self, blob: str, offset: int, chunks: Sequence[Bytes]) -> tuple[int, bool]:
        """Takes chunks that follow each other: (bytes held, whether the blob is whole). Raises `ServerError`."""
        upload = self._open.get(blob)
        size = sum(len(chunk) for chunk in chunks)
        if upload is None:
            if self.path(blob).exists():
                return offset + size, True
            raise ServerError(f"{blob}: no upload is open; ask have first", "NO_UPLOAD", True)
        if offset != upload.held or offset + size > upload.size:
            raise ServerError(
                f"{blob}: expected a chunk at {upload.held} of {upload.size} bytes, got {size} at {offset}",
                "BAD_OFFSET", True,
            )  # fmt: skip
        try:
            for chunk in chunks:
                self._take(upload, chunk)
            if upload.mark >= 0:
                _write(upload.mark, upload.held.to_bytes(8, "little"), 0)
        except OSError as error:
            self._close(blob)
            raise disk_error(error, f"{blob}: the upload is kept so far") from None
        if upload.held < upload.size:
            return upload.held, False
        if not self._finish(blob):
            raise ServerError(
                f"{blob}: the bytes that came have another hash; the upload is discarded", "HASH_MISMATCH"
            )
        return upload.size, True

    def _take(self, upload: _Upload, chunk: Bytes) -> None:
        """Writes, then hashes: so the bytes are in the cache for both."""
        if _write(upload.file, chunk, upload.held) != len(chunk):
            raise OSError(errno.ENOSPC, "no space left on the disk")
        upload.hash.update(chunk)
        upload.held += len(chunk)
        self._used += max(0, upload.held - upload.room)
        upload.room = max(upload.room, upload.held)

    def path(self, blob: str) -> Path:
        """Where a whole blob lies."""
        return self.folder / "blobs" / blob.replace(":", "-")

    def read(self, blob: str, most: int = LIST_MOST) -> bytes:
        """A whole blob. Raises `ServerError` NOT_FOUND, or BAD_INPUT where it is larger than `most`."""
        try:
            size = self.path(blob).stat().st_size
            if size > most:
                raise ServerError(f"{blob}: expected at most {most} bytes, got {size}", "BAD_INPUT")
            return self.path(blob).read_bytes()
        except FileNotFoundError:
            raise ServerError(f"{blob}: not found; upload it first", "NOT_FOUND") from None

    def close(self) -> None:
        """Closes open uploads; what has come is kept."""
        for blob in list(self._open):
            self._close(blob)

    def _part(self, blob: str) -> Path:
        return self.folder / "part" / blob.replace(":", "-")

    def _mark(self, blob: str) -> Path:
        return self.folder / "held" / blob.replace(":", "-")

    def _resumed(self, part: Path, size: int, blob: str) -> tuple[int, _Hash]:
        """Bytes that an interrupted upload left, and the hash so far. More than there should be is thrown away."""
        digest = hasher(blob.partition(":")[0])
        held, mark = 0, self._mark(blob)
        if part.exists() and part.stat().st_size > size:
            self._used -= part.stat().st_size
            part.unlink()
        if not part.exists():
            mark.unlink(missing_ok=True)
            return 0, digest
        most = int.from_bytes(mark.read_bytes(), "little") if mark.exists() else size
        with part.open("rb") as file:
            while piece := file.read(min(1 << 20, most - held)):
                digest.update(piece)
                held += len(piece)
        return held, digest

    def _finish(self, blob: str) -> bool:
        upload = self._open[blob]
        right = upload.hash.hexdigest() == blob.partition(":")[2]
        self._close(blob)
        if right:
            self._part(blob).replace(self.path(blob))
        else:
            self._used -= upload.room
            self._part(blob).unlink()
        self._mark(blob).unlink(missing_ok=True)
        return right

    def _close(self, blob: str) -> None:
        upload = self._open.pop(blob, None)
        if upload is not None:
            os.close(upload.file)
            if upload.mark >= 0:
                os.close(upload.mark)

    def _is_whole(self, path: Path, size: int) -> bool:
        """A blob of another size is the leftover of a power cut: its name came to disk before its bytes."""
        try:
            found = path.stat().st_size
            if found == size:
                return True
            path.unlink()
            self._used -= found
        except FileNotFoundError:
            pass
        return False

    def _make_room(self, wanted: int, blob: str) -> None:
        """Removes blobs that nothing links to, oldest first, until `wanted` bytes fit. Raises `ServerError` QUOTA."""
        if self._used + wanted > self.most_bytes:
            parts = [path for path in (self.folder / "part").iterdir() if path.name.replace("-", ":") not in self._open]
            loose = [path for path in (self.folder / "blobs").iterdir() if path.stat().st_nlink == 1]
            for path in sorted([*parts, *loose], key=lambda one: one.stat().st_mtime):
                if self._used + wanted <= self.most_bytes:
                    break
                if path == self._part(blob):
                    continue
                if path.parent.name == "blobs" and self._write_over(path, wanted, blob):
                    wanted -= self._part(blob).stat().st_size
                    continue
                self._used -= path.stat().st_size
                path.unlink()
                if path.parent.name == "part":
                    (self.folder / "held" / path.name).unlink(missing_ok=True)
        if self._used + wanted > self.most_bytes:
            raise ServerError(
                f"{blob}: expected room for {wanted} bytes in the spool, {max(0, self.most_bytes - self._used)} of"
                f" {self.most_bytes} are free; forget ended jobs, or raise --spool-gb", "QUOTA",
            )  # fmt: skip
        if shutil.disk_usage(self.folder).free < wanted:
            raise ServerError(f"{blob}: {wanted} bytes do not fit on the disk of {self.folder}", "DISK_FULL")

    def _write_over(self, old: Path, size: int, blob: str) -> bool:
        """Makes an old blob the part of a new one, where nothing has come of it yet.

        Only blobs that nobody reads by their path: those are recipes and lists, and no larger than `LIST_MOST`; what
        jobs read they have links to.
        """
        part, found = self._part(blob), old.stat().st_size
        if found <= LIST_MOST or size <= LIST_MOST or part.exists():
            return False
        self._mark(blob).write_bytes(bytes(8))  # first: a part without its mark holds what it is long
        old.replace(part)
        if found > size:
            os.truncate(part, size)
            self._used -= found - size
        return True


def _write(file: int, chunk: Bytes, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(file, chunk, offset)
    os.lseek(file, offset, os.SEEK_SET)  # Windows
    return os.write(file, chunk)


def disk_error(error: OSError, what: str) -> ServerError:
    """DISK_FULL or IO, about `what`."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return ServerError(
        f"{what}: {error.strerror}" + ("; free some space and go on" if full else ""), "DISK_FULL" if full else "IO"
    )
