"""What makes mattes: told about a shot, it gives a matte for each frame, in whatever order it has to work in.

Frames are numpy as the plates are read, so that the keyer works at plate resolution in half the memory; models bring
them to their own size and encoding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from platelight.recipe_parts import Keying

from ..color.encoding import Srgb

__all__ = ["Asked", "MatteSource", "Prompt", "ShotFrames", "code_values"]


@dataclass(frozen=True)
class ShotFrames:
    """The shot that mattes are made for.

    `read(frame)` gives (3, H, W) float16 or float32, scene-linear, plate primaries, finite. `size` is (H, W), `offset`
    where that window begins within the display window (x, y), `to_rec709` the matrix to what models know.
    """

    frames: tuple[int, ...]
    read: Callable[[int], np.ndarray]
    size: tuple[int, int]
    offset: tuple[int, int] = (0, 0)
    to_rec709: np.ndarray = field(default_factory=lambda: np.eye(3))


@dataclass(frozen=True)
class Prompt:
    """What is the subject on one frame, in pixels of the display window: points in it, points not, a box around it."""

    frame: int
    points: tuple[tuple[float, float], ...] = ()
    outside: tuple[tuple[float, float], ...] = ()
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Asked:
    """What a source is made from. `screen` is "auto", "green" or "blue"; models are named by their cards.

    `step(stage, step, steps)` is called between model calls and may raise `Cancelled`.
    """

    shot: ShotFrames
    screen: str = "auto"
    dials: Keying = Keying()
    prompts: tuple[Prompt, ...] = ()
    text: str | None = None
    text_frame: int | None = None
    model: str | None = None
    detector: str | None = None
    device: str = "cpu"
    step: Callable[[str, int, int], None] = lambda stage, step, steps: None


class MatteSource(ABC):
    """Mattes of one shot. `said` goes into the headers: method, models with their licences, what was found."""

    said: Mapping[str, Any] = {}

    @abstractmethod
    def depends(self, frame: int) -> Collection[int]:
        """The frames whose pixels a frame's matte depends on, itself included."""

    @abstractmethod
    def mattes(self, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        """The wanted frames with their mattes (1, H, W) float32, 0..1; the same whichever others are wanted.

        Raises `FrameError`; lets `Cancelled` pass.
        """


def code_values(plate: np.ndarray, size: tuple[int, int], to_rec709: np.ndarray) -> torch.Tensor:
    """A frame as models know pictures: (3, *size) float32, sRGB code values 0..1, resized in linear light.

    plate  (3, H, W) float16 or float32, scene-linear, plate primaries, may be <0 and >1
    """
    light = torch.from_numpy(np.ascontiguousarray(plate, np.float32))[None]
    small = torch.nn.functional.interpolate(light, size, mode="bilinear", align_corners=False, antialias=True)[0]
    return Srgb().encode(torch.einsum("ij,jhw->ihw", torch.as_tensor(to_rec709, dtype=torch.float32), small))
