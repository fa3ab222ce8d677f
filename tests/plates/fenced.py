"""A folder with roots, links of all kinds and secrets beside them, and the doors of `plates` that take paths."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from platelight_server.plates import exr, facts, fence, frames_out, picture_io
from platelight_server.plates.fence import Root

INSIDE, SECRET = 1.0, 7.0


def picture(path: Path, value: float) -> None:
    exr.write(path, {"R": np.full((4, 4), value, np.float16)}, {}, "zips")


def make_top(top: Path) -> Path:
    """A root `show` with links of all kinds, two more roots, and secrets beside them."""
    for folder in ("show/sh010/deep", "show/proc", "showX", "scratch", "readonly"):
        (top / folder).mkdir(parents=True)
    for place, value in (("show/sh010/a.exr", INSIDE), ("scratch/b.exr", INSIDE), ("readonly/c.exr", INSIDE)):
        picture(top / place, value)
    for place in ("secret.exr", "showX/secret.exr"):
        picture(top / place, SECRET)
    show = top / "show"
    for name, target in (
        ("link.exr", str(top / "secret.exr")), ("outside", str(top)), ("up", ".."), ("etc", "/etc"),
        ("loop", "loop"), ("good.exr", "sh010/a.exr"), ("absolute.exr", f"{show}/sh010/a.exr"),
        ("folder", "sh010/deep"), ("other.exr", f"{top}/scratch/b.exr"), ("proc/self", "/proc/self"),
    ):  # fmt: skip
        (show / name).symlink_to(target)
    return top


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@contextmanager
def fenced(top: Path) -> Iterator[Path]:
    """The fence around the roots; gives the root that the attacks start at. No descriptor is left open."""
    before = _descriptors()
    roots = [Root(name, top / name, writable) for name, writable in
             (("show", True), ("scratch", True), ("readonly", False))]  # fmt: skip
    with fence.enclosed(roots):
        yield top / "show"
    assert _descriptors() == before


def read_exr(path: Path) -> float:
    return float(exr.read(path, ("R",)).pixels.max())


def read_any(path: Path) -> float:
    return float(picture_io.read(path, ("R",)).pixels.max())


def read_info(path: Path) -> float:
    return INSIDE if picture_io.read_info(path).channels else SECRET


def read_digest(path: Path) -> float:
    return INSIDE if facts.digest(path) else SECRET


def read_facts(path: Path) -> float:
    return facts.FactIndex(path.parent / "none", None).look(path, ("R",)).highs[0]


READERS = (read_exr, read_any, read_info, read_digest, read_facts)


def write_bytes(path: Path) -> None:
    frames_out.write_bytes(path, b"written")


def write_frame(path: Path) -> None:
    frames_out.write_frame(path, {"R": np.zeros((4, 4), np.float16)}, {}, "zips")


WRITERS = (write_bytes, write_frame)


def tree(folder: Path, without: str = "") -> dict[str, bytes]:
    """What lies in a folder: names, and contents of files; links are not followed."""
    found = {}
    for place, folders, names in os.walk(folder):
        if without and without in folders:
            folders.remove(without)
        for name in names + folders:
            path = Path(place, name)
            found[str(path)] = path.read_bytes() if stat.S_ISREG(path.lstat().st_mode) else b""
    return found


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())
