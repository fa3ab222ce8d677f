"""One frame of a clip under measure, with its regions and its motion. Arrays only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import cv2
import numpy as np

from .light import LUMINANCE, display

__all__ = ["Frame", "Shown", "disk", "optical_flow", "warp"]

Shown = Literal["truth", "plate", "result"]

# Where a pixel counts as foreground, and as soft edge; the development set's scorer has the same.
FOREGROUND, SOFT, EDGE_PX = 0.95, (0.01, 0.99), 2


@dataclass(frozen=True, eq=False)
class Frame:
    """All pictures of a frame. What is not there is None.

    result, truth, plate, background, foreground (the plate's, premultiplied) and truth_foreground are (H, W, 3)
    float32, scene-linear Rec.709, may be <0 and >1; matte is (H, W) float32 coverage; relit (H, W, 4) premultiplied;
    motion (H, W, 2), pixels, y down: where a pixel was in the frame before. `at` counts the clip's frames from 0.
    """

    number: int
    at: int
    result: np.ndarray
    truth: np.ndarray | None = None
    plate: np.ndarray | None = None
    matte: np.ndarray | None = None
    background: np.ndarray | None = None
    foreground: np.ndarray | None = None
    truth_foreground: np.ndarray | None = None
    relit: np.ndarray | None = None
    motion: np.ndarray | None = None
    nonfinite: int = 0
    # What follows from all but the result, found once for the result and the paste.
    _shared: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def with_result(self, result: np.ndarray) -> Frame:
        """The same frame with another picture for its result, which has no relit layer."""
        other = replace(self, result=result, relit=None, nonfinite=0)
        object.__setattr__(other, "_shared", self._shared)
        return other

    def has(self, need: str) -> bool:
        """Whether an input is there; "reference" is the truth or the plate."""
        if need == "reference":
            return self.truth is not None or self.plate is not None
        return getattr(self, need) is not None

    @property
    def reference(self) -> np.ndarray:
        """The truth, or the plate where there is none. (H, W, 3)"""
        return self._given("truth" if self.truth is not None else "plate")

    @cached_property
    def result_display(self) -> np.ndarray:
        """(H, W, 3) float32 sRGB of the result, 0..1."""
        return display(self.result)

    @property
    def truth_display(self) -> np.ndarray:
        """(H, W, 3) float32 sRGB of the truth, 0..1."""
        return self.once("truth_display", lambda: display(self._given("truth")))

    @property
    def plate_display(self) -> np.ndarray:
        """(H, W, 3) float32 sRGB of the plate, 0..1."""
        return self.once("plate_display", lambda: display(self._given("plate")))

    @cached_property
    def result_luminance(self) -> np.ndarray:
        """(H, W) linear, >= 0."""
        return np.maximum(self.result @ LUMINANCE, 0)

    @property
    def truth_luminance(self) -> np.ndarray:
        """(H, W) linear."""
        return self.once("truth_luminance", lambda: self._given("truth") @ LUMINANCE)

    @property
    def plate_luminance(self) -> np.ndarray:
        """(H, W) linear luminance of the plate's foreground, or of the plate where that is not given."""
        return self.once(
            "plate_luminance", lambda: self._given("plate" if self.foreground is None else "foreground") @ LUMINANCE
        )

    @property
    def fg(self) -> np.ndarray:
        """(H, W) bool: matte over 0.95."""
        return self.once("fg", lambda: self._given("matte") > FOREGROUND)

    @property
    def edge(self) -> np.ndarray:
        """(H, W) bool: soft pixels of the matte (0.01 to 0.99), dilated by 2 px."""
        return self.once("edge", lambda: _edge(self._given("matte")))

    @cached_property
    def full(self) -> np.ndarray:
        """(H, W) bool: every pixel."""
        return np.ones(self.result.shape[:2], dtype=bool)

    def codes(self, which: Shown) -> np.ndarray:
        """(H, W, 3) float32 sRGB of a picture, 0..1: what networks look at."""
        return np.asarray(getattr(self, f"{which}_display"))

    def grey(self, which: Shown) -> np.ndarray:
        """(H, W) uint8 sRGB of a picture's luminance: what trackers look at."""
        return np.asarray((display(self._given(which) @ LUMINANCE) * 255).astype(np.uint8))

    def flow(self, before: Frame, which: Shown) -> np.ndarray:
        """(H, W, 2) pixels to where each pixel was: the motion given, else optical flow (DIS, Kroeger 2016)."""
        if self.motion is not None:
            return self.motion
        return self.once(f"flow of {which}", lambda: optical_flow(self.grey(which), before.grey(which)))

    def once(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """What follows from all but the result: made at the first call of that name, kept with the frame."""
        if name not in self._shared:
            self._shared[name] = np.asarray(make())
        return self._shared[name]

    def _given(self, name: str) -> np.ndarray:
        found = getattr(self, name)
        if found is None:
            raise ValueError(f"frame {self.number}: a gauge asks for {name}, which it does not say that it needs")
        return np.asarray(found)


def _edge(matte: np.ndarray) -> np.ndarray:
    soft = (matte > SOFT[0]) & (matte < SOFT[1])
    return np.asarray(cv2.dilate(soft.astype(np.uint8), disk(EDGE_PX)) > 0)


def optical_flow(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(H, W) uint8 each -> (H, W, 2) float32: where each pixel of `now` lies in `before`, less its own place."""
    dense = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(dense.calc(now, before, None))  # type: ignore[call-overload, unused-ignore]


def warp(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """A picture of the frame before, brought to where its pixels are now; 0 from outside. (H, W[, C]) float32"""
    ys, xs = np.mgrid[0 : flow.shape[0], 0 : flow.shape[1]].astype(np.float32)
    still = np.ascontiguousarray(picture, np.float32)
    return np.asarray(cv2.remap(still, xs + flow[..., 0], ys + flow[..., 1], cv2.INTER_LINEAR))


def disk(radius: int) -> np.ndarray:
    """A round structuring element."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))
