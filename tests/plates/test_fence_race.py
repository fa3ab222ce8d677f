"""Another process swaps a folder for a link to the outside while the fence looks and opens."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platelight.errors import PlatelightError
from platelight_server.plates import fence

from .fenced import INSIDE, SECRET, fenced, names, picture, read_any, write_bytes

RACE_S = 1.5
RACE_MOST_S = 30.0  # for the check of real paths to lose once; it takes a fraction of a second on an idle machine
RENAMEAT2, EXCHANGE, HERE = 316, 2, -100  # x86_64


def exchange(first: Path, second: Path) -> int:
    """Swaps two names in one step; 0 where that worked."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(RENAMEAT2, HERE, os.fsencode(first), HERE, os.fsencode(second), EXCHANGE))


def _flip(first: Path, second: Path) -> None:
    while True:
        exchange(first, second)


@pytest.fixture
def flipping(top: Path) -> Iterator[Path]:
    """`show/flip`, a folder that another process swaps with a link to `out`, outside, as fast as it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("renameat2 is called by its number on x86_64")
    flip, link = top / "show" / "flip", top / "show" / "flip2"
    for folder, value in ((flip, INSIDE), (top / "out", SECRET)):
        folder.mkdir()
        picture(folder / "f.exr", value)
    link.symlink_to(top / "out")
    if exchange(flip, link) or exchange(flip, link):
        pytest.skip("this file system exchanges no names")
    process = multiprocessing.get_context("spawn").Process(target=_flip, args=(flip, link), daemon=True)
    process.start()
    deadline = time.monotonic() + 30
    while not flip.is_symlink() and time.monotonic() < deadline:
        pass
    yield flip
    process.kill()
    process.join()


def read_raw(path: Path) -> float:
    """The first bytes are compared: decoding would make the loop slow, and the race rare."""
    with fence.readable(path) as name:
        return SECRET if name.read_bytes() == (path.parents[2] / "out" / "f.exr").read_bytes() else INSIDE


def raced(action: Callable[[], bool], seconds: float) -> tuple[int, int, int]:
    """(successes, leaks, refusals) of an action that says whether it leaked; stops at the first leak."""
    good = leaks = refused = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end and not leaks:
        try:
            leaked = action()
            good, leaks = good + (not leaked), leaks + leaked
        except (PlatelightError, OSError):
            refused += 1
    return good, leaks, refused


def test_folder_swapped_for_a_link_while_it_is_read_leaks_nothing(top: Path, flipping: Path) -> None:
    with fenced(top):
        good, leaks, refused = raced(lambda: read_raw(flipping / "f.exr") == SECRET, RACE_S)
    assert leaks == 0 and good > 0 and refused > 0, (good, leaks, refused)


def test_folder_swapped_for_a_link_while_pictures_are_read_leaks_nothing(top: Path, flipping: Path) -> None:
    with fenced(top):
        good, leaks, refused = raced(lambda: read_any(flipping / "f.exr") == SECRET, RACE_S)
    assert leaks == 0 and good > 0 and refused > 0, (good, leaks, refused)


def write_raced(top: Path, flipping: Path, seconds: float) -> tuple[int, int, int]:
    def write() -> bool:
        write_bytes(flipping / "new.bin")
        return names(top / "out") != ["f.exr"]

    with fenced(top):
        counts = raced(write, seconds)
    # A write that ended in an error may have left something too.
    return counts[0], counts[1] + (names(top / "out") != ["f.exr"]), counts[2]


def test_folder_swapped_for_a_link_while_it_is_written_leaks_nothing(top: Path, flipping: Path) -> None:
    good, leaks, refused = write_raced(top, flipping, RACE_S)
    assert leaks == 0 and good > 0 and refused > 0, (good, leaks, refused)


def test_comparing_real_paths_loses_the_reading_race(
    top: Path, flipping: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known wrong behaviour of the fallback, and the proof that the race above is a race."""
    monkeypatch.setattr(fence, "DESCRIPTORS", False)
    with fenced(top):
        assert raced(lambda: read_raw(flipping / "f.exr") == SECRET, RACE_MOST_S)[1] == 1


def test_comparing_real_paths_loses_the_writing_race(
    top: Path, flipping: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above."""
    monkeypatch.setattr(fence, "DESCRIPTORS", False)
    assert write_raced(top, flipping, RACE_MOST_S)[1] >= 1
