"""Bytes in and out: uploads of blobs, files of a job's result, the pixels of previews. All under credits."""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import zmq

from platelight import messages as m
from platelight.errors import ServerError
from platelight.places import JOB_ROOT, Roots
from platelight.wire import CHUNK, HEADER_MOST, TOGETHER, Bytes

from ..plates import fence
from .background import Background
from .foreman import Foreman
from .jobs import Job
from .sessions import Session, Transfer

TRANSFERS_MOST = 8
WINDOW = 12
FILES_MOST = 1000
PAGE_BYTES = HEADER_MOST - 4096
BLANK = bytes(CHUNK)
RESULT_FILE = re.compile(r"(?!\.)[^/\\\0:]{1,255}")


@dataclass(frozen=True)
class Chunks:
    """What a `put` is waiting for: so many chunks to be spooled."""

    count: int


class Transfers:
    """Answers everything about bytes. `roots` are the media roots; `fenced` says whether nothing else may be read.

    `files` is the thread in which files of results are read. It alone puts up a fence in this process.
    """

    def __init__(self, foreman: Foreman, files: Background, roots: Mapping[str, Path], fenced: bool) -> None:
        self._foreman, self._files, self._roots, self._is_fenced = foreman, files, roots, fenced
        self.handlers: dict[type[m.Message], Callable[[Session, Any, Bytes | None], None]] = {
            m.Have: self._have,
            m.FilesAsked: self._named,
            m.Get: self._get,
            m.Credit: self._credit,
        }

    # ---- in

    def _have(self, session: Session, asked: m.Have, _: Bytes | None) -> None:
        session.working[asked.id] = session.heard
        spool = self._foreman.spool
        self._foreman.spool_call(
            lambda: spool.have(asked.blob, asked.size),
            session.finish(asked.id, lambda found: m.Had(state=found[0], offset=found[1])),
        )  # fmt: skip

    def put(self, session: Session, asked: m.Put, chunks: Sequence[Bytes]) -> None:
        """Takes chunks of an upload."""
        if not chunks:
            raise ServerError("expected a chunk", "BAD_MESSAGE")
        if sum(work.count for work in session.pending.values() if isinstance(work, Chunks)) >= 2 * WINDOW:
            raise ServerError(f"expected at most {WINDOW} unanswered chunks", "BUSY", True, 0.1)
        session.pending[asked.id] = Chunks(len(chunks))
        spool = self._foreman.spool
        self._foreman.spool_call(
            lambda: spool.put(asked.blob, asked.offset, chunks),
            session.finish(asked.id, lambda found: m.PutOk(offset=found[0], complete=found[1])),
        )  # fmt: skip

    # ---- out

    def begin(self, session: Session, transfer: Transfer) -> None:
        """Sends a transfer as far as its credits go."""
        session.transfers[transfer.request] = transfer
        self._pump(session, transfer)

    @staticmethod
    def require_room(session: Session) -> None:
        """Raises `ServerError` BUSY."""
        if len(session.transfers) >= TRANSFERS_MOST:
            raise ServerError(f"{TRANSFERS_MOST} transfers are under way; wait", "BUSY", True, 0.1)

    def _named(self, session: Session, asked: m.FilesAsked, _: Bytes | None) -> None:
        folder, name = self._result(self._foreman.jobs.get(asked.job))

        def page(files: list[m.NamedFile]) -> m.Named:
            found: list[m.NamedFile] = []
            used = 0
            for file in files:
                used += len(file.name.encode()) + 24
                if used > PAGE_BYTES or len(found) == FILES_MOST:
                    break
                found.append(file)
            return m.Named(files=tuple(found), more=len(found) < len(files))

        self._files.call(lambda: self._listing(folder, name, asked.after), session.finish(asked.id, page))

    def _get(self, session: Session, asked: m.Get, _: Bytes | None) -> None:
        job = self._foreman.jobs.get(asked.job)
        self.require_room(session)
        session.pending[asked.id] = "get"

        def opened(found: tuple[int, int] | None, error: Exception | None) -> None:
            if found is None or session.lost or asked.id not in session.pending:
                if found is not None:
                    os.close(found[0])
                session.fail(asked.id, _file_error(error, asked.name))
                return
            file, size = found
            session.reply(asked.id, m.Sending(size=size))
            self.begin(session, self._file_transfer(asked, file, size))

        if asked.name == "log":
            path = self._foreman.folders.path(job.id) / "log"
            self._files.call(lambda: _opened(path), opened)
        else:
            folder, name = self._result(job)
            if not RESULT_FILE.fullmatch(asked.name) or not asked.name.startswith(f"{name}."):
                raise ServerError(
                    f"{asked.name!r}: expected a file of the result, such as {name}.1001.exr", "NOT_FOUND"
                )
            self._files.call(lambda: self._opened_inside(folder / asked.name), opened)

    def _file_transfer(self, asked: m.Get, file: int, size: int) -> Transfer:
        reader = _Reader(file)
        return Transfer(
            asked.id, size, min(asked.credit, WINDOW), min(asked.offset, size),
            lambda offset, count, ready: self._files.call(lambda: reader.read(offset, count), ready),
            lambda: self._files.call(lambda: os.close(file), lambda result, error: None),
            reader.taken,
        )  # fmt: skip

    def _credit(self, session: Session, given: m.Credit, _: Bytes | None) -> None:
        transfer = session.transfers.get(given.id)
        if transfer is not None:
            transfer.credit = min(transfer.credit + given.count, WINDOW)
            transfer.taken(given.count)
            self._pump(session, transfer)

    def _pump(self, session: Session, transfer: Transfer) -> None:
        """Sends chunks as far as credits allow, reading a few at a time."""
        if transfer.reading or transfer.credit < 1 or transfer.request not in session.transfers:
            return
        if transfer.offset >= transfer.size:
            _end(session, transfer)
            session.send(m.Data(id=transfer.request, offset=transfer.offset, last=True), b"")
            return
        transfer.reading = True

        def ready(pieces: Sequence[Bytes] | None, error: Exception | None) -> None:
            transfer.reading = False
            if transfer.request not in session.transfers:
                return
            for piece in pieces or [b""]:
                if not len(piece):
                    _end(session, transfer)
                    session.fail(transfer.request, _file_error(error, "the file has become shorter"))
                    return
                if _send(session, transfer, piece):
                    return
            self._pump(session, transfer)

        transfer.pieces(transfer.offset, min(transfer.credit, TOGETHER), ready)

    # ---- files of a result

    def _result(self, job: Job) -> tuple[Path, str]:
        """Folder and name of a job's result. Raises `ServerError`."""
        roots = Roots({**self._roots, JOB_ROOT: self._foreman.folders.path(job.id)})
        if not job.status.folder:
            raise ServerError(f"job {job.id}: its result lies outside the roots", "NOT_FOUND")
        return roots.path(job.status.folder), job.order.lane.rpartition("/")[2]

    def _listing(self, folder: Path, name: str, after: str) -> list[m.NamedFile]:
        with self._fenced(), fence.folder(folder) as inside:
            entries = [entry for entry in os.scandir(inside) if entry.name.startswith(f"{name}.")]
            files = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
            found = [m.NamedFile(one.name, one.stat(follow_symlinks=False).st_size) for one in files]
        return sorted((one for one in found if one.name > after), key=lambda one: one.name)

    def _opened_inside(self, path: Path) -> tuple[int, int]:
        with self._fenced(), fence.readable(path) as name:
            return _opened(name)

    def _fenced(self) -> contextlib.AbstractContextManager[None]:
        if not self._is_fenced:
            return contextlib.nullcontext()
        folders = {**self._roots, JOB_ROOT: self._foreman.folders.folder}
        return fence.enclosed([fence.Root(name, path, False) for name, path in folders.items()])


