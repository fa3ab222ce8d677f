"""Planes as half float: the policy for values that half cannot hold, and the count of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

HALF_MAX = 65504.0


@dataclass
class Repairs:
    """How many delivered values were not numbers (became 0), and how many were clamped to ±65504."""

    nonfinite: int = 0
    clipped: int = 0


def repaired(x: torch.Tensor, repairs: Repairs | None = None) -> torch.Tensor:
    """`x` itself where every value fits half, else a copy with NaN as 0 and the rest within ±65504, counted.

    Any shape float32. Infinities count as not finite and become ±65504. One pass where nothing is wrong.
    """
    if x.numel() == 0:
        return x
    low, high = torch.aminmax(x)
    if float(low) >= -HALF_MAX and float(high) <= HALF_MAX:  # False for NaN, which aminmax hands on
        return x
    if repairs is not None:
        finite = torch.isfinite(x)
        repairs.nonfinite += int((~finite).sum())
        repairs.clipped += int((finite & (x.abs() > HALF_MAX)).sum())
    return torch.nan_to_num(x, nan=0.0, posinf=HALF_MAX, neginf=-HALF_MAX).clamp(-HALF_MAX, HALF_MAX)


def sound(x: torch.Tensor, repairs: Repairs | None = None) -> torch.Tensor:
    """`repaired` for a picture as read, half or float32: half is looked at as bits, which is several times faster."""
    if x.dtype != torch.float16:
        return repaired(x.float(), repairs)
    magnitude = x.contiguous().view(torch.int16) & 0x7FFF
    if magnitude.numel() == 0 or int(magnitude.amax()) < 0x7C00:  # the exponent of Inf and NaN
        return x
    if repairs is not None:
        repairs.nonfinite += int((magnitude >= 0x7C00).sum())
    return torch.nan_to_num(x, nan=0.0, posinf=HALF_MAX, neginf=-HALF_MAX)
