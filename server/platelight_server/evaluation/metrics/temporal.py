"""How steady a result is, against the truth or the plate, along the motion of the shot."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .curves import flicker, seam_steps
from .frame import FOREGROUND, Frame, warp
from .light import FLOOR
from .metric import Gauge, Metric, Setting
from .picture import REGIONS, SCORER, ssim_map

__all__ = [
    "Flicker",
    "LightStability",
    "LogRatioError",
    "Seam",
    "TemporalSimilarity",
    "WarpError",
    "light_change",
    "ratio",
]

NOTHING = 1e-9
UNCOVERED = 0.15  # of a code: where the truth itself differs by more from its motion, something came into view


class Flicker(Gauge):
    """Of the foreground's mean colour."""

    metrics = (
        Metric(
            "flicker_mEV",
            "std over time of the step from frame to frame of log2((mean_result + .005)/(mean_truth + .005)), mean of "
            "channels",
            REGIONS["fg"],
            "lower",
            SCORER,
            "mEV",
            2.0,
        ),
    )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._change: list[np.ndarray] = []

    def add(self, now: Frame, before: Frame | None) -> None:
        assert now.truth is not None
        if not now.fg.any():
            return
        self._change.append(light_change(now.result, now.truth, now.fg))
        self.note("light_result", now, float(_stops(now.result, now.fg).mean()))
        self.note("light_truth", now, float(_stops(now.truth, now.fg).mean()))

    def values(self) -> Mapping[str, float | None]:
        # Two frames have one step, whose deviation is 0; the scorer says so too.
        return {"flicker_mEV": 0.0 if len(self._change) == 2 else flicker(np.array(self._change))}


class Seam(Gauge):
    """The step in light where windows of an engine join."""

    metrics = (
        Metric(
            "seam_mEV",
            "the largest step at a join of log2(mean_result/mean_reference), less the median step elsewhere",
            REGIONS["fg"],
            "lower",
            "the proof of Platelight",
            "mEV",
            2.0,
        ),
    )
    needs = ("reference", "matte")

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._numbers: list[int] = []
        self._change: list[np.ndarray] = []

    @classmethod
    def unavailable(cls, setting: Setting) -> str:
        return "" if setting.joins else "--joins"

    def add(self, now: Frame, before: Frame | None) -> None:
        if now.fg.any():
            self._numbers.append(now.number)
            self._change.append(light_change(now.result, now.reference, now.fg))

    def values(self) -> Mapping[str, float | None]:
        steps = seam_steps(self._numbers, np.array(self._change), self.setting.joins)
        return {"seam_mEV": max(steps.values(), default=None)}


class WarpError(Gauge):
    """What moves that should not, by motion vectors or flow."""

    metrics = (
        Metric(
            "warp_err",
            "mean |I_t - warp(I_t-1)| / (mean I_t + .001) of sRGB where truth and matte stay in view, mean over frames",
            REGIONS["fg"],
            "lower",
            SCORER,
        ),
        Metric("warp_ratio", "warp_err over that of the truth", REGIONS["fg"], "nearer 1", SCORER, step=0.03),
    )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._errors: list[tuple[float, float]] = []

    def add(self, now: Frame, before: Frame | None) -> None:
        if before is None:
            return
        flow = now.flow(before, "truth")
        truth = np.abs(now.truth_display - warp(before.truth_display, flow)).mean(-1)
        seen = _both(now, before, flow) & (truth < UNCOVERED)
        if not seen.any():
            return
        result = np.abs(now.result_display - warp(before.result_display, flow)).mean(-1)
        errors = (
            float(result[seen].mean() / (now.result_display[seen].mean() + 1e-3)),
            float(truth[seen].mean() / (now.truth_display[seen].mean() + 1e-3)),
        )
        self._errors.append(errors)
        self.note("warp_err", now, errors[0])
        self.note("warp_ratio", now, ratio(*errors))

    def values(self) -> Mapping[str, float | None]:
        if not self._errors:
            return {"warp_err": None, "warp_ratio": None}
        result, truth = np.array(self._errors).mean(0)
        return {"warp_err": float(result), "warp_ratio": ratio(result, truth)}


