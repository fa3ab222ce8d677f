"""How long a preview takes after one thing has changed: a light, a probe, a dial of the look, the frame.

The shot is the synthetic one with camera, probes and two lights beside it. Every change is asked for several times,
each time with a value that was not there before; what is reported is what a user waits, wall milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from platelight.camera import CameraFrame
from platelight.lights import Light, Probe
from platelight.recipe import CameraSource, Ground, Recipe, with_value

from ..plates.frames_out import write_frame
from ..preview import Previewer
from .bench_shot import REC709, make_bench_shot

PROBE_LINES = 512
Change = Callable[[Recipe, int], Recipe]


@dataclass(frozen=True)
class PreviewFigures:
    """Wall milliseconds of one kind of change: the middle, the 95th of a hundred, and what it made anew (by stage)."""

    change: str
    times: int
    p50_ms: float
    p95_ms: float
    made: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def measure_preview(
    folder: Path, width_px: int, height_px: int, frames: int, times: int = 20, preview_px: int = 960
) -> list[PreviewFigures]:
    """Makes the shot and asks for its middle frame `times` times per change, beginning with the very first request."""
    recipe = make_preview_shot(folder, width_px, height_px, frames)
    # Files that were written just before are read again at every request; a bench would measure that.
    previewer, middle = Previewer(settled_s=0.0), recipe.frames.frames[frames // 2]
    found = []

    def ask(asked: Recipe, frame: int) -> tuple[float, str]:
        start = time.perf_counter()
        made = previewer.preview(asked, folder, frame, preview_px)
        passed = (time.perf_counter() - start) * 1000
        return passed, " ".join(stage for stage, spent in made.spent.items() if spent.made)

    found.append(_figures("first request", [ask(recipe, middle)]))
    for name, change in _changes().items():
        ask(recipe, middle)
        found.append(_figures(name, [ask(change(recipe, number), middle) for number in range(1, times + 1)]))
    ask(recipe, recipe.frames.first)
    found.append(_figures("next frame", [ask(recipe, frame) for frame in recipe.frames.frames[1:7]]))
    return found


def make_preview_shot(folder: Path, width_px: int, height_px: int, frames: int) -> Recipe:
    """The bench's shot with two probes, a moving camera, a ground and two lights."""
    recipe = make_bench_shot(folder, width_px, height_px, frames)
    probes = []
    for number, name in enumerate(("plate", "background")):
        rng = np.random.default_rng(number)
        pixels = (rng.random((3, PROBE_LINES, 2 * PROBE_LINES), dtype=np.float32) ** 6 * 8).astype(np.float16)
        path = folder / f"probe_{name}.exr"
        write_frame(path, dict(zip("RGB", pixels, strict=True)), REC709, "zips")
        probes.append(Probe(str(path)))
    cameras = tuple(_camera(frame, width_px, height_px) for frame in recipe.frames)
    lights = (Light("sun", 2.0, transform=_standing(1, 4, 2)), Light("area", 300.0, transform=_standing(-2, 2, 3)))
    return replace(
        recipe, probe_plate=probes[0], probe_background=probes[1], camera=CameraSource(frames=cameras),
        lights=lights, ground=Ground(),
    )  # fmt: skip


def _changes() -> dict[str, Change]:
    def look(recipe: Recipe, dial: str, value: float) -> Recipe:
        return with_value(recipe, f"look.{dial}", str(value))

    def moved(recipe: Recipe, number: int) -> Recipe:
        first = replace(recipe.lights[0], transform=_standing(1, 4 + 0.1 * number, 2))
        second = replace(recipe.lights[1], transform=_standing(-2 + 0.1 * number, 2, 3))
        return replace(recipe, lights=(first, second))

    def rotated(recipe: Recipe, number: int) -> Recipe:
        assert recipe.probe_background is not None
        return replace(recipe, probe_background=replace(recipe.probe_background, rotation_deg=7.0 * number))

    def exposed(recipe: Recipe, number: int) -> Recipe:
        assert recipe.probe_plate is not None
        return replace(recipe, probe_plate=replace(recipe.probe_plate, exposure_stops=0.05 * number))

    return {
        "light moved": moved,
        "probe rotated": rotated,
        "plate probe exposed": exposed,
        "look.exposure": lambda recipe, number: look(recipe, "exposure_stops", 0.05 * number),
        "look.strength": lambda recipe, number: look(recipe, "strength", 0.04 * number),
        "nothing": lambda recipe, number: recipe,
    }


def _figures(name: str, asked: list[tuple[float, str]]) -> PreviewFigures:
    passed = [milliseconds for milliseconds, _ in asked]
    p50, p95 = np.percentile(passed, (50, 95))
    return PreviewFigures(name, len(asked), float(p50), float(p95), asked[-1][1] or "-")


def _standing(x: float, y: float, z: float) -> Any:
    return ((1.0, 0.0, 0.0, x), (0.0, 1.0, 0.0, y), (0.0, 0.0, 1.0, z), (0.0, 0.0, 0.0, 1.0))


def _camera(frame: int, width: int, height: int) -> CameraFrame:
    place = _standing(0.002 * (frame - 1001), 1.5, 5.0)
    return CameraFrame(frame, place, width, width, width / 2, height / 2, width, height)
