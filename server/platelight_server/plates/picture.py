"""What a picture file holds, as values: windows, channels, header, pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Box:
    """A window in pixel coordinates, inclusive at both ends, y down, as OpenEXR writes it. May be negative."""

    x_first: int
    y_first: int
    x_last: int
    y_last: int

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.x_last - self.x_first + 1

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.y_last - self.y_first + 1

    def around(self, other: Box) -> Box:
        """The smallest window that holds both."""
        return Box(
            min(self.x_first, other.x_first), min(self.y_first, other.y_first),
            max(self.x_last, other.x_last), max(self.y_last, other.y_last),
        )  # fmt: skip

    def moved(self, x: int, y: int) -> Box:
        """The same window, shifted."""
        return Box(self.x_first + x, self.y_first + y, self.x_last + x, self.y_last + y)

    def __str__(self) -> str:
        at = f" at ({self.x_first}, {self.y_first})" if (self.x_first, self.y_first) != (0, 0) else ""
        return f"{self.width}x{self.height}{at}"


@dataclass(frozen=True)
class PictureInfo:
    """A file's header: nothing here needs the pixels.

    `channels` are full names, a layer before a dot; part names of multi-part files become layers. `space_hint` is what
    the file format itself implies where a header cannot say ("sRGB" for an 8-bit PNG).
    """

    path: Path
    channels: tuple[str, ...]
    data: Box
    display: Box
    header: Mapping[str, Any]
    pixel_aspect: float = 1.0
    is_exr: bool = True
    space_hint: str | None = None


@dataclass(frozen=True)
class Picture:
    """Pixels of chosen channels over the data window.

    pixels  (C, H, W) float16 or float32, as stored, in the file's colour space, may be <0, >1, NaN or Inf
    """

    info: PictureInfo
    pixels: np.ndarray
