"""Writing finished frames: to a temporary name beside the target, then renamed, so that nobody sees half a file.

A process that is killed leaves at most temporary files; the next run on the same machine removes those whose process is
gone.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from platelight.errors import OutputError

from . import exr, fence

TEMPORARY = ".platelight-tmp"
# A viewer on Windows may hold the target open for a moment.
REPLACE_TRIES, REPLACE_WAIT_S = 10, 0.2


def write_frame(path: Path, channels: Mapping[str, np.ndarray], header: Mapping[str, Any], compression: str) -> None:
    """Writes one EXR, whole or not at all. Raises `OutputError` naming the file and the reason.

    channels  name -> (H, W) float16 or float32
    """
    with _whole_or_nothing(path) as temporary:
        exr.write(temporary, channels, header, compression)
        if not is_whole(temporary):
            raise OSError(errno.ENOSPC, "the file ends early")


def is_whole(path: Path) -> bool:
    """Whether a single-part scanline EXR just written reaches to the end of its last chunk.

    OpenEXR writes the last kilobytes and the table of chunks when it closes the file, and swallows the error when the
    disk is full at that moment: such a file has a good header and lacks its last lines.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            table = _end_of_header(data)
            first = int(struct.unpack_from("<Q", data, table)[0])  # the first chunk begins where the table ends
            last = int(struct.unpack_from("<Q", data, first - 8)[0])
            size = int(struct.unpack_from("<i", data, last + 4)[0])
            return first > table and last >= first and last + 8 + size == len(data)
    except (ValueError, IndexError, OverflowError, struct.error):
        return False


def _end_of_header(data: mmap.mmap) -> int:
    """Where the table of chunks begins. Raises `ValueError`, `IndexError` or `struct.error` where the file ends."""
    at = 8  # behind magic number and version; then attributes, each name, type, size and value; then a zero
    while data[at] != 0:
        for _ in range(2):
            at = data.find(b"\0", at) + 1
            if at == 0:
                raise ValueError("the header has no end")
        at += 4 + int(struct.unpack_from("<I", data, at)[0])
    return at + 1


def write_bytes(path: Path, content: bytes) -> None:
    """Writes any small file, whole or not at all. Raises `OutputError`."""
    with _whole_or_nothing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def _whole_or_nothing(path: Path) -> Iterator[Path]:
    """A temporary file to write, which takes the place of `path` when nothing went wrong. Raises `OutputError`."""
    opened = path
    try:
        with fence.entry(path) as target:
            temporary = target.with_name(temporary_name(path).name)
            try:
                with fence.fresh(temporary) as opened:
                    yield opened
                    _sync(opened)
                _replace(temporary, target)
            finally:
                _discard(temporary)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {_reason(error).replace(str(opened), str(path))}") from None


def temporary_name(path: Path) -> Path:
    """A name beside `path` that says which process on which machine writes it."""
    return path.with_name(f".{path.name}.{_host()}.{os.getpid()}{TEMPORARY}")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _replace(temporary: Path, path: Path) -> None:
    """Renames over the target; its bytes are on disk by then."""
    for attempt in range(REPLACE_TRIES):
        try:
            temporary.replace(path)
            return
        except PermissionError:
            if os.name != "nt" or attempt == REPLACE_TRIES - 1:
                raise
            time.sleep(REPLACE_WAIT_S)


def prepare_folder(folder: Path) -> None:
    """Makes the output folder and proves that it can be written. Raises `OutputError`."""
    try:
        with fence.folder(folder, make=True) as name:
            probe = name / f".platelight.{_host()}.{os.getpid()}{TEMPORARY}"
            try:
                with fence.fresh(probe) as opened:
                    opened.write_bytes(b"\0" * 4096)
            finally:
                _discard(probe)
    except OSError as error:
        raise OutputError(f"{folder}: the output folder cannot be written: {_reason(error)}") from None


def nearest_folder(folder: Path) -> Path:
    """The folder itself, or the nearest one above that exists. Raises `OutputError` where nothing can be made in it."""
    for candidate in (folder, *folder.parents):
        if fence.is_dir(candidate):
            if not fence.may_write(candidate):
                raise OutputError(
                    f"{folder}: the output folder cannot be written: no permission to write in {candidate}"
                )
            return candidate
        if fence.is_there(candidate):
            raise OutputError(f"{folder}: the output folder cannot be made: {candidate} is not a folder")
    raise OutputError(f"{folder}: the output folder cannot be made: nothing above it exists")


def remove_abandoned(folder: Path) -> int:
    """Deletes temporary files of processes of this machine that are gone; returns how many."""
    removed = 0
    with fence.folder(folder, write=True) as name:
        for leftover in name.glob(f".*{TEMPORARY}"):
            host, _, pid = leftover.name.removesuffix(TEMPORARY).rpartition(".")
            if host.endswith(f".{_host()}") and pid.isascii() and pid.isdigit() and not _alive(int(pid)):
                _discard(leftover)
                removed += 1
    return removed


def _discard(temporary: Path) -> None:
    """Removes a temporary file; one that cannot be removed must not hide why it was left."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    if os.name == "nt":  # signal 0 ends a process there instead of asking for it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _host() -> str:
    return "".join(c if c.isalnum() else "-" for c in socket.gethostname()) or "host"


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "no space left on the disk; free some and run the same command again, finished frames are kept"
    return error.strerror or str(error)
