"""Reaching what a path names without ever leaving the roots: a walk from descriptor to descriptor (Linux).

Every component is opened as itself (`O_PATH | O_NOFOLLOW`), below the descriptor of the folder before it. A link is
read from its own descriptor and followed here, never by the system. What the walk ends at is the very thing that is
then used, so it does not matter what is renamed or linked meanwhile. O_PATH opens no pipe and no device. A hard link
is the file itself, and is let through.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from platelight.errors import ForbiddenPathError

from .roots import OpenRoot, OpenRoots

LINKS_MOST = 40  # as Linux itself

_FLAGS = sum(getattr(os, flag, 0) for flag in ("O_PATH", "O_NOFOLLOW", "O_CLOEXEC"))
_O_DIRECTORY = getattr(os, "O_DIRECTORY", 0)


def reach(roots: OpenRoots, path: Path, *, write: bool = False, make: bool = False) -> int:
    """An `O_PATH` descriptor of what `path` leads to; the caller closes it. It is never a link.

    `write` demands a writable root; `make` makes the folders that are missing. Raises `ForbiddenPathError`, and
    `OSError` naming `path` where the system refuses or there is nothing.
    """
    walk = _Walk(roots, path, write or make, make)
    try:
        return walk.end()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        walk.close()


class _Walk:
    """The folders from the root down to where the walk is, and the names that are still to be walked, last first."""

    def __init__(self, roots: OpenRoots, path: Path, write: bool, make: bool) -> None:
        self.roots, self.path, self.write, self.make = roots, path, write, make
        self.links = 0
        self.link = ""  # the last one followed, for messages
        self.stack: list[int] = []
        self.pending: list[str] = []
        self.root = self._start(path)

    def end(self) -> int:
        """Walks to the end."""
        while self.pending:
            name = self.pending.pop()
            if name == "..":
                self._up()
            else:
                self._enter(name)
        if self.write and not self.root.root.writable:
            raise self.roots.read_only(self.path, self.root.root)
        return os.dup(self._here())

    def close(self) -> None:
        """Gives the descriptors back."""
        while self.stack:
            os.close(self.stack.pop())

    def _here(self) -> int:
        return self.stack[-1] if self.stack else self.root.descriptor

    def _start(self, path: Path) -> OpenRoot:
        """Goes to the root above an absolute path."""
        found = self.roots.find(path)
        if found is None:
            raise self._refusal()
        self.close()
        self.pending.extend(reversed(found[1]))
        return found[0]

    def _up(self) -> None:
        if not self.stack:
            raise self._refusal()
        os.close(self.stack.pop())

    def _refusal(self) -> ForbiddenPathError:
        return self.roots.led_outside(self.path, self.link) if self.link else self.roots.outside(self.path)

    def _enter(self, name: str) -> None:
        here = self._here()
        try:
            # Asked for as a folder first: that is what most are, and it makes an automounter mount it.
            self.stack.append(os.open(name, _FLAGS | _O_DIRECTORY, dir_fd=here))
            return
        except NotADirectoryError:
            self.stack.append(os.open(name, _FLAGS, dir_fd=here))
        except FileNotFoundError:
            if not self.make or ".." in self.pending:
                raise
            self.stack.append(self._made(name, here))
            return
        mode = os.fstat(self.stack[-1]).st_mode
        if stat.S_ISLNK(mode):
            self._follow(name)
        elif self.pending and not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))

    def _made(self, name: str, here: int) -> int:
        if not self.root.root.writable:
            raise self.roots.read_only(self.path, self.root.root)
        with contextlib.suppress(FileExistsError):  # somebody else was faster; what it is shows when it is opened
            os.mkdir(name, dir_fd=here)
        return os.open(name, _FLAGS | _O_DIRECTORY, dir_fd=here)

    def _follow(self, name: str) -> None:
        """Goes on at the target of the link that the walk stands on."""
        link = self.stack.pop()
        try:
            target = Path(os.readlink("", dir_fd=link))
        finally:
            os.close(link)
        self.links, self.link = self.links + 1, name
        if self.links > LINKS_MOST:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.is_absolute():
            self.root = self._start(target)
        else:
            self.pending.extend(reversed(target.parts))
