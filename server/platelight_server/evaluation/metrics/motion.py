"""Whether a result moves as the shot does, by trackers that need no weights (pyramidal Lucas-Kanade, and DIS flow)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import cv2
import numpy as np

from .frame import Frame, Shown, optical_flow
from .metric import Gauge, Metric, Setting
from .picture import REGIONS

__all__ = [
    "LEAST_STEP_PX",
    "REFERENCE",
    "FlowError",
    "ForegroundTracks",
    "FrameTracks",
    "StepDirection",
    "products",
    "reference_of",
    "step_cosine",
    "trajectory_error",
]

POINTS, LEAST_STEP_PX, BACK_PX = 400, 0.25, 1.0
REFERENCE = "the truth, or the plate where there is none"


class FlowError(Gauge):
    """HarmoVid's motion preservation."""

    metrics = (
        Metric(
            "motion_epe_fg",
            f"mean |flow(result) - flow(reference)|; reference is {REFERENCE}; mean over frames",
            REGIONS["fg"],
            "lower",
            "HarmoVid, Motion Preservation (there with RAFT; here DIS flow, Kroeger et al. 2016)",
            "px",
        ),
    )
    needs = ("reference", "matte")

    def add(self, now: Frame, before: Frame | None) -> None:
        if before is None or not now.fg.any():
            return
        which = reference_of(now)
        # The motion that is given is not used: both sides have to be seen with the same eyes.
        wanted = optical_flow(now.grey(which), before.grey(which))
        found = optical_flow(now.grey("result"), before.grey("result"))
        self.note("motion_epe_fg", now, float(np.hypot(*(found - wanted)[now.fg].T).mean()))


class StepDirection(Gauge):
    """AnyPortal's motion preservation."""

    metrics = (
        Metric(
            "motion_cosine_fg",
            "mean cosine between a point's step in result and reference, of points that step 0.25 px or more; points "
            f"are chosen anew on each frame; reference is {REFERENCE}",
            REGIONS["fg"],
            "higher",
            "AnyPortal, Mtn-Psrv (there with SpatialTracker; here Lucas-Kanade)",
        ),
    )
    needs = ("reference", "matte")

    def add(self, now: Frame, before: Frame | None) -> None:
        if before is None:
            return
        which = reference_of(now)
        points = _corners(before.grey(which), before.fg)
        wanted, seen = _tracked(before.grey(which), now.grey(which), points)
        found, also = _tracked(before.grey("result"), now.grey("result"), points)
        p, q = (found - points)[seen & also], (wanted - points)[seen & also]
        self.note("motion_cosine_fg", now, step_cosine(p, q))


class _Tracks(Gauge):
    """Long tracks from one frame on, while both pictures show them."""

    region: ClassVar[str]

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._start: np.ndarray | None = None
        self._found = self._wanted = np.zeros((0, 2), np.float32)
        self._seen = np.zeros(0, bool)
        self._sums = np.zeros(3)

    def add(self, now: Frame, before: Frame | None) -> None:
        which = reference_of(now)
        if self._start is None or before is None:
            points = _corners(now.grey(which), getattr(now, self.region))
            if len(points):
                self._start = self._found = self._wanted = points
                self._seen = np.ones(len(points), bool)
            return
        self._wanted, seen = _tracked(before.grey(which), now.grey(which), self._wanted)
        self._found, also = _tracked(before.grey("result"), now.grey("result"), self._found)
        self._seen = self._seen & seen & also
        p, q = ((points - self._start)[self._seen] for points in (self._found, self._wanted))
        self._sums += products(p, q)

    def values(self) -> Mapping[str, float | None]:
        (metric,) = self.metrics
        return {metric.name: trajectory_error(self._sums)}


def _trajectory(name: str, region: str) -> Metric:
    return Metric(
        name,
        "sqrt(sum|s p - q|^2 / sum|q|^2); p, q are displacements in result and reference of points seen in both since "
        "the first frame, s = sum p.q / sum p.p one scale for the clip; 0 is equal motion, 1 none",
        region,
        "lower",
        "PAI-Studio, motion fidelity (there with CoTracker3; here Lucas-Kanade)",
    )


class ForegroundTracks(_Tracks):
    """PAI-Studio's motion fidelity of the foreground."""

    metrics = (_trajectory("trajectory_error_fg", REGIONS["fg"]),)
    needs = ("reference", "matte")
    region = "fg"


class FrameTracks(_Tracks):
    """The same of the whole picture, the background too, which only a truth can tell."""

    metrics = (_trajectory("trajectory_error_full", REGIONS["full"]),)
    needs = ("truth",)
    region = "full"


def step_cosine(found: np.ndarray, wanted: np.ndarray) -> float:
    """The mean cosine between steps (n, 2) of the same points, of those wanted to be 0.25 px or more; NaN of none."""
    moves = np.hypot(*wanted.T) >= LEAST_STEP_PX
    if not moves.any():
        return float("nan")
    p, q = found[moves], wanted[moves]
    lengths = np.maximum(np.hypot(*p.T) * np.hypot(*q.T), 1e-6)
    return float(((p * q).sum(1) / lengths).mean())


def products(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Displacements p and q, (n, 2) each -> (3,) float64, the sums of p.p, p.q and q.q; they add up over frames."""
    p, q = found.astype(np.float64), wanted.astype(np.float64)
    return np.array([(p * p).sum(), (p * q).sum(), (q * q).sum()])


def trajectory_error(sums: np.ndarray) -> float | None:
    """sqrt(sum|s p - q|^2 / sum|q|^2) of such sums, with the best s; None where nothing moves or was followed."""
    pp, pq, qq = sums
    if not qq:
        return None
    left = qq - pq**2 / pp if pp else qq  # the least there is, at s = pq/pp
    return float(np.sqrt(max(0.0, left) / qq))


def reference_of(frame: Frame) -> Shown:
    """What a result's motion is held against."""
    return "plate" if frame.truth is None else "truth"


def _corners(grey: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(n, 2) float32 x, y of points worth following."""
    found = cv2.goodFeaturesToTrack(grey, POINTS, 0.01, 5, mask=region.astype(np.uint8))
    return np.zeros((0, 2), np.float32) if found is None else np.asarray(found, np.float32).reshape(-1, 2)


def _tracked(before: np.ndarray, now: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points went, (n, 2), and which of them came back when followed backwards, (n,) bool."""
    if not len(points):
        return points, np.zeros(0, bool)
    there, seen, _ = cv2.calcOpticalFlowPyrLK(before, now, points[:, None], None)  # type: ignore[call-overload, unused-ignore]
    back, again, _ = cv2.calcOpticalFlowPyrLK(now, before, there, None)  # type: ignore[call-overload, unused-ignore]
    returned = np.hypot(*(np.asarray(back).reshape(-1, 2) - points).T) < BACK_PX
    return np.asarray(there).reshape(-1, 2), (seen[:, 0] > 0) & (again[:, 0] > 0) & returned
