"""Robust means in time of stacks of pictures that lie on one another."""

from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray

# Distances from the median, in standard deviations of the jitter, that count half; and the least jitter, in stops.
_OUTLIER, _STILL_STOPS = 3.0, 0.01
# A trend is believed beyond this ratio of its square to its own variance.
_TREND_DOUBT = 6.0


def robust_mean(values: Array, weights: Array, offsets: Array) -> tuple[Array, Array]:
    """The value at offset 0 of a weighted robust line through `values`, and the sum of weights behind it.

    An M-estimate (Cauchy's weights around the weighted median, scaled by the weighted median jump between frames): a
    step or a lone pop does not leak into the frames around it. The line's slope is used only as far as it stands out
    from its own error, so a moving light is not held back at a shot's ends. How far a frame counts is decided at half
    size.

    values (n, h, w, C), weights (n, h, w), offsets (n,) float32 -> (h, w, C), (h, w)
    """
    h, w = weights.shape[1:]
    small = halved(values), halved(weights[..., None])[..., 0]
    counts, shift = _counts(*small, offsets)
    weights = weights * grown(np.moveaxis(counts, 0, 2), (w, h)).transpose(2, 0, 1)
    total = weights.sum(0)
    mean = np.einsum("nhwc,nhw->hwc", values, weights) / (total[..., None] + 1e-6)
    return mean + grown(shift, (w, h)), total


def _counts(values: Array, weights: Array, offsets: Array) -> tuple[Array, Array]:
    """How far each frame counts, (n, h, w) 0..1, and what the trend adds to the mean, (h, w, C)."""
    middle = weighted_median(values, weights[..., None])
    away = np.sqrt(((values - middle) ** 2).mean(-1))
    # Jitter is how far a frame usually lies from the next one: two levels that alternate are jitter, a step is none.
    jumps = np.sqrt((np.diff(values, axis=0) ** 2).mean(-1, keepdims=True))
    between = np.minimum(weights[1:], weights[:-1])[..., None]
    spread = 1.05 * weighted_median(jumps, between)[..., 0] + _STILL_STOPS
    counts = 1 / (1 + (away / (_OUTLIER * spread)) ** 2)
    w = (weights * counts)[..., None]
    total = w.sum(0) + 1e-6
    tau = offsets[:, None, None, None]
    mean, mean_tau = (w * values).sum(0) / total, (w * tau).sum(0) / total
    moment = (w * (tau - mean_tau) ** 2).sum(0) + 1e-6
    slope = (w * (tau - mean_tau) * (values - mean)).sum(0) / moment
    left = (w * (values - mean - slope * (tau - mean_tau)) ** 2).sum(0) / total + _STILL_STOPS**2
    # A broad look: a trend is a light that moves, which is no matter of single pixels.
    known = total / total.max() if total.max() > 1e-6 else total
    stands_out = broad(slope**2 * moment * known) / (broad(left * known) + 1e-9)
    believed = np.maximum(0, 1 - _TREND_DOUBT / (stands_out + 1e-6))
    return counts, -slope * mean_tau * believed


def weighted_median(values: Array, weights: Array) -> Array:
    """Along the first axis. values (n, h, w, C), weights (n, h, w, 1) -> (h, w, C)."""
    order = np.argsort(values, 0)
    rising = np.cumsum(np.take_along_axis(np.broadcast_to(weights, values.shape), order, 0), 0)
    middle = (rising < 0.5 * rising[-1:]).sum(0, keepdims=True).clip(0, len(values) - 1)
    return np.asarray(np.take_along_axis(np.take_along_axis(values, order, 0), middle, 0)[0])


def halved(stack: Array) -> Array:
    """A stack (n, h, w, C) at half its size."""
    n, h, w, c = stack.shape
    size = (max(1, w // 2), max(1, h // 2))
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], c) for one in stack])


def grown(picture: Array, size: tuple[int, int]) -> Array:
    """A picture (h, w, C) at another size, (width, height)."""
    groups = [picture[..., i : i + 4] for i in range(0, picture.shape[2], 4)]
    grown = [cv2.resize(g, size, interpolation=cv2.INTER_LINEAR).reshape(*size[::-1], -1) for g in groups]
    return np.concatenate(grown, 2)


def broad(picture: Array) -> Array:
    """Mean over a third of the shorter side around each place, (h, w[, C])."""
    side = 2 * (min(picture.shape[:2]) // 6) + 1
    return np.asarray(cv2.blur(picture, (side, side), borderType=cv2.BORDER_REFLECT)).reshape(picture.shape)


__all__ = ["broad", "grown", "halved", "robust_mean", "weighted_median"]
