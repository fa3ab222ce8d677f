"""How far the pixels of a result are from the truth's, frame by frame."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from .frame import Frame
from .light import FLOOR, ciede2000, display, lab, psnr
from .metric import Gauge, Metric, Setting

__all__ = ["ColourDifference", "Flip", "PixelError", "RelitError", "ScaleInvariantError", "Structure", "ssim_map"]

SCORER = "development set, score.py"
REGIONS = {"fg": "foreground (matte > 0.95)", "edge": "edge (soft matte, dilated 2 px)", "full": "whole frame"}
LINEAR_MOST = 16.0
MEDIAN_MOST = 1 << 25  # values that the median over a clip is taken of; of longer clips every nth


def _psnr_disp(region: str) -> Metric:
    formula = "10 log10(1/MSE) of sRGB(clip(0,1)), mean over frames"
    return Metric(f"psnr_disp_{region}", formula, REGIONS[region], "higher", SCORER, "dB", 0.2)


class PixelError(Gauge):
    """PSNR, RMSE and MSE."""

    metrics = (
        *(_psnr_disp(region) for region in REGIONS),
        Metric(
            "psnr_lin_fg",
            "10 log10(1/MSE) of linear light clipped to 0..16, peak 1, mean over frames",
            REGIONS["fg"],
            "higher",
            SCORER,
            "dB",
            0.2,
        ),
        Metric("rmse_disp_fg", "sqrt(MSE) of sRGB, mean over frames", REGIONS["fg"], "lower", "HarmoVid, table 1"),
        Metric("rmse_disp_full", "sqrt(MSE) of sRGB, mean over frames", REGIONS["full"], "lower", "HarmoVid, table 1"),
        Metric("mse_disp_full", "MSE of sRGB, mean over frames", REGIONS["full"], "lower", "PAI-Studio, Cine-Restore"),
    )

    def add(self, now: Frame, before: Frame | None) -> None:
        assert now.truth is not None
        difference = now.result_display - now.truth_display
        for name, region in (("fg", now.fg), ("edge", now.edge), ("full", now.full)):
            self.note(f"psnr_disp_{name}", now, psnr(difference, region))
        linear = np.clip(now.result, 0, LINEAR_MOST) - np.clip(now.truth, 0, LINEAR_MOST)
        self.note("psnr_lin_fg", now, psnr(linear, now.fg))
        squares = (difference**2).mean(-1)
        if now.fg.any():
            self.note("rmse_disp_fg", now, float(np.sqrt(squares[now.fg].mean())))
        self.note("rmse_disp_full", now, float(np.sqrt(squares.mean())))
        self.note("mse_disp_full", now, float(squares.mean()))


class ScaleInvariantError(Gauge):
    """PSNR with the exposure taken out: one gain for the whole clip, the median of the ratios of luminance."""

    metrics = (
        Metric(
            "si_psnr_disp_fg",
            "psnr_disp_fg after one gain k = median((Y_truth + .005)/(Y_result + .005)) over the clip's foreground",
            REGIONS["fg"],
            "higher",
            SCORER,
            "dB",
            0.2,
        ),
        Metric("si_gain_EV", "log2 k", REGIONS["fg"], "nearer 0", SCORER, "stops"),
    )
    looks_first = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._ratios: list[np.ndarray] = []
        self._held, self._every = 0, 1
        self._gain: float | None = None

    def look(self, frame: Frame) -> None:
        truth, result = frame.truth_luminance[frame.fg], frame.result_luminance[frame.fg]
        self._ratios.append(((truth + FLOOR) / (result + FLOOR))[:: self._every])
        self._held += self._ratios[-1].size
        if self._held > MEDIAN_MOST:
            self._ratios = [ratios[::2] for ratios in self._ratios]
            self._held, self._every = sum(ratios.size for ratios in self._ratios), 2 * self._every

    def add(self, now: Frame, before: Frame | None) -> None:
        if self._gain is None and self._held:
            self._gain = float(np.median(np.concatenate(self._ratios)))
            self._ratios = []
        if self._gain is not None:
            self.note("si_psnr_disp_fg", now, psnr(display(now.result * self._gain) - now.truth_display, now.fg))

    def values(self) -> Mapping[str, float | None]:
        gain = None if self._gain is None else float(np.log2(self._gain))
        return {"si_psnr_disp_fg": self.mean("si_psnr_disp_fg"), "si_gain_EV": gain}


class Structure(Gauge):
    """Structural similarity."""

    metrics = (
        Metric(
            "ssim_disp_fg",
            "SSIM of sRGB (Gaussian 11x11, sigma 1.5, C1 = .01^2, C2 = .03^2), mean of channels",
            REGIONS["fg"],
            "higher",
            "Wang et al. 2004; HarmoVid, table 1",
            step=0.01,
        ),
        Metric("ssim_disp_full", "the same", REGIONS["full"], "higher", "Wang et al. 2004; HarmoVid, PAI-Studio"),
    )

    def add(self, now: Frame, before: Frame | None) -> None:
        similar = ssim_map(now.result_display, now.truth_display)
        if now.fg.any():
            self.note("ssim_disp_fg", now, float(similar[now.fg].mean()))
        self.note("ssim_disp_full", now, float(similar.mean()))


def ssim_map(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W, 3) codes 0..1 each -> (H, W), mean over channels. Borders are mirrored."""

    def local(x: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5))

    c1, c2 = 0.01**2, 0.03**2
    mean1, mean2 = local(first), local(second)
    variance1, variance2 = local(first * first) - mean1**2, local(second * second) - mean2**2
    shared = local(first * second) - mean1 * mean2
    above = (2 * mean1 * mean2 + c1) * (2 * shared + c2)
    return np.asarray((above / ((mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2))).mean(-1))


