"""Paths on the wire: `ROOT:path/below`. A root is a folder that the server names; a client may see it elsewhere.

A recipe travels with its absolute paths in this form and its relative ones as they are, beside the place of the folder
that they start at; so a header says the same whether a job ran here or on a server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from .errors import AccessError
from .messages import RootEntry
from .recipe import Recipe, with_paths

PLACE = re.compile(r"(?P<root>[a-z][a-z0-9_-]{1,31}):(?P<below>.*)", re.DOTALL)
JOB_ROOT = "job"  # the job's own folder on the server: uploaded inputs in `job:in`, results in `job:out`


def is_place(text: str) -> bool:
    """Whether a path is written as `ROOT:path`. A drive letter is no root: those have two letters at least."""
    return PLACE.fullmatch(text) is not None


@dataclass(frozen=True)
class Roots:
    """Root names and their folders as this machine sees them."""

    folders: Mapping[str, Path]

    @classmethod
    def of(cls, entries: Sequence[RootEntry], seen: Mapping[str, Path] | None = None) -> Roots:
        """The server's roots; those in `seen` lie elsewhere on this machine."""
        return cls({entry.name: Path((seen or {}).get(entry.name, entry.path)) for entry in entries})

    def place(self, path: Path) -> str:
        """`ROOT:path` of an absolute path, by the deepest root that holds it. Raises `AccessError` naming the roots."""
        within = [(name, folder) for name, folder in self.folders.items() if path.is_relative_to(folder)]
        if not within or ".." in path.parts:
            raise AccessError(
                f"{path}: the server cannot see it: it lies outside the media roots ({self.named()}); move it below one"
                " of them, upload it, or add a root with: platelight serve --root NAME=DIR",
                "FORBIDDEN_PATH",
            )
        name, folder = max(within, key=lambda one: len(one[1].parts))
        return f"{name}:{path.relative_to(folder).as_posix()}"

    def path(self, place: str) -> Path:
        """The inverse of `place`. Raises `AccessError` for what is no place, an unknown root, or a way out of it."""
        match = PLACE.fullmatch(place)
        if match is None or match["root"] not in self.folders:
            raise AccessError(f"{place}: expected ROOT:path with a root of {self.named()}", "FORBIDDEN_PATH")
        below = PurePosixPath(match["below"])
        if below.is_absolute() or ".." in below.parts or "\0" in place or PurePath(match["below"]).drive:
            raise AccessError(
                f"{place}: expected a path below the root, without .. (the roots: {self.named()})", "FORBIDDEN_PATH"
            )
        return self.folders[match["root"]].joinpath(*below.parts)

    def named(self) -> str:
        """The roots, for a message."""
        return ", ".join(f"{name} = {folder}" for name, folder in self.folders.items()) or "there are none"

    def to_wire(self, recipe: Recipe) -> Recipe:
        """The recipe with its absolute paths as places. Raises `AccessError`."""
        return with_paths(recipe, lambda text: self.place(Path(text)) if Path(text).is_absolute() else text)

    def from_wire(self, recipe: Recipe) -> Recipe:
        """The inverse of `to_wire`. Raises `AccessError`; an absolute path is none that may travel."""

        def local(text: str) -> str:
            if is_place(text):
                return str(self.path(text))
            if PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive:  # of whichever system
                raise AccessError(f"{text}: expected ROOT:path with a root of {self.named()}", "FORBIDDEN_PATH")
            return text

        return with_paths(recipe, local)
