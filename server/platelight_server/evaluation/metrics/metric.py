"""What a metric is, as data, and what takes it: a gauge sees the frames of a clip once, in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from .frame import Frame

__all__ = ["Better", "Gauge", "Metric", "Setting"]

Better = Literal["higher", "lower", "nearer 1", "nearer 0", "neither"]


@dataclass(frozen=True)
class Metric:
    """One number about a clip. `step` is the least change of it that counts; `gate` its bounds, either of them open."""

    name: str
    formula: str
    region: str
    better: Better
    source: str
    unit: str = ""
    step: float = 0.0
    gate: tuple[float | None, float | None] | None = None


@dataclass(frozen=True)
class Setting:
    """What gauges are told beside the frames.

    `joins` are the frames where windows of the engine begin; `prompt` and `source_prompt` the texts of the new and the
    old place; `roots` where models are looked for (default: the models folders); `device` where networks run.
    """

    joins: tuple[int, ...] = ()
    prompt: str = ""
    source_prompt: str = ""
    device: str = "cpu"
    roots: tuple[Path, ...] | None = None


class Gauge(ABC):
    """Takes a family of metrics that need the same inputs.

    `needs` names fields of `Frame`; "reference" stands for the truth, or the plate where there is no truth. A gauge
    that `looks_first` sees every frame once before it sees them again in order.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    needs: ClassVar[tuple[str, ...]] = ("truth", "matte")
    models: ClassVar[tuple[str, ...]] = ()  # of the catalogue
    package: ClassVar[str] = ""  # a Python package that is no dependency
    looks_first: ClassVar[bool] = False

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.curves: dict[str, dict[int, float]] = defaultdict(dict)

    @classmethod
    def unavailable(cls, setting: Setting) -> str:
        """Why it cannot be taken with this setting, "" where it can. May read model folders, loads nothing."""
        return ""

    def look(self, frame: Frame) -> None:
        """The first look at a frame, for gauges that ask for it."""
        raise NotImplementedError(f"{type(self).__name__} looks first, and has no look")

    @abstractmethod
    def add(self, now: Frame, before: Frame | None) -> None:
        """Measures a frame; `before` is the one before it, None at the first."""

    def values(self) -> Mapping[str, float | None]:
        """The metrics over the clip: the mean of each curve unless a gauge says otherwise; None without a value."""
        return {metric.name: self.mean(metric.name) for metric in self.metrics}

    def note(self, name: str, frame: Frame, value: float) -> None:
        """Puts a frame's value on a curve; what is not finite is left out."""
        if np.isfinite(value):
            self.curves[name][frame.number] = float(value)

    def mean(self, name: str) -> float | None:
        """The mean of a curve."""
        return float(np.mean(list(self.curves[name].values()))) if self.curves[name] else None
