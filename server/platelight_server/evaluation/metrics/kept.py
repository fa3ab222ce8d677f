"""What a result has to keep of plate and background where nobody knows the truth: gates, not plausibility."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from .curves import flicker
from .frame import Frame, disk, warp
from .light import LUMINANCE, display, lab
from .metric import Gauge, Metric, Setting
from .temporal import light_change, ratio

__all__ = ["BackgroundKept", "ColourDistance", "DetailKept", "LayersAgree", "PlateSteadiness"]

SCORER = "development set, score_real.py"
INSIDE = "eroded matte (over 0.98, 3 px)"
LEAST_PIXELS = 50


class BackgroundKept(Gauge):
    """Outside the matte nothing changes, unless a shadow falls there."""

    metrics = (
        Metric(
            "bg_psnr",
            "PSNR of sRGB against the background, at most 99; mean over frames",
            "matte under 0.004, eroded 3 px",
            "higher",
            SCORER,
            "dB",
            gate=(60.0, None),
        ),
        Metric(
            "bg_equal",
            "share of values equal to the background's in half precision, mean over frames",
            "matte exactly 0, eroded 3 px",
            "higher",
            SCORER,
        ),
    )
    needs = ("matte", "background")

    def add(self, now: Frame, before: Frame | None) -> None:
        assert now.matte is not None and now.background is not None
        outside = cv2.dilate((now.matte > 0.004).astype(np.uint8), disk(3)) == 0
        if not outside.any():
            return
        squares = (now.result_display - display(now.background))[outside] ** 2
        self.note("bg_psnr", now, min(99.0, float(-10 * np.log10(squares.mean() + 1e-12))))
        untouched = cv2.dilate((now.matte > 0).astype(np.uint8), disk(3)) == 0
        if untouched.any():
            with np.errstate(over="ignore"):  # above the largest half both are infinite, and equal
                found, wanted = (x[untouched].astype(np.float16) for x in (now.result, now.background))
            self.note("bg_equal", now, float((found == wanted).mean()))


class DetailKept(Gauge):
    """Grain, pores and hair are the plate's."""

    metrics = (
        Metric(
            "detail_corr",
            "correlation of log2(Y + .01) less its blur (sigma 2.5 px), result and plate; mean over frames",
            INSIDE,
            "higher",
            SCORER,
            gate=(0.97, None),
        ),
        Metric(
            "detail_gain",
            "standard deviation of the same, over the plate's (under 1 softened, over 1 noise or sharpening)",
            INSIDE,
            "nearer 1",
            SCORER,
            gate=(0.8, 1.25),
        ),
    )
    needs = ("plate", "matte")

    def add(self, now: Frame, before: Frame | None) -> None:
        inside = _inside(now)
        if inside.sum() <= LEAST_PIXELS:
            return
        assert now.plate is not None
        plate, result = _high(now.plate)[inside], _high(now.result)[inside]
        if plate.std() and result.std():
            self.note("detail_corr", now, float(np.corrcoef(plate, result)[0, 1]))
        self.note("detail_gain", now, float(result.std() / (plate.std() + 1e-9)))


