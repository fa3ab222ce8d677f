"""The boundary of the foreground: its sharpness, and what of the old background is left in it."""

from __future__ import annotations

import cv2
import numpy as np

from .frame import Frame
from .light import LUMINANCE
from .metric import Gauge, Metric
from .picture import REGIONS

__all__ = ["OldBackground", "Sharpness", "Spill"]

LEAST_PIXELS = 20
BLUR_PX = 5.0


class Sharpness(Gauge):
    """Against the truth's, as a harsh cut-out is the sharpest of all."""

    metrics = (
        Metric(
            "laplacian_edge_log2",
            "log2 of the variance of the Laplacian of sRGB luminance, over the truth's; mean over frames",
            REGIONS["edge"],
            "nearer 0",
            "HarmoVid, Laplacian variance; as a ratio: harmovid-pai-studio.md 1.4",
            "stops",
        ),
        Metric(
            "tenengrad_edge_log2",
            "log2 of the mean of Gx^2 + Gy^2 (Sobel) of sRGB luminance, over the truth's; mean over frames",
            REGIONS["edge"],
            "nearer 0",
            "HarmoVid, Tenengrad; as a ratio: harmovid-pai-studio.md 1.4",
            "stops",
        ),
    )

    def add(self, now: Frame, before: Frame | None) -> None:
        if not now.edge.any():
            return
        result, truth = (_sharpness(picture, now.edge) for picture in (now.result_display, now.truth_display))
        for metric, found, wanted in zip(self.metrics, result, truth, strict=True):
            if found > 0 and wanted > 0:
                self.note(metric.name, now, float(np.log2(found / wanted)))


def _sharpness(code: np.ndarray, region: np.ndarray) -> tuple[float, float]:
    """Laplacian variance and Tenengrad of (H, W, 3) sRGB codes in a region."""
    grey = np.ascontiguousarray(code @ LUMINANCE)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return float(cv2.Laplacian(grey, cv2.CV_32F)[region].var()), float((across**2 + down**2)[region].mean())


class Spill(Gauge):
    """A green screen's light in the edge."""

    metrics = (
        Metric(
            "spill_edge",
            "mean of max(0, G - (R + B)/2) of sRGB, mean over frames",
            REGIONS["edge"],
            "lower",
            "harmovid-pai-studio.md 3",
        ),
    )
    needs = ("matte",)

    def add(self, now: Frame, before: Frame | None) -> None:
        if now.edge.any():
            red, green, blue = np.moveaxis(now.result_display[now.edge], -1, 0)
            self.note("spill_edge", now, float(np.maximum(0, green - (red + blue) / 2).mean()))


class OldBackground(Gauge):
    """How much of the plate's background is left in the colour of the edge."""

    metrics = (
        Metric(
            "edge_plate",
            "share of the plate background's chromaticity in the un-composited edge colour (0 clean, 1 all of it), by "
            "least squares between blurred (sigma 5 px) colours inside and outside",
            "matte 0.3 to 0.9 near both sides; none for hard mattes",
            "nearer 0",
            "development set, score_real.py",
            step=0.02,
        ),
    )
    needs = ("plate", "matte", "background")

    def add(self, now: Frame, before: Frame | None) -> None:
        assert now.matte is not None
        if ((now.matte > 0.3) & (now.matte < 0.9)).sum() > LEAST_PIXELS:
            self.note("edge_plate", now, _old_share(now))


def _old_share(frame: Frame) -> float:
    """NaN where there are too few soft pixels that have both sides near."""
    assert frame.plate is not None and frame.matte is not None and frame.background is not None
    matte = frame.matte
    inside, outside = (matte > 0.97).astype(np.float32), (matte < 0.02).astype(np.float32)
    edge = (matte > 0.3) & (matte < 0.9) & (_blurred(inside) > 0.02) & (_blurred(outside) > 0.02)
    if edge.sum() < LEAST_PIXELS:
        return float("nan")
    if frame.relit is not None:
        colour = frame.relit[..., :3] / np.maximum(frame.relit[..., 3:], 0.05)
    else:
        colour = (frame.result - (1 - matte)[..., None] * frame.background) / np.maximum(matte, 0.05)[..., None]
    old = (_chroma(_near(frame.plate, outside)) - _chroma(_near(frame.plate, inside)))[edge]
    found = (_chroma(np.maximum(colour, 1e-4)) - _chroma(_near(frame.result, inside)))[edge]
    return float((old * found).sum() / ((old * old).sum() + 1e-9))


def _blurred(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), BLUR_PX))


def _near(picture: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(H, W, 3): the colour around each pixel of those that `weight` counts."""
    return np.asarray(_blurred(picture * weight[..., None]) / np.maximum(_blurred(weight), 1e-3)[..., None])


def _chroma(colour: np.ndarray) -> np.ndarray:
    """Colour over its sum: says nothing of rim light or shading."""
    return np.asarray(colour / np.maximum(colour.sum(-1, keepdims=True), 0.02))
