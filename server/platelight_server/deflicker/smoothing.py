"""Means that keep to the edges of a guide, weighted: the guided filter of He et al. (2010, fast form 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Array = np.ndarray
_TINY = 1e-6


@dataclass(frozen=True)
class Lines:
    """A picture as a line in its guide around every pixel: picture = slope * guide + offset; both (h, w, 3)."""

    slope: Array
    offset: Array

    def at(self, guide: Array) -> Array:
        """The picture that these lines give for a guide of any size, (H, W, 3)."""
        size = (guide.shape[1], guide.shape[0])
        if guide.shape[:2] == self.slope.shape[:2]:
            return np.asarray(self.slope * guide + self.offset)
        slope, offset = (cv2.resize(x, size, interpolation=cv2.INTER_LINEAR) for x in (self.slope, self.offset))
        return np.asarray(slope * guide + offset)


def fit_lines(picture: Array, guide: Array, weight: Array, radius_px: float, softness: float) -> Lines:
    """The guided filter, channel by channel, of a picture (h, w, 3) float32 by a guide (h, w, 3) float32.

    weight    (h, w) float32, >= 0: how far a pixel speaks; where none speaks, lines come from further around
    softness  variance of the guide, in its unit squared, below which it is taken for flat
    """
    weight = weight[..., None]
    stack = np.concatenate([picture, guide, guide * picture, guide * guide], 2) * weight
    sums = np.concatenate([_box(stack, radius_px), _box(weight, radius_px)], 2)
    # Where hardly anything speaks nearby, what speaks further away does.
    for reach in (3.0, 9.0, 27.0):
        more = np.concatenate([_box(stack, radius_px * reach), _box(weight, radius_px * reach)], 2)
        sums = sums + more * np.float32(1e-2 / reach**2)
    total = sums[..., 12:] + _TINY * (1e-3 + weight.mean())
    mean_p, mean_g, both, squares = (sums[..., i : i + 3] / total for i in (0, 3, 6, 9))
    slope = (both - mean_g * mean_p) / (np.maximum(squares - mean_g * mean_g, 0) + softness)
    offset = mean_p - slope * mean_g
    # Of lines that overlap a pixel, the mean; each by how much speaks for it.
    sure = sums[..., 12:] + _TINY
    mixed = _box(np.concatenate([slope * sure, offset * sure, sure], 2), radius_px)
    return Lines(mixed[..., :3] / mixed[..., 6:], mixed[..., 3:6] / mixed[..., 6:])


def _box(picture: Array, radius_px: float) -> Array:
    side = 2 * max(0, round(min(radius_px, max(picture.shape[:2]) / 2))) + 1
    if side == 1:
        return picture
    found = cv2.blur(picture, (side, side), borderType=cv2.BORDER_REFLECT)
    return np.asarray(found).reshape(picture.shape)
