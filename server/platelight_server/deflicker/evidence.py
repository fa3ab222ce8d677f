"""What share of a frame's distance from the frames around it is flicker, and what share may be light that moves.

Light that moves takes its time, flicker is new on every frame. Signals are taken for a random walk (the light) with
white noise on it (the flicker): the local level model (Harvey 1989, ch. 4). Both variances follow from the variance
over the window and from the jumps between frames, whose ratio is von Neumann's (1941). The share is that of a Wiener
filter, r / (r + b): r the variance of the flicker, b what the walk adds to the square of a weighted mean's error.
"""

from __future__ import annotations

import numpy as np

from platelight_server.deflicker.robust import broad, grown, halved

Array = np.ndarray

# Square stops that are no evidence of anything: without flicker nothing is taken off.
_NOTHING = 1e-6


def flicker_share(values: Array, weights: Array, offsets: Array) -> Array:
    """(h, w, 1) float32, 0..1; decided at half size, over a third of the picture around each place.

    values (n, h, w, C) float32 stops, brought to the places of offset 0, weights (n, h, w) >= 0, offsets (n,) frames
    """
    height, width = weights.shape[1:]
    values, weights = halved(values), halved(weights[..., None])[..., 0]
    total = weights.sum(0) + 1e-6
    part = weights / total
    mean = np.einsum("nhwc,nhw->hwc", values, part)
    spread = np.einsum("nhw,nhwc->hw", part, (values - mean) ** 2) / values.shape[3]
    between = np.minimum(weights[1:], weights[:-1])
    jumps = (between * (np.diff(values, axis=0) ** 2).mean(-1)).sum(0) / (between.sum(0) + 1e-6) / 2
    squares = (part**2).sum(0)
    in_spread, in_mean = _walk(part, offsets)
    known = total / (total.max() + 1e-9)
    of_all = broad(np.stack([spread, jumps, squares, in_spread, in_mean, np.ones_like(known)], 2) * known[..., None])
    spread, jumps, squares, in_spread, in_mean = np.moveaxis(of_all[..., :5] / (of_all[..., 5:] + 1e-9), 2, 0)
    free = np.maximum(1 - squares, 1e-3)
    spread, in_spread = spread / free, in_spread / free
    # Of steady light the ratio of spread and jumps is 1, but for chance: one standard deviation of it is not believed.
    frames = np.maximum(1 / (squares + 1e-9), 2)
    chance = np.sqrt((frames - 2) / (frames**2 - 1))
    walk = np.maximum(spread - (1 + chance) * jumps, 0) / np.maximum(in_spread - 0.5, 0.25)
    noise = np.maximum(jumps - walk / 2, 0)
    share = noise / (noise + in_mean * walk + _NOTHING)
    return grown(share.astype(np.float32)[..., None], (width, height))


def _walk(part: Array, offsets: Array) -> tuple[Array, Array]:
    """What a random walk of variance 1 a frame adds to the variance over the window, and what to the square of its
    mean's distance from offset 0; part (n, h, w) are the frames' shares. -> twice (h, w)."""
    one, other = np.abs(offsets)[:, None], np.abs(offsets)[None]
    same_side = np.sign(offsets)[:, None] == np.sign(offsets)[None]
    shared = np.where(same_side, np.minimum(one, other), 0).astype(np.float32)
    apart = np.abs(offsets[:, None] - offsets[None]).astype(np.float32)
    in_spread, in_mean = (
        np.einsum("nhw,nhw->hw", part, np.einsum("nm,mhw->nhw", x, part)) for x in (apart / 2, shared)
    )
    return in_spread, in_mean


__all__ = ["flicker_share"]
