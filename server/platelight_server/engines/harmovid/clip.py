"""A clip of frames as HarmoVid's network is shown them: composed in linear light, then encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from platelight_server.engines.canvas import Colors
from platelight_server.engines.harmovid.alpha import composite
from platelight_server.engines.interface import FrameInputs
from platelight_server.engines.light.frames import LightFrame

__all__ = ["Clip"]


@dataclass(frozen=True)
class Clip:
    """Frames of one clip, on the CPU. `frames` are their numbers.

    plate, background, relit  (F, 3, h, w) float32, scene-linear, working primaries, unpremultiplied; `relit` is the
                              plate where the recipe gives none
    matte                     (F, 1, h, w) float32, 0..1, as given
    """

    frames: tuple[int, ...]
    plate: torch.Tensor
    matte: torch.Tensor
    background: torch.Tensor
    relit: torch.Tensor

    @classmethod
    def of(cls, frames: Sequence[int], held: Mapping[int, FrameInputs]) -> Clip:
        """The frames `frames` of those held; where one is left out of the shot its nearest neighbour stands in, and
        where no background is given the plate's own stays."""
        seen = [held[min(held, key=lambda other: (abs(other - frame), other))] for frame in frames]
        return cls(
            tuple(frames),
            torch.stack([one.plate.cpu() for one in seen]),
            torch.stack([one.matte.cpu() for one in seen]),
            torch.stack([(one.plate if one.background is None else one.background).cpu() for one in seen]),
            torch.stack([(one.plate if one.relit is None else one.relit).cpu() for one in seen]),
        )

    def composed(self, subject: torch.Tensor, matte: torch.Tensor, colors: Colors) -> torch.Tensor:
        """`subject` (F, 3, h, w), linear, over the background under `matte` -> (F, 3, h, w) codes -1..1."""
        return colors.encode(composite(subject, matte, self.background))

    def light_frames(self, colors: Colors) -> list[LightFrame]:
        """The frames for an image relighting model, codes."""
        plate, background = colors.encode(self.plate), colors.encode(self.background)
        return [LightFrame(n, plate[i], self.matte[i], background[i]) for i, n in enumerate(self.frames)]
