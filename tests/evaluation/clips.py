"""Clips in memory: frames of a textured disc that moves over a background, for metrics whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from platelight_server.evaluation.metrics.frame import Frame
from platelight_server.evaluation.metrics.measuring import Report, measure
from platelight_server.evaluation.metrics.metric import Setting

HEIGHT, WIDTH, COUNT = 96, 128, 6


@dataclass(frozen=True)
class Clip:
    """Frames that are held."""

    frames: Sequence[Frame]
    name: str = "made"

    @property
    def numbers(self) -> Sequence[int]:
        return [frame.number for frame in self.frames]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)


def texture(moved: float = 0.0, seed: int = 3) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) float32, 0.05 to 0.7, moved to the right by so many pixels."""
    rng = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(rng.random((HEIGHT, WIDTH + 64, 3)).astype(np.float32), (0, 0), 1.5)
    wide = 0.05 + 0.65 * (wide - wide.min()) / np.ptp(wide)
    shift = np.array([[1, 0, moved - 32], [0, 1, 0]], np.float32)
    return np.asarray(cv2.warpAffine(wide, shift, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC))


def disc(soft: float = 4.0) -> np.ndarray:
    """(HEIGHT, WIDTH) float32 matte."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    inside = 34 - np.hypot(x - WIDTH / 2, y - HEIGHT / 2)
    return np.clip(inside / soft + 0.5, 0, 1).astype(np.float32)


def frames(result: Callable[[int, np.ndarray], np.ndarray], step: float = 0.0, **more: Any) -> list[Frame]:
    """COUNT frames whose truth is the texture, moving by `step` px; `result` makes the result of it."""
    made = []
    for at in range(COUNT):
        truth = texture(at * step)
        made.append(Frame(1001 + at, at, result(at, truth), **{"truth": truth, "matte": disc(), **more}))
    return made


def measured(made: Sequence[Frame], *only: str, **setting: Any) -> Report:
    """The report over some metrics."""
    return measure(Clip(made), Setting(**setting), only or None)


def value(made: Sequence[Frame], name: str, **setting: Any) -> float:
    """One metric of the result."""
    found = measured(made, name, **setting).rows["result"][name]
    assert found is not None
    return found
