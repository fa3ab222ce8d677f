"""How long Blender's main thread is away, and whose the time is: measured inside a Blender with windows.

A timer beats as often as Blender lets it. A *stall* is the time between two beats: nothing of Blender's interface moves
in it. What the extension does in a stall is timed where Blender calls it: the pump's turn and its panels' drawing. The
rest is Blender's own. The extension's time is told on the clock and as the thread's own seconds: on a machine that
others work on, too, the clock runs while the thread waits for a core.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import bpy

BEAT_S = 0.005
LISTED_MS = 60.0  # stalls from here on are listed one by one
Span = tuple[float, float, float, str]  # begin, end, seconds of the thread, what


@dataclass
class Watch:
    """The beats since `start`, and the spans in which the extension ran."""

    beats: list[float] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    collections_ms: list[float] = field(default_factory=list)
    _opened: dict[str, tuple[float, float]] = field(default_factory=dict)
    _hooked: list[tuple[Any, Callable[..., None], Callable[..., None]]] = field(default_factory=list)
    _pump: Any = None

    def start(self, module: str = "") -> Watch:
        """Begins to beat. `module` is the extension's package; without one Blender alone is watched."""
        gc.callbacks.append(self._collected)
        self._beating = self._beat  # a bound method is another object each time it is asked for
        bpy.app.timers.register(self._beating, first_interval=0.0, persistent=True)
        if module:
            self._hook(module)
        return self

    def stop(self) -> dict[str, Any]:
        """Ends it, and says what was seen; milliseconds."""
        bpy.app.timers.unregister(self._beating)
        gc.callbacks.remove(self._collected)
        for cls, before, after in self._hooked:
            cls.remove(before)
            cls.remove(after)
        gaps = list(zip(self.beats, self.beats[1:], strict=False))
        lengths = sorted((b - a) * 1000 for a, b in gaps)
        told = [self._told(a, b) for a, b in gaps]
        return {
            "seconds": round(self.beats[-1] - self.beats[0], 2) if self.beats else 0,
            "stall": summary(lengths),
            "own": round(max((one["own"] for one in told), default=0.0), 1),
            "own_thread": round(max((one["own_thread"] for one in told), default=0.0), 1),
            "turn": summary(sorted((b - a) * 1000 for a, b, _, what in self.spans if what == "turn")),
            "turn_thread": summary(sorted(worked * 1000 for _, _, worked, what in self.spans if what == "turn")),
            "panels_thread": summary(sorted(worked * 1000 for _, _, worked, what in self.spans if what == "panels")),
            "collection": summary(sorted(self.collections_ms)),
            "stalls": [one for one in told if one["ms"] >= LISTED_MS],
        }

    def _beat(self) -> float:
        while self._pump is not None and self._pump.turns:
            self.spans.append((*self._pump.turns.popleft(), "turn"))
        self.beats.append(time.perf_counter())
        return BEAT_S

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        """Python's own collection of garbage, all add-ons' together: whoever runs then pays for it."""
        if phase == "start":
            self._opened["collection"] = time.perf_counter(), time.thread_time()
        elif threading.current_thread() is threading.main_thread():
            begin, _ = self._opened["collection"]
            self.collections_ms.append((time.perf_counter() - begin) * 1000)

    def _told(self, begin: float, end: float) -> dict[str, Any]:
        inside = [
            (min(b, end) - max(a, begin), worked, what) for a, b, worked, what in self.spans if a < end and b > begin
        ]
        parts: dict[str, float] = {}
        for length, _, what in inside:
            parts[what] = round(parts.get(what, 0.0) + length * 1000, 1)
        return {
            "at_s": round(begin - self.beats[0], 2),
            "ms": round((end - begin) * 1000, 1),
            "own": round(sum(length for length, _, _ in inside) * 1000, 1),
            "own_thread": round(sum(worked for _, worked, _ in inside) * 1000, 1),
            **parts,
        }

    def _hook(self, module: str) -> None:
        """The pump notes its turns itself; panels get a first and a last drawing."""
        self._pump = import_module(f"{module}.pump")
        self._pump.turns.clear()
        for cls in import_module(f"{module}.panels").CLASSES:
            if issubclass(cls, bpy.types.Panel):
                self._hook_panel(cls)

    def _hook_panel(self, cls: Any) -> None:
        name = cls.__name__

        def before(panel: object, context: object) -> None:
            self._opened[name] = time.perf_counter(), time.thread_time()

        def after(panel: object, context: object) -> None:
            begin, worked = self._opened.get(name, (time.perf_counter(), time.thread_time()))
            self.spans.append((begin, time.perf_counter(), time.thread_time() - worked, "panels"))

        cls.prepend(before)
        cls.append(after)
        self._hooked.append((cls, before, after))


def at(sorted_values: list[float], share: float) -> float:
    """The value below which this share of them lies."""
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))] if sorted_values else 0.0


def summary(sorted_values: list[float]) -> dict[str, Any]:
    """How many there are, and the value in the middle, near the end and at the end."""
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {"n": len(sorted_values)} | {name: round(at(sorted_values, share), 2) for name, share in shares.items()}
