"""Frames as HarmoVid's network is shown them: composed in linear light, then encoded.

A clip keeps the frames that the job holds anyway; pictures are made from them when they are asked for, one video at a
time, so that a clip costs little more memory than the one that is worked on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from platelight_server.deflicker.cuts import cuts
from platelight_server.engines.canvas import Colors
from platelight_server.engines.harmovid.alpha import composite, inference_matte
from platelight_server.engines.interface import FrameInputs
from platelight_server.engines.light.frames import LightFrame, has_subject

__all__ = ["Clip", "Showing"]


@dataclass(frozen=True)
class Showing:
    """How frames are shown to the network, decided once for a shot: their colours, and how mattes are made (see
    `alpha.inference_matte`; `matte` is not "auto") with which half-width."""

    colors: Colors
    matte: str
    width_px: float


@dataclass(frozen=True)
class Clip:
    """Frames in their order; `numbers` are theirs in the shot, `seen` what is seen of them. Answers are on the CPU."""

    numbers: tuple[int, ...]
    seen: tuple[FrameInputs, ...]
    showing: Showing

    @classmethod
    def of(cls, numbers: Sequence[int], held: Mapping[int, FrameInputs], showing: Showing) -> Clip:
        """The frames `numbers` of those held; where one is left out of the shot its nearest neighbour stands in, one of
        `numbers` if any is there: what else is held beside a clip must not matter."""
        there = [number for number in numbers if number in held] or list(held)
        near = [min(there, key=lambda other: (abs(other - number), other)) for number in numbers]
        return cls(tuple(numbers), tuple(held[number] for number in near), showing)

    @property
    def has_subject(self) -> bool:
        """Whether any frame holds anything of the subject."""
        return any(has_subject(one.matte) for one in self.seen)

    def cuts(self) -> tuple[int, ...]:
        """Where another take begins, counted from 0: a cut of the plate, or one of the background."""
        plates, backgrounds = (torch.stack([self._small(of(one)) for one in self.seen]) for of in (_plate, _behind))
        return tuple(sorted({*cuts(plates), *cuts(backgrounds)}))

    def mattes(self) -> torch.Tensor:
        """(F, 1, h, w) float32, 0..1: the mattes as they are shown."""
        return torch.stack([self._matte(one) for one in self.seen])

    def source(self) -> torch.Tensor:
        """(F, 3, h, w) codes -1..1: the subject as filmed over its background."""
        return self.over(map(_plate, self.seen))

    def given(self) -> torch.Tensor:
        """(F, 3, h, w) codes -1..1: the relit subject that the recipe gives over its background."""
        return self.over(map(_relit, self.seen))

    def over(self, subjects: Iterable[torch.Tensor]) -> torch.Tensor:
        """Subjects (3, h, w), scene-linear, working primaries, over the frames' backgrounds -> (F, 3, h, w) codes."""
        pairs = zip(subjects, self.seen, strict=True)
        return torch.stack([self._codes(composite(subject, self._matte(one), _behind(one))) for subject, one in pairs])

    def backgrounds(self) -> torch.Tensor:
        """(F, 3, h, w) codes -1..1; where no background is given, the plate's own stays."""
        return torch.stack([self._codes(_behind(one)) for one in self.seen])

    def light_frames(self) -> list[LightFrame]:
        """The frames that hold something of the subject, for an image relighting model: codes, mattes as given."""
        return [
            LightFrame(number, self._codes(_plate(one)), _matte(one), self._codes(_behind(one)))
            for number, one in zip(self.numbers, self.seen, strict=True)
            if has_subject(one.matte)
        ]

    def part(self, places: range) -> Clip:
        """The frames at `places`, counted from 0."""
        inside = slice(places.start, places.stop)
        return Clip(self.numbers[inside], self.seen[inside], self.showing)

    def _codes(self, light: torch.Tensor) -> torch.Tensor:
        return self.showing.colors.encode(light)

    def _matte(self, one: FrameInputs) -> torch.Tensor:
        picture = self._codes(_plate(one))[None] if self.showing.matte == "guided" else None
        return inference_matte(_matte(one)[None], self.showing.matte, self.showing.width_px, picture)[0]

    def _small(self, light: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d((self._codes(light) + 1) / 2, (18, 32))


def _plate(one: FrameInputs) -> torch.Tensor:
    return one.plate.cpu()


def _matte(one: FrameInputs) -> torch.Tensor:
    return one.matte.cpu()


def _behind(one: FrameInputs) -> torch.Tensor:
    return _plate(one) if one.background is None else one.background.cpu()


def _relit(one: FrameInputs) -> torch.Tensor:
    return _plate(one) if one.relit is None else one.relit.cpu()
