"""How right the light is: its level, its shape over the foreground, without regard for the pixels' detail."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from .frame import Frame
from .light import FLOOR
from .metric import Gauge, Metric, Setting
from .picture import REGIONS, SCORER

__all__ = ["LightLevel", "RelightCorrelation"]

FLAT_STOPS = 0.02  # a change of light that varies less than this has no shape to correlate
BLUR_PX = 2.0


class LightLevel(Gauge):
    """Errors of log luminance."""

    metrics = (
        Metric(
            "ev_fg",
            "mean |log2((Y_result + .005)/(Y_truth + .005))| over the clip's foreground",
            REGIONS["fg"],
            "lower",
            SCORER,
            "stops",
            0.02,
        ),
        Metric(
            "silog_fg",
            "standard deviation of log2((Y_result + .005)/(Y_truth + .005)) within a frame, mean over frames",
            REGIONS["fg"],
            "lower",
            "Eigen et al. 2014 with lambda = 1",
            "stops",
            0.02,
        ),
    )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._total, self._pixels = 0.0, 0

    def add(self, now: Frame, before: Frame | None) -> None:
        if not now.fg.any():
            return
        stops = np.log2((now.result_luminance + FLOOR) / (now.truth_luminance + FLOOR))[now.fg]
        self._total += float(np.abs(stops).sum(dtype=np.float64))
        self._pixels += stops.size
        self.note("ev_fg", now, float(np.abs(stops).mean()))
        self.note("silog_fg", now, float(stops.std()))

    def values(self) -> Mapping[str, float | None]:
        # Every pixel counts the same, so frames with a larger foreground count more.
        level = self._total / self._pixels if self._pixels else None
        return {"ev_fg": level, "silog_fg": self.mean("silog_fg")}


class RelightCorrelation(Gauge):
    """Whether light falls where it should, whatever its level."""

    metrics = (
        Metric(
            "relight_corr",
            "correlation of result and truth in log2(Y / Y of the plate's foreground), each blurred (sigma 2 px) "
            "inside the matte; 0 where the change is flat; mean of every fourth frame",
            REGIONS["fg"],
            "higher",
            SCORER,
            step=0.02,
        ),
    )
    needs = ("truth", "plate", "matte")

    def add(self, now: Frame, before: Frame | None) -> None:
        if now.at % 4 or not now.fg.any():
            return
        result, truth = (
            _inside(np.log2((y + FLOOR) / (now.plate_luminance + FLOOR)), now.fg)
            for y in (now.result_luminance, now.truth_luminance)
        )
        with np.errstate(invalid="ignore", divide="ignore"):  # a truth without any change has no correlation
            found = np.corrcoef(result, truth)[0, 1] if result.std() > FLAT_STOPS else 0.0
        self.note("relight_corr", now, float(found))


def _inside(picture: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(H, W) blurred with nothing from outside `region` -> its pixels there."""
    weight = region.astype(np.float32)
    blurred = cv2.GaussianBlur((picture * weight).astype(np.float32), (0, 0), BLUR_PX)
    return np.asarray((blurred / np.maximum(cv2.GaussianBlur(weight, (0, 0), BLUR_PX), 1e-3))[region])
