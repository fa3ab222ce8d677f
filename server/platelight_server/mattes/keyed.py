"""Mattes by keying: each frame by itself, before a screen that is measured once for the shot."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from .finding import KEYER_VERSION, found_screen, screen_frames
from .interface import Asked, MatteSource
from .keyer import key

__all__ = ["KeyedMattes"]


class KeyedMattes(MatteSource):
    """The keyer over a shot."""

    def __init__(self, asked: Asked) -> None:
        """Measures the screen. Raises `FrameError` where there is none."""
        self._shot, self._dials = asked.shot, asked.dials
        self._sampled = screen_frames(asked.shot.frames)
        self.screen = found_screen(self._sampled, self._shot.read, asked.screen, asked.dials, asked.shot.offset)
        self.said = {
            "method": "key",
            "version": KEYER_VERSION,
            "screen": self.screen.name,
            "screenColor": [round(value, 5) for value in self.screen.color],
            "models": [],
        }

    def depends(self, frame: int) -> Collection[int]:
        return (*self._sampled, frame)

    def mattes(self, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        for frame in self._shot.frames:
            if frame in wanted:
                yield frame, key(self._shot.read(frame), self.screen, self._dials, self._shot.offset)
