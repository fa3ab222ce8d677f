"""What is kept between previews: the last values by key, and the stamps that say whether a file has changed."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from ..plates import fence

V = TypeVar("V")


class Kept(Generic[V]):
    """Values by key. Those asked for since `begin` stay; `prune` leaves at most `most` others, the latest."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.made = self.reused = 0
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._used: set[Hashable] = set()

    def begin(self) -> None:
        """A request begins: counts from 0."""
        self.made = self.reused = 0
        self._used.clear()

    def find(self, key: Hashable) -> V | None:
        """The value, if it is there; counted as reused the first time."""
        if key not in self._values:
            return None
        self._use(key)
        return self._values[key]

    def put(self, key: Hashable, value: V) -> V:
        """Keeps a value that was made."""
        self.made += 1
        self._values[key] = value
        self._used.add(key)
        self._values.move_to_end(key)
        return value

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value; made where it is not there."""
        found = self.find(key)
        return self.put(key, make()) if found is None else found

    def prune(self) -> None:
        """Lets the oldest go that were not used since `begin`."""
        others = [key for key in self._values if key not in self._used]
        for key in others[: max(0, len(others) - self.most)]:
            del self._values[key]

    def __len__(self) -> int:
        return len(self._values)

    def _use(self, key: Hashable) -> None:
        if key not in self._used:
            self.reused += 1
            self._used.add(key)
        self._values.move_to_end(key)


@dataclass(frozen=True)
class Stamp:
    """What tells one state of a file from another. `fresh` is unique where the file was changed just before."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    fresh: int = 0


class Stamps:
    """Stamps of files, each taken once per request, before the file is read: a later change shows the next time.

    A file changed less than `settled_s` ago could change again within its timestamp's resolution; such a stamp equals
    no other, so the file is read again until it has settled.
    """

    def __init__(self, settled_s: float) -> None:
        self.settled_s = settled_s
        self._taken: dict[Path, Stamp | None] = {}

    def of(self, path: Path) -> Stamp | None:
        """The stamp of a file; `None` where there is none. Raises `ForbiddenPathError`."""
        if path not in self._taken:
            self._taken[path] = self._take(path)
        return self._taken[path]

    def _take(self, path: Path) -> Stamp | None:
        try:
            status = fence.status(path)
        except OSError:
            return None
        settled = time.time() - max(status.st_mtime, status.st_ctime) > self.settled_s
        return Stamp(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
            0 if settled else time.monotonic_ns(),
        )  # fmt: skip
