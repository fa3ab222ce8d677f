"""Whether a result moves as the shot does, by the tracks of a network that sees a stretch of the clip at once.

A clip is cut into stretches that share a frame, as long as the network was trained to see, so that memory does not grow
with the clip. Each begins with a new grid of points.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Protocol

import cv2
import numpy as np

from .frame import Frame
from .metric import Gauge, Metric, Setting
from .models import absent
from .motion import LEAST_STEP_PX, REFERENCE, products, reference_of, step_cosine, trajectory_error
from .picture import REGIONS

__all__ = ["NetworkTracks", "Tracker"]

GRID = 20  # points a side
SEEN = 0.5
_INSTALL = "package cotracker: pip install git+https://github.com/facebookresearch/co-tracker (CC-BY-NC-4.0)"


class Tracker(Protocol):
    """Follows points of the first picture through a `stretch` of pictures of one size, as `CoTracker` does."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def stretch(self) -> int: ...

    def tracks(self, pictures: np.ndarray, points: np.ndarray) -> np.ndarray: ...


_ERROR = (
    "sqrt(sum|s p - q|^2 / sum|q|^2); p, q are displacements in result and reference since the first frame of each 60, "
    "of a 20x20 grid of points while CoTracker3 sees them in both (visibility over 0.5); s = sum p.q / sum p.p is one "
    f"for the clip; 0 is equal motion, 1 none; no value where the RMS of q is under 0.25 px; reference is {REFERENCE}"
)


class NetworkTracks(Gauge):
    """PAI-Studio's motion fidelity, and AnyPortal's motion preservation over the same tracks."""

    metrics = (
        Metric(
            "cotracker_error_fg",
            _ERROR,
            f"{REGIONS['fg']}, at the first frame of each stretch",
            "lower",
            "PAI-Studio, motion fidelity; Karaev et al. 2024 (the paper's grid is not stated)",
        ),
        Metric(
            "cotracker_error_full",
            "the same of the whole grid, where there is a truth",
            REGIONS["full"],
            "lower",
            "PAI-Studio, motion fidelity",
        ),
        Metric(
            "cotracker_cosine_fg",
            "mean cosine between the steps of those points in result and reference, of steps of 0.25 px or more",
            f"{REGIONS['fg']}, at the first frame of each stretch",
            "higher",
            "AnyPortal, Mtn-Psrv (there with SpatialTracker, which was made from CoTracker; here CoTracker3)",
        ),
    )
    needs = ("reference", "matte")
    models = ("cotracker3-offline",)
    package = "cotracker"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._frames: list[int] = []
        self._pictures: list[tuple[np.ndarray, np.ndarray]] = []  # small ones, of result and reference
        self._inside = np.zeros(0, bool)
        self._last: Frame | None = None
        self._sums, self._counts = {"fg": np.zeros(3), "full": np.zeros(3)}, {"fg": 0, "full": 0}

    @classmethod
    def unavailable(cls, setting: Setting) -> str:
        package = "" if importlib.util.find_spec(cls.package) else _INSTALL
        return "; ".join(filter(None, (package, *(absent(name, setting) for name in cls.models))))

    def tracker(self) -> Tracker:
        """CoTracker3, loaded once."""
        from .cotracker import cotracker

        return cotracker(self.setting.roots, self.setting.device)

    def add(self, now: Frame, before: Frame | None) -> None:
        self._last = now
        self._take(now)
        if len(self._frames) == self.tracker().stretch:
            self._measure(now)
            self._take(now)

    def values(self) -> Mapping[str, float | None]:
        if self._last is None:
            return super().values()
        if len(self._frames) > 1:
            self._measure(self._last)
        return {
            "cotracker_error_fg": self._error("fg"),
            "cotracker_error_full": None if self._last.truth is None else self._error("full"),
            "cotracker_cosine_fg": self.mean("cotracker_cosine_fg"),
        }

    def _take(self, now: Frame) -> None:
        tracker = self.tracker()
        if not self._frames:
            x, y = (self._points() * _scale(tracker, now)).astype(int).T
            self._inside = now.fg[y, x]
        self._frames.append(now.number)
        self._pictures.append((_small(now.result_display, tracker), _small(now.codes(reference_of(now)), tracker)))

    def _measure(self, last: Frame) -> None:
        """Adds a stretch up to `last` to the sums, and forgets its pictures."""
        tracker, points = self.tracker(), self._points()
        result, reference = (np.stack(pictures) for pictures in zip(*self._pictures, strict=True))
        wanted = last.once(f"{self.package}'s tracks", lambda: tracker.tracks(reference, points))
        found = tracker.tracks(result, points)
        seen = (found[..., 2] > SEEN) & (wanted[..., 2] > SEEN)
        p, q = ((tracks[..., :2] - points) * _scale(tracker, last) for tracks in (found, wanted))
        for region, chosen in (("full", seen), ("fg", seen & self._inside)):
            self._sums[region] += products(p[chosen], q[chosen])
            self._counts[region] += int(chosen.sum())
        both = seen[1:] & seen[:-1] & self._inside
        for frame, there, step, other in zip(
            self._frames[1:], both, np.diff(p, axis=0), np.diff(q, axis=0), strict=True
        ):
            cosine = step_cosine(step[there], other[there])
            if np.isfinite(cosine):
                self.curves["cotracker_cosine_fg"][frame] = cosine
        self._frames, self._pictures = [], []

    def _error(self, region: str) -> float | None:
        """None also where the reference moves so little that a network's unrest is all there is to compare."""
        moved = (self._sums[region][2] / max(1, self._counts[region])) ** 0.5
        return trajectory_error(self._sums[region]) if moved >= LEAST_STEP_PX else None

    def _points(self) -> np.ndarray:
        """(400, 2) x, y in the network's pixels, evenly over the picture."""
        tracker = self.tracker()
        at = (np.arange(GRID) + 0.5) / GRID
        return np.stack(np.meshgrid(at * tracker.width, at * tracker.height), -1).reshape(-1, 2).astype(np.float32)


def _scale(tracker: Tracker, frame: Frame) -> np.ndarray:
    """The frame's pixels to one of the network's, x and y."""
    height, width = frame.result.shape[:2]
    return np.array([width / tracker.width, height / tracker.height], np.float32)


def _small(picture: np.ndarray, tracker: Tracker) -> np.ndarray:
    """(H, W, 3) sRGB, 0..1 -> (height, width, 3) uint8."""
    small = cv2.resize(picture, (tracker.width, tracker.height), interpolation=cv2.INTER_AREA)
    return np.asarray((small * 255 + 0.5).astype(np.uint8))
