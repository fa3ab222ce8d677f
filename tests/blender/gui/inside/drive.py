"""Runs steps inside a Blender with windows: a generator, turned by a timer, so that Blender lives between two steps.

A step yields seconds to wait, or a condition to wait for. What it finds goes into `report`, which is written as JSON
when the steps have ended, whatever ended them; then Blender quits.
"""

from __future__ import annotations

import json
import subprocess
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import bpy

STEP_S = 0.005
PATIENCE_S = 30.0  # for a condition that a step yields
Steps = Iterator[float | Callable[[], object]]


class Failed(Exception):
    """What a step found not to hold, in one sentence."""


class Drive:
    """The steps under way."""

    def __init__(self, folder: Path, steps: Callable[[Drive], Steps], options: dict[str, Any]) -> None:
        self.folder, self.options = folder, options
        self.report: dict[str, Any] = {"blender": bpy.app.version_string, "held": []}
        self._steps = steps(self)
        self._until: Callable[[], object] | None = None
        self._end = 0.0
        self.says: Callable[[], Iterable[str]] = tuple  # what the extension's panel says

    def start(self) -> None:
        """Begins with Blender's next turn."""
        bpy.app.timers.register(self._turn, first_interval=0.5, persistent=True)

    def holds(self, what: str, true: object, found: object = "") -> None:
        """Notes that something holds; raises `Failed` where it does not."""
        if not true:
            raise Failed(f"{what}: does not hold" + (f", found {found}" if found != "" else ""))
        self.report["held"].append(what)
        print(f"held: {what}", flush=True)

    def wait(self, what: str, true: Callable[[], object], within_s: float = 60.0) -> Steps:
        """Steps that wait for something to hold; `yield from` them."""
        end = time.monotonic() + within_s
        while not true():
            if time.monotonic() > end:
                raise Failed(f"{what}: not within {within_s:g} s; the panel says: {' '.join(self.says())}")
            yield STEP_S
        self.holds(what, True)

    def ask(self, wish: str) -> Steps:
        """Has the runner do something (stop the server, start it), and waits until it is done."""
        asked, done = self.folder / "wish", self.folder / "granted"
        done.unlink(missing_ok=True)
        asked.with_suffix(".new").write_text(wish)
        asked.with_suffix(".new").rename(asked)
        yield from self.wait(wish, done.exists, 60.0)

    def picture(self, name: str) -> Steps:
        """A picture of the screen, taken by ImageMagick: Blender's own is black under a software display."""
        yield 0.6
        target = self.folder / f"{name}.png"
        subprocess.run(["import", "-window", "root", str(target)], check=True, timeout=30)

    def _turn(self) -> float | None:
        try:
            if self._until is not None and not self._until():
                if time.monotonic() > self._end:
                    raise Failed(f"step {self._steps.gi_frame.f_lineno}: waited {PATIENCE_S:g} s in vain")
                return STEP_S
            self._until = None
            told = next(self._steps)
        except StopIteration:
            return self._over()
        except Exception as error:  # the border of the steps: the report says what went wrong
            self.report["failed"] = str(error) if isinstance(error, Failed) else traceback.format_exc()
            return self._over()
        if callable(told):
            self._until, self._end = told, time.monotonic() + PATIENCE_S
            return STEP_S
        return told

    def _over(self) -> None:
        (self.folder / "report.json").write_text(json.dumps(self.report, indent=1))
        bpy.ops.wm.quit_blender()
