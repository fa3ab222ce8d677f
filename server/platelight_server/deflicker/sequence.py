"""The sequences of a deflickering job, as values: which files serve which frame, and reading one. See `check`.

All is held against the relit sequence: its frames, display window and colour space.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from platelight.errors import FrameError
from platelight.frames import FrameRange, SequencePath
from platelight_server.color.spaces import Space, convert
from platelight_server.deflicker.steady import VERSION
from platelight_server.fingerprint import color_test
from platelight_server.plates import picture_io
from platelight_server.plates.facts import FactIndex
from platelight_server.plates.geometry import over_plate
from platelight_server.plates.inputs import repaired_pixels
from platelight_server.plates.picture import Box, PictureInfo

# What is done about missing and damaged frames: a recipe's words for `plate.missing`.
POLICIES = ("refuse", "hold", "black", "skip")


@dataclass(frozen=True)
class Asked:
    """A deflickering job as it is asked for. Patterns are those of sequences, or folders."""

    source: str
    relit: str
    out: str
    matte: str | None = None
    vectors: str | None = None
    frames: FrameRange | None = None
    radius: int = 6
    strength: float = 1.0
    detail: float = 0.0
    lines: int = 540
    source_space: str = "auto"
    relit_space: str = "auto"
    missing: str = "refuse"
    repair: bool = False
    compression: str = "zips"

    def near(self, frame: int) -> range:
        """The frames that a frame is steadied by, were they all there."""
        return range(frame - self.radius, frame + self.radius + 1)


@dataclass(frozen=True)
class Input:
    """One sequence, opened: each frame's file, `None` for black. `flips` says that its second channel points up."""

    role: str
    files: Mapping[int, Path | None]
    channels: tuple[str, ...]
    info: PictureInfo
    flips: bool = False


@dataclass(frozen=True)
class Opened:
    """Sequences that agree.

    frames  those that can be read, in order; a lost one says nothing about the light of the frames around it
    shown   frame to be written -> the frame whose pictures it shows, another one where its own are lost
    work    the box around all data windows of the relit sequence
    """

    asked: Asked
    inputs: Mapping[str, Input]
    out: SequencePath
    frames: tuple[int, ...]
    shown: Mapping[int, int]
    work: Box
    space: Space
    source_space: Space
    digests: Mapping[Path, str]
    index: FactIndex

    @property
    def wanted(self) -> tuple[int, ...]:
        """The frames to be written, in order."""
        return tuple(self.shown)

    def window(self, frame: int) -> tuple[int, ...]:
        """The frames that the light of a frame of `frames` is steadied by, itself included."""
        near = self.asked.near(frame)
        return self.frames[bisect_left(self.frames, near.start) : bisect_left(self.frames, near.stop)]

    def is_black(self, frame: int) -> bool:
        """Whether nothing is shown on a frame to be written, but for its size."""
        return self.shown[frame] != frame and self.asked.missing == "black"

    def file(self, role: str, frame: int) -> Path:
        """The file of a frame of `frames`. Raises `FrameError` where it has none."""
        path = self.inputs[role].files.get(frame)
        if path is None:
            raise FrameError(f"--{role}: frame {frame} has no file")
        return path

    def read(self, role: str, frame: int) -> np.ndarray | None:
        """(C, H, W) float32 over the work window, finite, in the relit sequence's primaries; `None` where not given."""
        given = self.inputs.get(role)
        if given is None or frame not in given.files:
            return None
        path = given.files[frame]
        if path is None:
            return np.zeros((len(given.channels), self.work.height, self.work.width), np.float32)
        display = self.inputs["relit"].info.display
        pixels, _ = repaired_pixels(over_plate(picture_io.read(path, given.channels), self.work, display))
        pixels = pixels.astype(np.float32)
        if role == "source" and self.source_space.name != self.space.name:
            pixels = convert(pixels, self.source_space, self.space)
        if role == "matte":
            return np.asarray(np.clip(pixels[:1], 0, 1))
        if given.flips:
            pixels[1] *= -1
        return pixels

    def vectors(self, frame: int) -> np.ndarray | None:
        """As `read`; `None` also where the frame before, which they lead to, is lost: then motion is found."""
        return self.read("vectors", frame) if frame - 1 in self.window(frame) else None

    def hash_of(self, frame: int) -> str:
        """Everything that the file of a frame to be written depends on."""
        asked, shown = self.asked, self.shown[frame]
        document: dict[str, Any] = {
            "deflicker": VERSION,
            "dials": [asked.radius, asked.strength, asked.detail, asked.lines, asked.compression],
            "space": [self.space.name, *color_test(self.source_space, self.space)],
            "work": str(self.work),
            "frame": frame,
            "shows": "black" if self.is_black(frame) else shown,
            "read": [[other, self._digests(other)] for other in self.window(shown)],
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def _digests(self, frame: int) -> dict[str, str]:
        files = {role: given.files[frame] for role, given in self.inputs.items() if frame in given.files}
        return {role: "black" if path is None else self.digests[path] for role, path in files.items()}