class PlateSteadiness(Gauge):
    """No flicker that the plate has not."""

    metrics = (
        Metric(
            "plate_warp_ratio",
            "warp error of sRGB along the plate's motion (DIS flow unless given), over the plate's own",
            INSIDE,
            "nearer 1",
            f"{SCORER}, warp_ratio",
            step=0.03,
            gate=(None, 1.15),
        ),
        Metric(
            "plate_flicker_mEV",
            "std over time of the step from frame to frame of log2((mean_result + .005)/(mean_plate + .005))",
            INSIDE,
            "lower",
            f"{SCORER}, flicker_mEV",
            "mEV",
            2.0,
            (None, 20.0),
        ),
    )
    needs = ("plate", "matte")

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._errors: list[tuple[float, float]] = []
        self._change: list[np.ndarray] = []

    def add(self, now: Frame, before: Frame | None) -> None:
        assert now.plate is not None and now.matte is not None
        inside = _inside(now)
        if inside.sum() > LEAST_PIXELS:
            self._change.append(light_change(now.result, now.plate, inside))
            self.note("light_change", now, float(self._change[-1].mean()))
        if before is None:
            return
        assert before.matte is not None
        flow = now.flow(before, "plate")
        seen = inside & (warp(before.matte, flow) > 0.98)
        if seen.sum() > LEAST_PIXELS:
            found = _moved(now.result_display, before.result_display, flow, seen)
            wanted = _moved(now.plate_display, before.plate_display, flow, seen)
            self._errors.append((found, wanted))
            self.note("plate_warp_ratio", now, ratio(found, wanted))

    def values(self) -> Mapping[str, float | None]:
        steady = 0.0 if len(self._change) == 2 else flicker(np.array(self._change))
        error = ratio(*np.array(self._errors).mean(0)) if self._errors else None
        return {"plate_warp_ratio": error, "plate_flicker_mEV": steady}


class ColourDistance(Gauge):
    """Whether anything was relit at all."""

    metrics = (
        Metric(
            "chroma_dist",
            "distance in a*b* between the means over the clip of foreground and background, of clip(0,1)",
            INSIDE,
            "neither",
            SCORER,
        ),
    )
    needs = ("matte", "background")

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._means: list[np.ndarray] = []
        self._behind, self._pixels, self._passed = np.zeros(2), 0, 0

    def add(self, now: Frame, before: Frame | None) -> None:
        assert now.background is not None
        inside = _inside(now)
        if inside.sum() > LEAST_PIXELS:
            self._means.append(_ab(now.result[inside].mean(0)[None])[0])
        # Every 17th pixel of the clip, as if all frames lay behind each other.
        pixels = now.background.reshape(-1, 3)
        chosen = _ab(pixels[-self._passed % 17 :: 17])
        self._passed += len(pixels)
        self._behind += chosen.sum(0, dtype=np.float64)
        self._pixels += len(chosen)

    def values(self) -> Mapping[str, float | None]:
        if not self._means:
            return {"chroma_dist": None}
        return {"chroma_dist": float(np.linalg.norm(np.mean(self._means, 0) - self._behind / self._pixels))}


class LayersAgree(Gauge):
    """The composite is what its layers make."""

    metrics = (
        Metric(
            "layer_diff",
            "max |relit + (1 - A) background - composite| / max(1, composite), linear, over the clip",
            "whole frame",
            "lower",
            SCORER,
        ),
    )
    needs = ("relit", "background")

    def add(self, now: Frame, before: Frame | None) -> None:
        assert now.relit is not None and now.background is not None
        made = now.relit[..., :3] + (1 - now.relit[..., 3:]) * now.background
        self.note("layer_diff", now, float((np.abs(made - now.result) / np.maximum(now.result, 1)).max()))

    def values(self) -> Mapping[str, float | None]:
        return {"layer_diff": max(self.curves["layer_diff"].values(), default=None)}


def _inside(frame: Frame) -> np.ndarray:
    assert frame.matte is not None
    return np.asarray(cv2.erode((frame.matte > 0.98).astype(np.uint8), disk(3), borderValue=1) > 0)


def _high(picture: np.ndarray) -> np.ndarray:
    stops = np.log2(np.maximum(picture @ LUMINANCE, 0) + 0.01).astype(np.float32)
    return np.asarray(stops - cv2.GaussianBlur(stops, (0, 0), 2.5))


def _moved(now: np.ndarray, before: np.ndarray, flow: np.ndarray, seen: np.ndarray) -> float:
    return float(np.abs(now - warp(before, flow)).mean(-1)[seen].mean() / (now[seen].mean() + 1e-3))


def _ab(light: np.ndarray) -> np.ndarray:
    return lab(np.clip(light, 0, 1))[..., 1:]
