"""What the light stage is given for a frame, how it is set, and the picture arithmetic around the networks.

Pictures are code values -1..1, in which 0 is IC-Light's grey. A foreground is unpremultiplied, as filmed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F

from platelight.errors import FrameError
from platelight_server.engines.presets import PRESETS

__all__ = [
    "LightFrame",
    "LightSettings",
    "Stage",
    "check_frames",
    "composite",
    "enlarged",
    "enlarged_frame",
    "has_subject",
    "on_grey",
]

Stage = Literal["two-step", "image", "text", "none"]

_EMPTY = 1 / 1024  # a matte below this everywhere holds nothing: half a step of 8 bits is more


@dataclass(frozen=True)
class LightFrame:
    """One frame of a window, or the anchor; `frame` is its number in the shot.

    foreground (3, h, w) float32, code -1..1, as filmed; matte (1, h, w) float32, 0..1; background (3, h, w) float32
    """

    frame: int
    foreground: torch.Tensor
    matte: torch.Tensor
    background: torch.Tensor

    def to(self, device: torch.device) -> LightFrame:
        """The frame on a device."""
        return LightFrame(self.frame, *(one.to(device) for one in (self.foreground, self.matte, self.background)))


@dataclass(frozen=True)
class LightSettings:
    """How a window is relit.

    `stage`: "two-step" is the paper's, the image model and then SDEdit with the text model from `ratio`; "image" and
    "text" leave the other one out; "none" gives back foreground over background, so that nothing changes.
    `ratio` is the signal to noise ratio at which SDEdit starts (presets.py): infinity makes no step (the paper's
    T0 = 0, the image model's answer alone); 0 starts from noise. For "text" it starts on foreground over background,
    and 0 is the text model's own picture (Fig. 4 b).
    `highres` works a second time at twice the size, from half of the schedule, as the released scripts do.
    `change_background` keeps what the model painted outside the matte; otherwise the background comes back.
    `chunk` frames go through the network at once: 1 makes a frame's bits independent of the window, more is faster.
    """

    stage: Stage = "two-step"
    steps: int = 20
    ratio: float = PRESETS["strong"].light
    guidance_image: float = 7.0
    guidance_text: float = 7.0
    seed: int = 0
    highres: bool = False
    change_background: bool = False
    chunk: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1 or self.chunk < 1 or self.ratio < 0 or math.isnan(self.ratio):
            raise ValueError(
                "expected steps and chunk of at least 1 and a ratio of at least 0,"
                f" got {self.steps}, {self.chunk} and {self.ratio}"
            )


def check_frames(frames: Sequence[LightFrame]) -> None:
    """That all pictures have the shapes that `LightFrame` states, in one size. Raises `FrameError`."""
    height, width = frames[0].foreground.shape[-2:]
    for frame in frames:
        for name, channels in (("foreground", 3), ("matte", 1), ("background", 3)):
            found = tuple(getattr(frame, name).shape)
            if found != (channels, height, width):
                raise FrameError(f"frame {frame.frame}: expected a {name} of {(channels, height, width)}, got {found}")


def has_subject(matte: torch.Tensor) -> bool:
    """Whether a matte (1, h, w) holds anything."""
    return bool((matte > _EMPTY).any())


def on_grey(foreground: torch.Tensor, matte: torch.Tensor) -> torch.Tensor:
    """The foreground premultiplied over grey, as IC-Light wants it: exactly 0 outside the matte. Shapes broadcast."""
    return torch.where(matte == 0, 0.0, foreground * matte)


def composite(picture: torch.Tensor, matte: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """picture over background: exactly the background where the matte is 0. Shapes broadcast."""
    return torch.where(matte == 0, background, picture * matte + background * (1 - matte))


def enlarged(video: torch.Tensor, mode: str = "bicubic") -> torch.Tensor:
    """(F, C, h, w) -> (F, C, 2h, 2w); its inverse in the mean is `F.avg_pool2d(video, 2)`."""
    return F.interpolate(video, scale_factor=2, mode=mode, align_corners=False)


def enlarged_frame(frame: LightFrame) -> LightFrame:
    """The frame at twice the size; the matte without overshoot."""
    return replace(
        frame,
        foreground=enlarged(frame.foreground[None])[0],
        matte=enlarged(frame.matte[None], "bilinear")[0],
        background=enlarged(frame.background[None])[0],
    )
