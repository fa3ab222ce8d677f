"""How far the two relighting stages go, as noise levels.

The paper gives shares of the steps (Sec. 4: T0 = T1 = 0.7 T strong, 0.4 T weak, of T = 20). The same share means other
noise on another schedule: 0.7 T leaves a signal of 0.236 on CogVideoX-5b and 0.137 on CogVideoX-2b. A preset is
therefore the ratio of signal to noise that the share has on the paper's own models, and each schedule starts at its
rung nearest to it. A ratio of infinity (share 0) leaves the stage out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PRESETS", "Preset", "first_step", "ratio_of_share"]


@dataclass(frozen=True)
class Preset:
    """Signal-to-noise ratios at which SDEdit starts: `light` (T0, stage 2), `consistency` (T1, stage 3)."""

    light: float
    consistency: float


# (share of steps, ratio): IC-Light's sampler (20 Karras steps, 1 / sigma at the start), CogVideoX-5b's (20 trailing).
_LIGHT = ((0.0, math.inf), (0.4, 1.2816), (0.65, 0.2437), (0.7, 0.1824), (1.0, 0.0))
_CONSISTENCY = ((0.0, math.inf), (0.4, 0.8049), (0.5, 0.5651), (0.65, 0.3087), (0.7, 0.2429), (1.0, 0.0))

PRESETS = {"strong": Preset(0.1824, 0.2429), "weak": Preset(1.2816, 0.8049)}


def ratio_of_share(share: float, stage: str) -> float:
    """The ratio that a share of the steps (0..1) has on the paper's models; `stage` is "light" or "consistency".

    Between the shares above, the share is interpolated over the noise's part of the whole, which runs from 0 to 1.
    """
    table = _LIGHT if stage == "light" else _CONSISTENCY
    for (low, low_ratio), (high, high_ratio) in zip(table, table[1:], strict=False):
        if low <= share <= high:
            part = (share - low) / (high - low)
            noise = (1 - part) / (1 + low_ratio) + part / (1 + high_ratio)
            return math.inf if noise == 0 else 1 / noise - 1
    raise ValueError(f"share: expected 0 to 1, got {share:g}")


def first_step(ratios: Sequence[float], wanted: float) -> int:
    """The index of the rung (noisiest first) at which SDEdit starts: the nearest in log ratio; len(ratios) for none."""
    if math.isinf(wanted):
        return len(ratios)
    if wanted <= 0:
        return 0
    distances = [abs(math.log(max(ratio, 1e-9)) - math.log(wanted)) for ratio in ratios]
    return distances.index(min(distances))
