"""A window of frames as the models see it: codes on the model's picture size, stacked, ready for every stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from platelight_server.engines.canvas import Colors
from platelight_server.engines.interface import FrameInputs
from platelight_server.engines.light.frames import LightFrame, composite, has_subject

__all__ = ["Clip"]


@dataclass(frozen=True)
class Clip:
    """Frames of one window. `frames` are their numbers.

    plate (F, 3, h, w), background (F, 3, h, w) float32 codes -1..1; matte (F, 1, h, w) float32 0..1
    """

    frames: tuple[int, ...]
    plate: torch.Tensor
    matte: torch.Tensor
    background: torch.Tensor

    @classmethod
    def of(
        cls, frames: Sequence[int], held: Mapping[int, FrameInputs], colors: Colors, painted: torch.Tensor | None
    ) -> Clip:
        """The frames `frames` of those held; where one is left out of the shot its nearest neighbour stands in.

        `painted` (F, 3, h, w) codes is the background where the recipe gives none. Where neither gives one, the
        plate's own stays.
        """
        seen = [held[_nearest(frame, held)] for frame in frames]
        plate = colors.encode(torch.stack([one.plate for one in seen]))
        matte = torch.stack([one.matte for one in seen])
        background = painted if painted is not None else _given(seen, plate, colors)
        return cls(tuple(frames), plate, matte, background)

    @property
    def source(self) -> torch.Tensor:
        """(F, 3, h, w): the foreground as filmed over the new background, before any light is changed."""
        return composite(self.plate, self.matte, self.background)

    @property
    def is_empty(self) -> bool:
        """Whether no frame holds anything of the subject."""
        return not has_subject(self.matte)

    def light_frames(self) -> list[LightFrame]:
        """The frames for the light stage."""
        return [
            LightFrame(frame, self.plate[i], self.matte[i], self.background[i]) for i, frame in enumerate(self.frames)
        ]

    def part(self, first: int, last: int) -> Clip:
        """Frames `first` up to (not with) `last`, counted from 0."""
        return Clip(
            self.frames[first:last], self.plate[first:last], self.matte[first:last], self.background[first:last]
        )


def _nearest(frame: int, held: Mapping[int, FrameInputs]) -> int:
    return frame if frame in held else min(held, key=lambda other: (abs(other - frame), other))


def _given(seen: Sequence[FrameInputs], plate: torch.Tensor, colors: Colors) -> torch.Tensor:
    pictures = [plate[i] if one.background is None else colors.encode(one.background) for i, one in enumerate(seen)]
    return torch.stack(pictures)
