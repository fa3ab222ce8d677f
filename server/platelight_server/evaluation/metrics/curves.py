"""Curves of a clip's light over time: flicker, and steps where windows join. The proof of a job measures the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

__all__ = ["FLOOR", "flicker", "seam_steps"]

# Added before every logarithm of light, as the scorer of the development set does.
FLOOR = 0.005


def flicker(curve: np.ndarray) -> float | None:
    """(n, C) log2 of light by frame -> thousandths of a stop: the standard deviation of the step from frame to frame.

    None for fewer than two steps: a steady ramp, which two frames are, is no flicker.
    """
    return None if len(curve) < 3 else float(1000 * np.diff(curve, axis=0).std(0).mean())


def seam_steps(numbers: Sequence[int], change: np.ndarray, joins: Collection[int]) -> dict[int, float]:
    """At each join, the step of the change of light less the median step elsewhere, in thousandths of a stop.

    numbers  the frames of `change`, (n, C) log2 of light after over light before
    """
    if len(numbers) < 3 or not joins:
        return {}
    steps = {numbers[i + 1]: float(np.abs(change[i + 1] - change[i]).mean()) for i in range(len(numbers) - 1)}
    elsewhere = [step for frame, step in steps.items() if frame not in joins]
    usual = float(np.median(elsewhere)) if elsewhere else 0.0
    return {frame: 1000 * max(0.0, step - usual) for frame, step in steps.items() if frame in joins}
