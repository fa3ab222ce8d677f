"""Where a shot is really several, by small pictures."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

__all__ = ["cuts"]

_NEAR = 8  # pictures on either side that say how much this shot moves
_STEP = 0.4  # by how much a cut differs more than the pictures around it do; unrelated pictures differ by about 1
_GRAIN = 0.02  # of code values 0..1: contrast below this is grain, whose changes mean nothing


def cuts(pictures: torch.Tensor) -> tuple[int, ...]:
    """The indices at which another shot begins, from small pictures (F, 3, h, w), code values 0..1.

    The content of two pictures differs by one minus their correlation, so that exposure and fades do not count. A cut
    must stand out from the changes around it, and still be there one picture later and earlier: a flash is none.
    """
    small = F.adaptive_avg_pool2d(pictures.float(), (18, 32)).flatten(1)
    next_one = [_difference(small[i - 1], small[i]) for i in range(1, len(small))]
    found = []
    for i in range(1, len(small)):
        across = [next_one[i - 1]]
        across += [_difference(small[i - 1], small[i + 1])] if i + 1 < len(small) else []
        across += [_difference(small[i - 2], small[i])] if i >= 2 else []
        around = sorted(next_one[max(0, i - 1 - _NEAR) : i - 1] + next_one[i : i + _NEAR])
        usual = around[len(around) // 2] if around else 0.0
        if min(across) > usual + _STEP:
            found.append(i)
    return tuple(found)


def _difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """1 - correlation of two pictures, 0..2; 0 for two flat ones."""
    a, b = a - a.mean(), b - b.mean()
    floor = _GRAIN**2
    products = [float((x * y).mean()) + floor for x, y in ((a, b), (a, a), (b, b))]
    return 1 - products[0] / math.sqrt(products[1] * products[2])
