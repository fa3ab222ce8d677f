"""What only whole processes can tell: memory over the length of a shot, and start-up time."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .bench_shot import make_bench_shot

RENDER = (
    "import json, sys; from pathlib import Path; from platelight.recipe import Recipe\n"
    "from platelight_server import job; from platelight_server.check import check\n"
    "from platelight_server.stages import peak_memory_bytes\n"
    "checked = check(Recipe.from_toml(Path(sys.argv[1])), Path('/'))\n"
    "job.run(checked).raise_failed(); print(json.dumps(peak_memory_bytes()))"
)


@dataclass(frozen=True)
class MemoryFigures:
    """Peak resident bytes of a process that renders a shot of each length."""

    width_px: int
    height_px: int
    peaks: dict[int, int]
    growth: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class StartFigures:
    """Wall seconds of whole processes, median of several; `interpreter` is an empty Python, for comparison."""

    interpreter: float
    import_platelight: float
    help: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def measure_memory(folder: Path, width_px: int, height_px: int, lengths: Sequence[int]) -> MemoryFigures:
    """Renders shots of these lengths, each in a process of its own."""
    peaks = {}
    for length in lengths:
        place = folder / str(length)
        recipe = make_bench_shot(place, width_px, height_px, length)
        file = place / "recipe.toml"
        file.write_text(recipe.to_toml(comments=False), encoding="utf-8")
        done = subprocess.run([sys.executable, "-c", RENDER, str(file)], capture_output=True, text=True, check=True)
        peaks[length] = int(json.loads(done.stdout.splitlines()[-1]))
        for written in (place / "out").glob("*.exr"):
            written.unlink()
    values = [peaks[length] for length in sorted(peaks)]
    return MemoryFigures(width_px, height_px, peaks, values[-1] / values[0])


def measure_start(runs: int = 7) -> StartFigures:
    """Starts each process `runs` times after one that is not counted."""
    python = sys.executable
    return StartFigures(
        _median([python, "-c", "pass"], runs),
        _median([python, "-c", "import platelight"], runs),
        _median([python, "-m", "platelight_server.cli", "--help"], runs),
    )


def _median(command: Sequence[str], runs: int) -> float:
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])
