"""The measured statement about one frame, stored in its header so that a resumed job's proof covers all frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..finish.layers import Layers
from ..plates.inputs import FullFrame

# Means are taken on every fourth pixel of every fourth line: 1/16 of the pixels, 3 ms at 4K.
STEP = 4
# The largest half; a value that is not finite differs by this much, as JSON knows no infinity.
HALF_MOST = 65504.0


def frame_proof(full: FullFrame, layers: Layers, channels: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Plain JSON values.

    outside     largest difference between the composite and what lies behind it (the plate where it is kept) where the
                matte is 0 and no shadow falls, linear; `None` where the composite is not delivered
    before, after  mean colour of the foreground before and after, linear, unpremultiplied; `None` where not delivered
    """
    return {
        "outside": _outside(full, channels),
        "repaired": full.repaired,
        "nonfinite": layers.nonfinite,
        "clipped": layers.clipped,
        "largestGainStops": round(layers.largest_gain_stops, 4),
        "largestFill": round(layers.largest_fill, 6),
        "before": _mean(channels, "foreground"),
        "after": _mean(channels, "relit"),
    }


def _outside(full: FullFrame, channels: Mapping[str, np.ndarray]) -> float | None:
    if "R" not in channels:
        return None
    outside = _is_zero(full.matte[0])
    if "shadow.V" in channels:
        outside &= channels["shadow.V"] == 1
    behind = full.plate if full.background is None else full.background
    largest = 0.0
    for plane, name in zip(behind, "RGB", strict=True):
        expected = np.clip(plane, -HALF_MOST, HALF_MOST).astype(np.float16) if plane.dtype != np.float16 else plane
        differs = _differ(channels[name], expected) & outside
        if differs.any():
            difference = np.abs(channels[name][differs].astype(np.float64) - expected[differs])
            largest = max(largest, float(np.nan_to_num(difference, nan=HALF_MOST, posinf=HALF_MOST).max()))
    return largest


def _is_zero(plane: np.ndarray) -> np.ndarray:
    """True where a matte is 0. Half is compared as bits: numpy's own comparison of half is ten times slower."""
    return (plane.view(np.uint16) & 0x7FFF) == 0 if plane.dtype == np.float16 else plane <= 0


def _differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype == b.dtype == np.float16:
        return np.asarray(a.view(np.uint16) != b.view(np.uint16))
    return np.asarray(a.astype(np.float16) != b.astype(np.float16))


def _mean(channels: Mapping[str, np.ndarray], layer: str) -> list[float] | None:
    if f"{layer}.A" not in channels:
        return None
    alpha = channels[f"{layer}.A"][::STEP, ::STEP].sum(dtype=np.float64)
    sums = [channels[f"{layer}.{c}"][::STEP, ::STEP].sum(dtype=np.float64) for c in "RGB"]
    return [round(float(s / alpha), 7) for s in sums] if alpha > 0 else None
