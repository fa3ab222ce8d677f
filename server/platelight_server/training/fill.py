"""A clean plate where nobody filmed one: what is behind the foreground, from other frames, else from around it.

The synthetic-to-real path needs a background without the person in it, or the network learns to copy her (facts §1.2).
The paper does not say how its was made. Here a pixel that is covered in a frame takes the mean of the frames in which
it is not (right for a camera that does not move, soft for one that does); where it always is, a pyramid of normalised
means fills it from its surroundings (push-pull, Gortler et al. 1996). A filmed or painted role `clean` is better.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

__all__ = ["filled"]

_GROWN_PX = 5  # around the matte: soft hair, motion blur, and shadow's core
_LEAST = 1e-6


def filled(plate: torch.Tensor, matte: torch.Tensor) -> torch.Tensor:
    """plate (F, 3, h, w) float32, scene-linear; matte (F, 1, h, w) 0..1 -> the plate, its foreground filled."""
    size = 2 * _GROWN_PX + 1
    covered = (F.max_pool2d(matte, size, stride=1, padding=_GROWN_PX) > 1 / 255).to(plate.dtype)
    free = 1 - covered
    seen = free.sum(0, keepdim=True)
    over_time = (plate * free).sum(0, keepdim=True) / seen.clamp_min(1)
    known = (seen > 0).to(plate.dtype)
    return torch.where(covered > 0, _push_pull(over_time * known, known), plate)


def _push_pull(value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(1, C, h, w) premultiplied by weight (1, 1, h, w) 0..1 -> (1, C, h, w) everywhere, as it was at weight 1."""
    if min(value.shape[-2:]) < 2 or float(weight.min()) >= 1:
        mean = value.sum((-2, -1), keepdim=True) / weight.sum((-2, -1), keepdim=True).clamp_min(_LEAST)
        return torch.where(weight > 0, value / weight.clamp_min(_LEAST), mean.expand_as(value))
    small_value, small_weight = (F.avg_pool2d(one, 2, ceil_mode=True) for one in (value, weight))
    coarse = _push_pull(small_value, small_weight)
    wide = F.interpolate(coarse, value.shape[-2:], mode="bilinear", align_corners=False)
    return value + (1 - weight) * wide