class ColourDifference(Gauge):
    """Colour difference as people see it."""

    metrics = (
        Metric(
            "de2000_fg",
            "mean CIEDE2000 of L*a*b* (D65) of clip(0,1), mean over frames",
            REGIONS["fg"],
            "lower",
            "Sharma et al. 2005; data-and-evaluation.md",
            step=0.5,
        ),
    )

    def add(self, now: Frame, before: Frame | None) -> None:
        assert now.truth is not None
        if now.fg.any():
            first, second = (lab(np.clip(picture[now.fg], 0, 1)) for picture in (now.result, now.truth))
            self.note("de2000_fg", now, float(ciede2000(first, second).mean()))


class Flip(Gauge):
    """FLIP, by its authors' own package."""

    metrics = tuple(
        Metric(
            f"flip_{region}",
            "mean LDR-FLIP of sRGB, every fourth frame",
            text,
            "lower",
            f"Andersson et al. 2020; {SCORER}",
            step=0.01,
        )
        for region, text in REGIONS.items()
    )
    package = "flip-evaluator"

    @classmethod
    def unavailable(cls, setting: Setting) -> str:
        return "" if importlib.util.find_spec("flip_evaluator") else "pip install 'platelight[evaluate]'"

    def add(self, now: Frame, before: Frame | None) -> None:
        if now.at % 4 != 1:
            return
        import flip_evaluator

        answer: Any = flip_evaluator.evaluate(
            now.truth_display, now.result_display, "LDR", inputsRGB=True, applyMagma=False
        )
        errors = np.asarray(answer[0])
        errors = errors[..., 0] if errors.ndim == 3 else errors
        for name, region in (("fg", now.fg), ("edge", now.edge), ("full", now.full)):
            if region.any():
                self.note(f"flip_{name}", now, float(errors[region].mean()))


class RelitError(Gauge):
    """The layer that a compositor grades."""

    metrics = (
        Metric(
            "psnr_disp_relit",
            "psnr of the layer relit (premultiplied) against the truth's foreground layer",
            REGIONS["full"],
            "higher",
            SCORER,
            "dB",
        ),
    )
    needs = ("relit", "truth_foreground")

    def add(self, now: Frame, before: Frame | None) -> None:
        assert now.relit is not None and now.truth_foreground is not None
        difference = display(now.relit[..., :3]) - display(now.truth_foreground)
        self.note("psnr_disp_relit", now, psnr(difference, now.full))
