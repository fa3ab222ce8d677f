"""Measures a clip: the result beside a plain paste, frame by frame, so that memory does not grow with its length."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from platelight.errors import InputError

from .frame import Frame
from .metric import Gauge, Setting
from .registry import METRICS, gauges_of

__all__ = ["Clip", "Report", "compared", "failed_gates", "measure", "paste"]

PASTE_MATTE = 0.02  # under this much matte a premultiplied foreground has no colour of its own


class Clip(Protocol):
    """A clip that is read frame by frame, more than once."""

    @property
    def name(self) -> str: ...

    @property
    def numbers(self) -> Sequence[int]: ...

    def __iter__(self) -> Iterator[Frame]: ...


@dataclass(frozen=True)
class Report:
    """What was measured. `rows` holds the result and, where it can be made, the paste: metric -> value or None.

    `curves` row -> name -> frame -> value; `skipped` metric -> what is missing for it.
    """

    name: str
    frames: tuple[int, ...]
    rows: Mapping[str, Mapping[str, float | None]]
    curves: Mapping[str, Mapping[str, Mapping[int, float]]] = field(repr=False)
    skipped: Mapping[str, str]
    nonfinite: int = 0
    has_truth: bool = True

    @property
    def failed(self) -> list[str]:
        """The gates that the result does not keep. They are for clips without a truth: a truth would not keep all."""
        return [] if self.has_truth else failed_gates(self.rows)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "frames": [self.frames[0], self.frames[-1]],
            "count": len(self.frames),
            "nonfinite": self.nonfinite,
            "rows": {row: dict(values) for row, values in self.rows.items()},
            "better": compared(self.rows),
            "failed": self.failed,
            "skipped": dict(self.skipped),
            "curves": {
                row: {name: {str(frame): value for frame, value in curve.items()} for name, curve in curves.items()}
                for row, curves in self.curves.items()
            },
        }


def measure(
    clip: Clip,
    setting: Setting | None = None,
    only: Collection[str] | None = None,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Takes every metric (or `only` those named) that the clip's inputs and what is installed allow.

    `told` hears of frames done and of how many. Raises `InputError` for a clip of one frame, `RecipeError` for unknown
    names, and what reading the frames raises.
    """
    setting = setting or Setting()
    if len(clip.numbers) < 2:
        raise InputError(f"{clip.name}: expected at least two frames, got {len(clip.numbers)}")
    first = next(iter(clip))
    skipped, kinds = _chosen(first, setting, only)
    rows = ("result", "paste") if paste(first) is not None else ("result",)
    # The paste has no layers of its own.
    gauges = {row: [kind(setting) for kind in kinds if row == "result" or "relit" not in kind.needs] for row in rows}
    looks = any(kind.looks_first for kind in kinds)
    steps = len(clip.numbers) * (2 if looks else 1)
    if looks:
        for at, frame in enumerate(clip):
            for row, shown in _shown(frame, rows).items():
                for gauge in gauges[row]:
                    gauge.look(shown) if gauge.looks_first else None
            told(at + 1, steps)
    nonfinite = 0
    before: dict[str, Frame] = {}
    for at, frame in enumerate(clip):
        nonfinite += frame.nonfinite
        now = _shown(frame, rows)
        for row, shown in now.items():
            for gauge in gauges[row]:
                gauge.add(shown, before.get(row))
        before = now
        told(steps - len(clip.numbers) + at + 1, steps)
    wanted = None if only is None else set(only)
    values = {row: _values(gauges[row], wanted) for row in rows}
    curves = {row: {name: dict(c) for gauge in gauges[row] for name, c in gauge.curves.items()} for row in rows}
    return Report(clip.name, tuple(clip.numbers), values, curves, skipped, nonfinite, first.truth is not None)


def paste(frame: Frame) -> np.ndarray | None:
    """The plate's foreground, unchanged, over the background: what a result is held against. (H, W, 3) or None."""
    if frame.background is None or frame.matte is None or (frame.plate is None and frame.foreground is None):
        return None
    alpha = frame.matte[..., None]
    behind = (1 - alpha) * frame.background
    if frame.foreground is not None:
        return np.asarray(frame.foreground / np.maximum(alpha, PASTE_MATTE) * alpha + behind)
    return np.asarray(frame.plate * alpha + behind)


def compared(rows: Mapping[str, Mapping[str, float | None]]) -> dict[str, list[str]]:
    """The metrics in which the result is better or worse than the paste, by more than the least change that counts."""
    found: dict[str, list[str]] = {"better": [], "worse": []}
    for name, value in rows["result"].items():
        other, metric = rows.get("paste", {}).get(name), METRICS[name]
        if value is None or other is None or not metric.step or metric.better == "neither":
            continue
        gain = _badness(metric.better, other) - _badness(metric.better, value)
        if abs(gain) >= metric.step:
            found["better" if gain > 0 else "worse"].append(name)
    return found


def failed_gates(rows: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """The gates that the result does not keep. `edge_plate` has one only where a paste is dirty: to be cleaner."""
    failed = []
    for name, value in rows["result"].items():
        gate = METRICS[name].gate
        if value is not None and gate is not None and not _within(value, *gate):
            failed.append(name)
    edge, pasted = (rows.get(row, {}).get("edge_plate") for row in ("result", "paste"))
    if edge is not None and pasted is not None and pasted > 0.3 and edge >= pasted - METRICS["edge_plate"].step:
        failed.append("edge_plate")
    return failed


def _within(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _badness(better: str, value: float) -> float:
    if better == "nearer 1":  # of a ratio to the truth: steadier than it is no gain
        return max(value, 1.0)
    return {"higher": -value, "lower": value}.get(better, abs(value))


def _chosen(first: Frame, setting: Setting, only: Collection[str] | None) -> tuple[dict[str, str], list[type[Gauge]]]:
    """What is skipped, by metric, and the gauges that are taken."""
    skipped: dict[str, str] = {}
    taken = []
    for gauge in gauges_of(only):
        lacking = [FLAGS[need] for need in gauge.needs if not first.has(need)]
        reason = f"needs {', '.join(lacking)}" if lacking else gauge.unavailable(setting)
        if not reason:
            taken.append(gauge)
            continue
        for metric in gauge.metrics:
            if only is None or metric.name in only:
                skipped[metric.name] = reason if lacking or ":" in reason else f"needs {reason}"
    return skipped, taken


def _shown(frame: Frame, rows: Sequence[str]) -> dict[str, Frame]:
    """The frame, and the same with the paste for its result, which has no relit layer of its own."""
    shown = {"result": frame}
    pasted = paste(frame) if "paste" in rows else None
    if pasted is not None:
        shown["paste"] = frame.with_result(pasted)
    return shown


def _values(gauges: Sequence[Gauge], wanted: Collection[str] | None) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for gauge in gauges:
        values.update({name: v for name, v in gauge.values().items() if wanted is None or name in wanted})
    return values


# What each input is called on the command line.
FLAGS = {
    "truth": "--truth", "plate": "--plate", "matte": "--matte", "background": "--background",
    "motion": "--motion", "foreground": "--foreground", "truth_foreground": "--truth-foreground",
    "relit": "a layer relit in the result", "reference": "--truth or --plate",
}  # fmt: skip
