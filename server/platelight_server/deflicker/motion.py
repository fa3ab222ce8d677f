"""Motion of the source between two frames: optical flow, or vectors that the user gives, and how far to trust it.

Flow is OpenCV's DIS (Kroeger et al. 2016) on log luminance whose local mean is taken out, so that a flash does not look
like motion. A displacement is (h, w, 2) float32 pixels, right and down: what one frame shows at p, the other shows at
p + displacement[p].
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

Array = np.ndarray

# Stops of local contrast that fill the eight bits that DIS takes.
_RANGE_STOPS = 6.0
# Of the shorter side: how far the local mean reaches that is taken out.
_LOCAL = 0.12
# A round trip there and back may miss by this many pixels, and by this share of the way (Sundaram et al. 2010).
_MISS_PX, _MISS_SHARE = 0.7, 0.05
# Of the trust, what is left where the way back leads elsewhere and the contrast agrees all the same: in flat regions a
# place that is missed shows the same light.
_ASTRAY = 0.5
# Grain finer than this (sigma) says nothing about motion.
_GRAIN_PX = 1.0
# A difference of local contrast that counts half.
_CONTRAST_STOPS = 0.8


def contrast(log_luminance: Array) -> Array:
    """Log luminance less grain and local mean: the same under any even light. (h, w) float32 stops -> same."""
    log_luminance = cv2.GaussianBlur(log_luminance, (0, 0), _GRAIN_PX)
    side = 2 * round(min(log_luminance.shape) * _LOCAL / 2) + 1
    return np.asarray(log_luminance - cv2.blur(log_luminance, (side, side), borderType=cv2.BORDER_REPLICATE))


def flow(one: Array, other: Array) -> Array:
    """The displacement from `one` to `other`, both contrasts (h, w) float32 stops. The same bits on any machine with
    this OpenCV: DIS cuts a picture by the number of threads, so it gets one."""
    cv2.setNumThreads(1)
    if min(one.shape) < 16:  # DIS has no pyramid for so few pixels
        return np.zeros((*one.shape, 2), np.float32)
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(dis.calc(_bytes(one), _bytes(other), None), np.float32)


def chained(steps: list[Array]) -> Array:
    """Displacements one after the other, as one. Each (h, w, 2)."""
    whole = steps[0]
    for step in steps[1:]:
        whole = whole + warped(step, whole)
    return whole


def inverted(displacement: Array, rounds: int = 8) -> Array:
    """The way back of a displacement, by fixed-point iteration (Chen et al. 2008). (h, w, 2) -> same."""
    back = -displacement
    for _ in range(rounds):
        back = -warped(displacement, back)
    return back


def warped(picture: Array, displacement: Array) -> Array:
    """What `picture` (h, w[, C]) float32 shows at p + displacement, bilinear, edges repeated."""
    h, w = displacement.shape[:2]
    x = np.arange(w, dtype=np.float32)[None, :] + displacement[..., 0]
    y = np.arange(h, dtype=np.float32)[:, None] + displacement[..., 1]
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    # OpenCV takes at most four channels at once.
    parts = [picture] if channels <= 4 else [picture[..., i : i + 3] for i in range(0, channels, 3)]
    done = [cv2.remap(np.ascontiguousarray(p), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for p in parts]
    found = done[0] if len(done) == 1 else np.concatenate(done, 2)
    return np.asarray(found).reshape(picture.shape)


def trust(there: Array, back: Array, one: Array, other: Array) -> Array:
    """How far a displacement is to be believed, (h, w) float32, 0..1: whether the way back leads home, whether the same
    contrast is found there, and 0 outside the picture.

    there, back  from one frame to the other, and from that one back; one, other are their contrasts
    """
    h, w = one.shape
    x = np.arange(w, dtype=np.float32)[None, :] + there[..., 0]
    y = np.arange(h, dtype=np.float32)[:, None] + there[..., 1]
    inside = (x > -1) & (x < w) & (y > -1) & (y < h)
    returned = warped(back, there)
    missed = ((there + returned) ** 2).sum(-1)
    allowed = _MISS_PX**2 + _MISS_SHARE**2 * ((there**2).sum(-1) + (returned**2).sum(-1))
    differs = (warped(other, there) - one) / _CONTRAST_STOPS
    home = _ASTRAY + (1 - _ASTRAY) * np.exp(-missed / allowed)
    return np.asarray(inside * home / (1 + differs**2) ** 2, np.float32)


def _bytes(local: Array) -> Array:
    return np.clip(local * (255 / _RANGE_STOPS) + 127.5, 0, 255).astype(np.uint8)
