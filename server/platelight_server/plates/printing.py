"""What OpenEXR prints: it reports damaged pixels through Python's `sys.stdout`, where results and JSON lines go."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_here = threading.local()


@contextmanager
def library_prints() -> Iterator[None]:
    """While this runs, what this thread prints is the library's, not ours."""
    _here.library = True
    try:
        yield
    finally:
        _here.library = False


class ResultStream:
    """Standard output for results alone: what a library prints meanwhile goes to stderr, also from other threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes to the results, or to stderr inside `library_prints`."""
        return (sys.stderr if getattr(_here, "library", False) else self._stream).write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
