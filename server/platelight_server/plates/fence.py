"""The fence around a server's worker: no path that a client names leads outside the media roots of the owner.

Without a fence (the command line) every path passes through untouched. With one, a path is walked below a root, and
libraries are given the name of the descriptor that was reached, so that nothing lies between looking and opening; see
`beneath`. Where the system has no such names (macOS, Windows) the real path is compared with the real roots and then
used: that withstands `..` and links, but not somebody who swaps a folder for a link at that very moment.

The fence is one for the whole process, for all its threads. It confines paths; it does not confine code.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from platelight.errors import ForbiddenPathError

from . import beneath
from .roots import OpenRoots, Root, unusable
from .windows_paths import windows_problem

__all__ = [
    "ForbiddenPathError", "Root", "enclose", "enclosed", "entry", "folder", "fresh", "is_dir", "is_file", "is_there",
    "may_write", "readable", "stands", "status",
]  # fmt: skip

# Whether descriptors of folders have names that libraries can open.
DESCRIPTORS = hasattr(os, "O_PATH") and Path("/proc/self/fd").is_dir()

_standing: OpenRoots | None = None


def enclose(roots: Sequence[Root]) -> None:
    """Puts up the fence for the rest of this process. Raises `InputError`, `RuntimeError` where one stands already."""
    global _standing
    if _standing is not None:
        raise RuntimeError("a fence stands already; it is not widened from inside")
    _standing = OpenRoots(roots, DESCRIPTORS)


@contextmanager
def enclosed(roots: Sequence[Root]) -> Iterator[None]:
    """The fence of this process while the block runs, in place of one that stands. Raises `InputError`.

    Threads that touch files must have ended when the block ends.
    """
    global _standing
    opened, before = OpenRoots(roots, DESCRIPTORS), _standing
    _standing = opened
    try:
        yield
    finally:
        _standing = before
        opened.close()


def stands() -> bool:
    """Whether there is a fence."""
    return _standing is not None


@contextmanager
def readable(path: Path, with_suffix: bool = False) -> Iterator[Path]:
    """A name under which the file `path` opens while the block runs; only regular files are let through a fence.

    `with_suffix` keeps the suffix, by which OpenImageIO chooses its reader. Raises `ForbiddenPathError` and `OSError`;
    without a fence nothing.
    """
    if _standing is None:
        yield path
        return
    with _reached(path) as name:
        _require_regular(name.stat().st_mode, path)
        if not with_suffix or name.suffix == path.suffix:
            yield name
            return
        with tempfile.TemporaryDirectory(prefix="platelight-") as place:
            link = Path(place, f"picture{path.suffix}")
            link.symlink_to(name)
            yield link


@contextmanager
def folder(path: Path, *, write: bool = False, make: bool = False) -> Iterator[Path]:
    """A name for the folder `path` while the block runs: to list it, and to rename or remove entries in it.

    Entries must not be *opened* below that name, for they may be links: `readable` opens, `fresh` creates. `write`
    demands a writable root; `make` makes missing folders. Raises `ForbiddenPathError` and `OSError`.
    """
    if _standing is None:
        if make:
            path.mkdir(parents=True, exist_ok=True)
        yield path
        return
    with _reached(path, write=write or make, make=make) as name:
        if not stat.S_ISDIR(name.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        yield name


@contextmanager
def entry(path: Path) -> Iterator[Path]:
    """A name for `path` itself, whatever it is, below the name of its writable `folder`. Raises as that does."""
    if _standing is None:
        yield path
        return
    _require_plain(path)
    if path.name in ("", ".."):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with folder(path.parent, write=True) as name:
        yield name / path.name


@contextmanager
def fresh(entry: Path) -> Iterator[Path]:
    """A name to write a new file under; `entry` is below the name that `folder` gave. Raises `OSError`.

    With a fence the file is created here, and nothing that stood there is followed or kept.
    """
    if _standing is None:
        yield entry
        return
    entry.unlink(missing_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)  # O_EXCL follows no link
    descriptor = os.open(entry, flags, 0o666)
    try:
        yield _name(descriptor) if DESCRIPTORS else entry
    finally:
        os.close(descriptor)


def status(path: Path) -> os.stat_result:
    """As `Path.stat`. Raises `ForbiddenPathError` and `OSError`."""
    if _standing is None:
        return path.stat()
    with _reached(path) as name:
        return name.stat()


def is_file(path: Path) -> bool:
    """As `Path.is_file`. Raises `ForbiddenPathError`."""
    return path.is_file() if _standing is None else stat.S_ISREG(_mode(path))


def is_dir(path: Path) -> bool:
    """As `Path.is_dir`. Raises `ForbiddenPathError`."""
    return path.is_dir() if _standing is None else stat.S_ISDIR(_mode(path))


def is_there(path: Path) -> bool:
    """Whether there is anything of this name; without a fence also a link to nothing. Raises `ForbiddenPathError`."""
    return path.exists() or path.is_symlink() if _standing is None else _mode(path) != 0


def may_write(path: Path) -> bool:
    """Whether entries can be made in the folder `path`. Raises `ForbiddenPathError`, also for a read-only root."""
    try:
        with folder(path, write=True) as name:
            return os.access(name, os.W_OK | os.X_OK)
    except OSError:
        return False


def _mode(path: Path) -> int:
    """The mode of what is there, 0 for nothing."""
    with suppress(OSError):
        return status(path).st_mode
    return 0


@contextmanager
def _reached(path: Path, write: bool = False, make: bool = False) -> Iterator[Path]:
    """A name of what `path` leads to, inside the fence that stands."""
    roots = _standing
    assert roots is not None
    _require_plain(path)
    if not DESCRIPTORS:
        yield _real_path(roots, path, write, make)
        return
    descriptor = beneath.reach(roots, path.absolute(), write=write, make=make)
    try:
        yield _name(descriptor)
    finally:
        os.close(descriptor)


def _real_path(roots: OpenRoots, path: Path, write: bool, make: bool) -> Path:
    """The same by comparing real paths; see the module's docstring for what this does not withstand."""
    real = Path(os.path.realpath(path))
    found = roots.find(real)
    if found is None:
        raise roots.outside(path)
    if write and not found[0].root.writable:
        raise roots.read_only(path, found[0].root)
    if make:
        real.mkdir(parents=True, exist_ok=True)
    return real


def _name(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}")


def _require_plain(path: Path) -> None:
    problem = "a NUL character in it" if "\0" in str(path) else None
    if problem is None and os.name == "nt":
        problem = windows_problem(str(path))
    if problem is not None:
        raise unusable(path, problem)


def _require_regular(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file (a device, a pipe or a socket)", str(path))
