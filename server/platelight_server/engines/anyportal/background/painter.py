"""A painted background handed out by window: painted once, in order, and kept as far back as a window needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

__all__ = ["Painter"]

Painted = Iterator[tuple[range, torch.Tensor]]


class Painter:
    """`begin` starts the painting at the shot's first frame; see `generate.paint`."""

    def __init__(self, begin: Callable[[], Painted]) -> None:
        self._begin = begin
        self._painted: Painted | None = None
        self._held: dict[int, torch.Tensor] = {}
        self._reached = 0

    def frames(self, positions: range) -> torch.Tensor:
        """(F, 3, h, w) float32 codes on the CPU for positions of the shot; earlier ones than these are let go.

        What `generate.paint` raises passes, and the painting begins anew at the next call.
        """
        if self._painted is None or (positions.start < self._reached and positions.start not in self._held):
            self._painted, self._held, self._reached = self._begin(), {}, 0
        try:
            while self._reached < positions.stop:
                answered, video = next(self._painted)
                self._held.update({place: frame.cpu() for place, frame in zip(answered, video, strict=True)})
                self._reached = answered.stop
        except BaseException:
            self._painted = None
            raise
        self._held = {place: frame for place, frame in self._held.items() if place >= positions.start}
        return torch.stack([self._held[place] for place in positions])
