"""The arithmetic that metrics share: display codes, luminance, PSNR, colour difference."""

from __future__ import annotations

import numpy as np
import torch

from ...color.encoding import srgb_encode
from .curves import FLOOR

__all__ = ["FLOOR", "LUMINANCE", "ciede2000", "display", "lab", "psnr"]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec.709
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    np.float32,
)
LEAST_ERROR = 1e-10  # caps PSNR at 100 dB


def display(light: np.ndarray) -> np.ndarray:
    """Scene-linear Rec.709 of any shape -> sRGB codes 0..1 of clip(0, 1), float32."""
    return np.asarray(srgb_encode(torch.from_numpy(np.ascontiguousarray(light, np.float32))).numpy())


def psnr(difference: np.ndarray, region: np.ndarray) -> float:
    """Peak 1. (H, W, 3), (H, W) bool -> dB, at most 100; NaN where the region is empty."""
    if not region.any():
        return float("nan")
    return float(-10 * np.log10(max((difference**2).mean(-1)[region].mean(), LEAST_ERROR)))


def lab(light: np.ndarray) -> np.ndarray:
    """(..., 3) linear Rec.709 -> CIE L*a*b* under D65, (..., 3)."""
    t = np.maximum(light @ _XYZ.T / _XYZ.sum(1), 0)
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def ciede2000(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Colour difference of two L*a*b* arrays (..., 3) -> (...). Sharma, Wu and Dalal 2005, kL = kC = kH = 1."""
    l1, a1, b1 = np.moveaxis(np.asarray(first, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(second, np.float64), -1, 0)
    mean7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(mean7 / (mean7 + 25.0**7)))
    c1, c2 = np.hypot((1 + g) * a1, b1), np.hypot((1 + g) * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, (1 + g) * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    coloured = c1 * c2 > 0
    turn = np.where(coloured, (h2 - h1 + 180) % 360 - 180, 0.0)
    turn = np.where((turn == -180) & (h2 > h1), 180.0, turn)  # opposite hues: the difference keeps its sign
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)
    apart = np.abs(h1 - h2) > 180
    mean_hue = np.where(coloured, (h1 + h2) / 2 + np.where(apart, np.where(h1 + h2 < 360, 180, -180), 0), h1 + h2)
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    t = 1 - 0.17 * _cos(mean_hue - 30) + 0.24 * _cos(2 * mean_hue)
    t = t + 0.32 * _cos(3 * mean_hue + 6) - 0.20 * _cos(4 * mean_hue - 63)
    sl = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    sc, sh = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    rotation = 30 * np.exp(-(((mean_hue - 275) / 25) ** 2))
    rt = -2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)) * np.sin(np.radians(2 * rotation))
    dl, dc, dh = (l2 - l1) / sl, (c2 - c1) / sc, hue / sh
    return np.asarray(np.sqrt(dl**2 + dc**2 + dh**2 + rt * dc * dh))


def _cos(degrees: np.ndarray) -> np.ndarray:
    return np.asarray(np.cos(np.radians(degrees)))
