"""One process at a time: a file that the system keeps locked, and lets go with the process, however that ends."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import IO

# Where Windows locks a byte: there nobody can read what is locked, and who holds the file is to be read.
_FAR = 1 << 30


def only_one(path: Path) -> IO[str] | None:
    """The file at `path`, locked until it is closed or the process ends; `None` where another process holds it.

    Raises `OSError` where the file cannot be made, or its disk knows no locks.
    """
    file = path.open("a+", encoding="utf-8")
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):
        file.close()
        return None
    except BaseException:
        file.close()
        raise
    with contextlib.suppress(OSError):  # on a full disk the name is lacking, the lock holds
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
    return file


def holder(path: Path) -> str:
    """Who holds, or last held, the file: `process 123 on farm7`."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text("utf-8").strip() or "another process"
    return "another process"


def _lock(file: IO[str]) -> None:
    if os.name == "nt":
        import msvcrt

        os.lseek(file.fileno(), _FAR, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
