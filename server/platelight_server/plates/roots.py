"""The folders that a fence leaves open: their names, their descriptors, and what is said about paths outside them.

The owner of the server chooses them, so the path *to* a root is trusted; what lies below it is not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platelight.errors import ForbiddenPathError, InputError

_OPEN_FOLDER = sum(getattr(os, flag, 0) for flag in ("O_PATH", "O_DIRECTORY", "O_CLOEXEC"))


@dataclass(frozen=True)
class Root:
    """A folder of the server's owner, under the name that messages use. Only a `writable` one takes results."""

    name: str
    path: Path
    writable: bool = False


@dataclass(frozen=True)
class OpenRoot:
    """A root and where it really lies. `descriptor` holds the folder itself, whatever is renamed later; -1 if none."""

    root: Root
    real: Path
    descriptor: int


class OpenRoots:
    """All roots of a fence. Raises `InputError` for roots that are no folders or contradict one another."""

    def __init__(self, roots: Sequence[Root], descriptors: bool) -> None:
        self._open: list[OpenRoot] = []
        try:
            for root in roots:
                self._open.append(_opened(root, descriptors))
            _agree(self._open)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives the descriptors back."""
        while self._open:
            held = self._open.pop()
            if held.descriptor >= 0:
                os.close(held.descriptor)

    def find(self, path: Path) -> tuple[OpenRoot, tuple[str, ...]] | None:
        """The deepest root above an absolute path, as given or as it really lies, and the names below it."""
        best: tuple[OpenRoot, tuple[str, ...]] | None = None
        for one in self._open:
            for place in (one.root.path.parts, one.real.parts):
                below = path.parts[len(place) :]
                if path.parts[: len(place)] == place and (best is None or len(below) < len(best[1])):
                    best = one, below
        return best

    def outside(self, path: Path) -> ForbiddenPathError:
        """A path that lies below no root."""
        return ForbiddenPathError(
            f"{_shown(path)}: outside the server's media roots ({self._named()}); move the file below one of them, or"
            " ask for a root with 'platelight serve --root NAME=DIR'"
        )

    def led_outside(self, path: Path, link: str) -> ForbiddenPathError:
        """A path inside whose link `link` leads outside."""
        return ForbiddenPathError(
            f"{_shown(path)}: the link {link!r} on the way leads outside the server's media roots ({self._named()});"
            " put the file itself below one of them"
        )

    def read_only(self, path: Path, root: Root) -> ForbiddenPathError:
        """A path that is to be written below a root that is not writable."""
        writable = self._named(writable=True) or "none"
        return ForbiddenPathError(
            f"{_shown(path)}: the media root {root.name} = {root.path} is read-only; write below a root that takes"
            f" results ({writable})"
        )

    def _named(self, writable: bool = False) -> str:
        return ", ".join(f"{r.root.name} = {r.root.path}" for r in self._open if r.root.writable or not writable)


def unusable(path: Path, why: str) -> ForbiddenPathError:
    """A path that no system takes at its word."""
    return ForbiddenPathError(f"{_shown(path)}: expected a plain path below a media root, got {why}")


def _opened(root: Root, descriptors: bool) -> OpenRoot:
    path = Path(os.path.normpath(root.path.absolute()))
    try:
        real = path.resolve(strict=True)
        descriptor = os.open(real, _OPEN_FOLDER) if descriptors else -1
    except OSError as error:
        raise InputError(f"media root {root.name} = {path}: {error.strerror or error}; name a folder") from None
    if descriptor < 0 and not real.is_dir():
        raise InputError(f"media root {root.name} = {path}: expected a folder")
    return OpenRoot(Root(root.name, path, root.writable), real, descriptor)


def _agree(roots: Sequence[OpenRoot]) -> None:
    """Names are unique, and nothing read-only lies below a writable root, through which it could be written."""
    names = [one.root.name for one in roots]
    if len(set(names)) < len(names):
        raise InputError(f"media roots: expected a name once each, got {', '.join(names)}")
    for low in (one for one in roots if not one.root.writable):
        for high in (one for one in roots if one.root.writable):
            if low.real.is_relative_to(high.real):
                raise InputError(
                    f"media root {low.root.name} = {low.root.path} is read-only and lies in {high.root.name} ="
                    f" {high.root.path}, which is writable; make both writable, or move one"
                )


def _shown(path: Path) -> str:
    return str(path).replace("\0", "\\0")