class LogRatioError(Gauge):
    """Unsteadiness of the change of light itself: what a moving texture does not excuse."""

    metrics = (
        Metric(
            "log_ratio_warp_mEV",
            "mean |L_t - warp(L_t-1)|, L = log2((Y_result + .005)/(Y + .005)) with Y of the plate's "
            "foreground, mean over frames",
            REGIONS["fg"],
            "lower",
            "harmovid-pai-studio.md 3",
            "mEV",
        ),
    )
    needs = ("plate", "matte")

    def add(self, now: Frame, before: Frame | None) -> None:
        if before is None:
            return
        flow = now.flow(before, "plate")
        seen = _both(now, before, flow)
        if seen.any():
            moved = np.abs(_change(now) - warp(_change(before), flow))[seen]
            self.note("log_ratio_warp_mEV", now, 1000 * float(moved.mean()))


class TemporalSimilarity(Gauge):
    """Temporal consistency that needs no CLIP."""

    metrics = (
        Metric(
            "temporal_ssim_fg",
            "SSIM of a frame with the one before it, brought to its place by motion, mean over frames",
            REGIONS["fg"],
            "higher",
            "stands in for AnyPortal's Tem-Con where there is no CLIP",
            step=0.01,
        ),
    )
    needs = ("reference", "matte")

    def add(self, now: Frame, before: Frame | None) -> None:
        if before is None:
            return
        flow = now.flow(before, "plate" if now.truth is None else "truth")
        seen = _both(now, before, flow)
        if seen.any():
            similar = ssim_map(now.result_display, warp(before.result_display, flow))
            self.note("temporal_ssim_fg", now, float(similar[seen].mean()))


class LightStability(Gauge):
    """Hi-Light's score of bright pixels over time."""

    metrics = (
        Metric(
            "light_stability",
            "mean of exp(-k mean|ds|/(max s - min s)) for s = mean of luma over 125, their number, step of that mean; "
            "k = 20, 20, 40",
            REGIONS["full"],
            "higher",
            "Hi-Light 2026, light stability score; luma is that of sRGB luminance",
        ),
    )
    needs = ()
    BRIGHT = 125

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._bright: list[tuple[float, float]] = []

    def add(self, now: Frame, before: Frame | None) -> None:
        luma = now.grey("result")
        bright = luma > self.BRIGHT
        number = int(np.count_nonzero(bright))
        self._bright.append((float(luma[bright].mean()) if number else 0.0, float(number)))

    def values(self) -> Mapping[str, float | None]:
        if len(self._bright) < 4 or not any(number for _, number in self._bright):
            return {"light_stability": None}
        mean, number = np.array(self._bright).T
        scores = [_steady(mean, 20), _steady(number, 20), _steady(np.diff(mean), 40)]
        return {"light_stability": float(np.mean(scores))}


def _steady(signal: np.ndarray, k: float) -> float:
    span = float(np.ptp(signal))
    return float(np.exp(-k * np.abs(np.diff(signal)).mean() / span)) if span else 1.0


def light_change(result: np.ndarray, reference: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(3,) log2 of the mean colour of a region over that of another picture; below black counts as black."""
    after, before = (np.maximum(picture[region].mean(0), 0) + FLOOR for picture in (result, reference))
    return np.asarray(np.log2(after / before))


def _stops(picture: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(3,) log2 of the mean colour of a region."""
    return np.asarray(np.log2(np.maximum(picture[region].mean(0), 0) + FLOOR))


def _change(frame: Frame) -> np.ndarray:
    plate = np.maximum(frame.plate_luminance, 0)
    return np.asarray(np.log2((frame.result_luminance + FLOOR) / (plate + FLOOR)))


def ratio(result: float, wanted: float) -> float:
    """An error over another; 1 where both are nothing, and very large where only the other is."""
    return float((result + NOTHING) / (wanted + NOTHING))


def _both(now: Frame, before: Frame, flow: np.ndarray) -> np.ndarray:
    """(H, W) bool: foreground now, and where the same pixel was before."""
    assert before.matte is not None
    return np.asarray(now.fg & (warp(before.matte, flow) > FOREGROUND))
