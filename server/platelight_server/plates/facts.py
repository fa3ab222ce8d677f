"""What is known about input files: a content digest, whether their pixels decode, and how many values are not finite.

Looking at a file means reading and decoding it once. The answers are kept in an index beside the results, keyed by size
and modification time as a build tool does, so that a second run looks at nothing. Losing the index costs time only.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from platelight.errors import ForbiddenPathError, FrameError

from . import fence, picture_io
from .frames_out import write_bytes

INDEX_VERSION = 2
# A file changed this shortly before it was looked at could change again within its timestamp's resolution.
SETTLED_S = 2.0


@dataclass(frozen=True)
class Facts:
    """What was seen: `digest` is SHA-256 of the file, the rest is about the channels looked at, in their order.

    `nonfinite` counts values that are NaN or Inf, `lows` and `highs` are the extremes of the others, per channel.
    """

    digest: str
    nonfinite: tuple[int, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    equal_channels: bool

    def of(self, first: int, last: int | None) -> Facts:
        """The facts of channels `first` up to `last` alone (not included; None = the end)."""
        part = slice(first, last)
        return Facts(self.digest, self.nonfinite[part], self.lows[part], self.highs[part], self.equal_channels)

    @classmethod
    def stored(cls, known: Mapping[str, Any]) -> Facts | None:
        """The inverse of `asdict`; `None` where the index does not hold that."""
        try:
            nonfinite = tuple(int(value) for value in known["nonfinite"])
            lows, highs = (tuple(float(value) for value in known[name]) for name in ("lows", "highs"))
            return cls(str(known["digest"]), nonfinite, lows, highs, bool(known["equal_channels"]))
        except (KeyError, TypeError, ValueError):
            return None


class FactIndex:
    """Facts of files, remembered in `path` between runs. Safe to use from several threads.

    It also remembers `base`, the folder that the recipe's relative paths start at, which headers leave out. `on_look`
    is called, from any thread, with each file that has to be read.
    """

    def __init__(
        self, path: Path, base: Path | None = None, on_look: Callable[[Path], None] = lambda file: None
    ) -> None:
        self.path = path
        self._on_look = on_look
        self.base = base
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, object]] = {}
        self._changed = False
        try:
            with fence.readable(path) as name:
                stored = json.loads(name.read_text("utf-8"))
            if isinstance(stored, dict) and stored.get("version") == INDEX_VERSION:
                self._known = {key: dict(value) for key, value in stored["files"].items()}
                self._changed = base is not None and stored.get("base") != str(base)
                self.base = base or Path(stored["base"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ForbiddenPathError):
            self._known = {}  # the index is a cache: damaged or absent, it is made again

    def look(self, file: Path, channels: tuple[str, ...]) -> Facts:
        """Facts of these channels of a file, read now or remembered. Raises `FrameError` where it does not decode.

        Raises `ForbiddenPathError` where the fence does not let it through.
        """
        try:
            status = fence.status(file)
        except OSError:
            raise FrameError(f"{file}: no such file") from None
        # ctime as well: a copy that keeps its modification time is another file all the same.
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        key = f"{file}|{','.join(channels)}"
        with self._lock:
            known = self._known.get(key, {})
        remembered = known.get("facts")
        if known.get("stamp") == stamp and isinstance(remembered, dict):
            facts = Facts.stored(remembered)
            if facts is not None:
                return facts
        self._on_look(file)
        facts = _look(file, channels)
        if time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_S:
            with self._lock:
                self._known[key] = {"stamp": stamp, "facts": asdict(facts)}
                self._changed = True
        return facts

    @staticmethod
    def place(folder: Path, name: str) -> Path:
        """Where the index of a job lies: beside its results, out of sight."""
        return folder / f".{name}.platelight-index.json"

    def save(self) -> None:
        """Writes the index where something new was learnt. Raises `OutputError`."""
        with self._lock:
            if not self._changed:
                return
            document = {"version": INDEX_VERSION, "base": str(self.base or ""), "files": self._known}
            text = json.dumps(document, sort_keys=True)
            self._changed = False
        write_bytes(self.path, text.encode("utf-8"))


def digest(file: Path) -> str:
    """SHA-256 of a file's bytes, as hex. Raises `FrameError`."""
    try:
        with fence.readable(file) as name, name.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise FrameError(f"{file}: cannot be read: {error.strerror}") from None


def _look(file: Path, channels: tuple[str, ...]) -> Facts:
    found = digest(file)
    return facts_of(picture_io.read(file, channels).pixels, found)


def facts_of(pixels: np.ndarray, digest: str) -> Facts:
    """The facts of a file's pixels (C, H, W) as read, and its digest."""
    nonfinite = tuple(count_nonfinite(np.ascontiguousarray(plane)) for plane in pixels)
    finite = pixels if not any(nonfinite) else np.where(np.isfinite(pixels), pixels, pixels.dtype.type(0))
    equal = len(pixels) == 1 or all(np.array_equal(_ordered(finite[0]), _ordered(plane)) for plane in finite[1:])
    lows, highs = zip(*(_extremes(np.ascontiguousarray(plane)) for plane in finite), strict=True)
    return Facts(digest, nonfinite, lows, highs, equal)


def _extremes(plane: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest value of finite pixels."""
    if plane.dtype != np.float16:
        return float(plane.min()), float(plane.max())
    unsigned, signed = plane.view(np.uint16), plane.view(np.int16)
    # As unsigned numbers negative halves follow the positive ones, as signed numbers they come before; among
    # themselves they run backwards.
    low = unsigned.max() if unsigned.max() > 0x7FFF else unsigned.min()
    high = signed.max() if signed.max() >= 0 else signed.min()
    as_half = [float(np.array(bits).astype(np.uint16).view(np.float16)) for bits in (low, high)]
    return as_half[0], as_half[1]


def _ordered(plane: np.ndarray) -> np.ndarray:
    """Half as its bits, which numpy compares ten times faster."""
    return np.ascontiguousarray(plane).view(np.uint16) if plane.dtype == np.float16 else plane


def count_nonfinite(pixels: np.ndarray) -> int:
    """How many values are NaN or Inf. For half the exponent bits are tested, eight times faster than isfinite.

    (...,) float16 or float32, contiguous
    """
    if pixels.dtype == np.float16:
        magnitude = pixels.view(np.uint16) & 0x7FFF
        if magnitude.size == 0 or magnitude.max() < 0x7C00:
            return 0
        return int(np.count_nonzero(magnitude >= 0x7C00))
    return int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