def _send(session: Session, transfer: Transfer, piece: Bytes) -> bool:
    """Sends a chunk; whether it was the last."""
    offset = transfer.offset
    transfer.offset = min(offset + len(piece), transfer.size)
    transfer.credit -= 1
    last = transfer.offset >= transfer.size
    if last:
        _end(session, transfer)
    if len(piece) > transfer.offset - offset:  # the file has grown since
        piece = memoryview(piece)[: transfer.offset - offset]
    session.send(m.Data(id=transfer.request, offset=offset, last=last), piece)
    return last


def _end(session: Session, transfer: Transfer) -> None:
    session.transfers.pop(transfer.request)
    transfer.close()


def _opened(path: Path) -> tuple[int, int]:
    """Descriptor and size of a file."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    return file, os.fstat(file).st_size


class _Reader:
    """Reads a file into memory of ZeroMQ's own: others' it gives back through a thread, which costs more than to send
    the chunk. What the client has taken is read into again."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._sent: deque[zmq.Frame] = deque()
        self._free: deque[zmq.Frame] = deque()

    def read(self, offset: int, count: int) -> list[Bytes]:
        """Up to `count` chunks from `offset` on; an empty one at the file's end."""
        found: list[Bytes] = []
        while len(found) < count:
            found.append(self._chunk(offset + len(found) * CHUNK))
            if len(found[-1]) < CHUNK:
                break
        return found

    def _chunk(self, offset: int) -> Bytes:
        if not hasattr(os, "preadv"):  # Windows
            os.lseek(self._file, offset, os.SEEK_SET)
            return os.read(self._file, CHUNK)
        frame = self._free.popleft() if self._free else zmq.Frame(BLANK, copy=True)
        count = os.preadv(self._file, [frame.buffer], offset)
        if count < CHUNK:
            return frame.buffer[:count]
        self._sent.append(frame)
        return cast(Bytes, frame)

    def taken(self, count: int) -> None:
        """The client has the oldest `count` chunks."""
        for _ in range(min(count, len(self._sent))):
            self._free.append(self._sent.popleft())


def _file_error(error: Exception | None, name: str) -> Exception:
    if isinstance(error, FileNotFoundError):
        return ServerError(f"{name}: not found", "NOT_FOUND")
    if isinstance(error, OSError):
        return ServerError(f"{name}: {error.strerror}", "IO")
    return error or ServerError(f"{name}: cannot be read", "IO")
