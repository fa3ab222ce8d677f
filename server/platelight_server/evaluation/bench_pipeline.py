"""How much a job costs beside the bare reading and writing of its files.

The yardstick is measured in the same run: CPU seconds to read the inputs and write the very channels that the job
delivers, through the same library and on as many threads at once as the job uses (cores that share a cache make each
other slower), plus the cost of a bare gain transfer, 213/37 of multiplying the plate by a scalar (a ratio measured at
4K on one core; the multiplication is measured here). Files lie in a temporary folder.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from platelight.frames import FrameRange
from platelight.recipe import Recipe

from .. import job
from ..check import Checked, check
from ..plates import delivery, exr, frames_out, picture_io
from ..stages import peak_memory_bytes
from .bench_shot import make_bench_shot

TRANSFER_PER_MULTIPLICATION = 213 / 37
# A shared machine drifts by more than what is measured: the yardstick is taken on both sides of every job, and the
# round of the middle ratio is reported.
ROUNDS = 3


@dataclass(frozen=True)
class PipelineFigures:
    """CPU seconds per frame. `ratio` is the job over the yardstick (median), `ratio_with_check` adds the check."""

    width_px: int
    height_px: int
    frames: int
    bare_read: float
    bare_write: float
    transfer: float
    job: float
    check: float
    ratio: float
    ratios: tuple[float, ...]
    ratio_with_check: float
    wall: float
    stages: dict[str, float]
    peak_memory_bytes: int | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def measure_pipeline(folder: Path, width_px: int, height_px: int, frames: int) -> PipelineFigures:
    """Renders a synthetic shot with the classic engine and measures it against the yardstick."""
    recipe = make_bench_shot(folder, width_px, height_px, frames)
    torch.set_num_threads(1)
    _warm_up(folder)
    _render(recipe, folder, recipe.frames.first)
    start = time.process_time()
    checked = check(recipe, folder)
    checked.raise_first()
    check_seconds = time.process_time() - start
    rounds = [_round(checked, recipe, folder, width_px, height_px) for _ in range(ROUNDS)]
    middle = sorted(rounds, key=lambda one: one.ratio)[ROUNDS // 2]
    return PipelineFigures(
        width_px, height_px, frames, middle.read / frames, middle.write / frames, middle.transfer / frames,
        middle.job / frames, check_seconds / frames, middle.ratio, tuple(sorted(one.ratio for one in rounds)),
        (middle.job + check_seconds) / middle.yardstick, middle.wall / frames,
        {stage: seconds / frames for stage, seconds in middle.stages.items()}, peak_memory_bytes(),
    )  # fmt: skip


@dataclass(frozen=True)
class _Round:
    """CPU seconds of all frames: the yardstick's parts, measured before and after the job, and the job's."""

    read: float
    write: float
    transfer: float
    job: float
    wall: float
    stages: dict[str, float]

    @property
    def yardstick(self) -> float:
        return self.read + self.write + self.transfer

    @property
    def ratio(self) -> float:
        return self.job / self.yardstick


def _round(checked: Checked, recipe: Recipe, folder: Path, width_px: int, height_px: int) -> _Round:
    before = (*_bare(checked, recipe, folder), _multiplication(width_px, height_px))
    start, wall = time.process_time(), time.monotonic()
    outcome = job.run(checked, force=True)
    outcome.raise_failed()
    spent, wall = time.process_time() - start, time.monotonic() - wall
    after = (*_bare(checked, recipe, folder), _multiplication(width_px, height_px))
    read, write, multiplication = ((a + b) / 2 for a, b in zip(before, after, strict=True))
    transfer = TRANSFER_PER_MULTIPLICATION * multiplication * len(recipe.frames)
    return _Round(read, write, transfer, spent, wall, dict(outcome.stages.cpu_seconds))


def _warm_up(folder: Path) -> None:
    """One tiny job, so that imports and first calls are in nobody's figures."""
    job.run(check(make_bench_shot(folder / "warm", 64, 36, 2), folder)).raise_failed()


def _render(recipe: Recipe, folder: Path, frame: int) -> None:
    """One frame, so that there are channels to write before the job is measured."""
    job.run(check(recipe, folder, FrameRange.of([frame]))).raise_failed()


def _bare(checked: Checked, recipe: Recipe, folder: Path) -> tuple[float, float]:
    """CPU seconds of reading all inputs and of writing all delivered channels, nothing in between."""
    assert checked.inputs is not None
    sources, header = checked.inputs.sources(), {}
    held: dict[Path, dict[str, np.ndarray]] = {}
    for path in delivery.files_of(recipe, recipe.frames.first).all():
        picture = exr.read(path, exr.read_info(path).channels)
        held[path] = dict(zip(picture.info.channels, picture.pixels, strict=True))
        header = {"dataWindow": picture.info.header["dataWindow"]}

    def read(frame: int) -> float:
        start = time.thread_time()
        for source in sources:
            path = source.file(frame)
            if path is not None:
                picture_io.read(path, source.channels)
        return time.thread_time() - start

    def write(frame: int) -> float:
        start = time.thread_time()
        for path, planes in held.items():
            frames_out.write_frame(folder / f"bare.{frame}.{path.name}", planes, header, recipe.output.compression)
        return time.thread_time() - start

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return sum(pool.map(read, recipe.frames)), sum(pool.map(write, recipe.frames))


def _multiplication(width_px: int, height_px: int) -> float:
    """CPU seconds of multiplying a 4K plate by a scalar (there the ratio was measured), scaled to this size."""
    plate = torch.rand(3, 2160, 4096)
    start, times = time.process_time(), 5
    for _ in range(times):
        plate * 1.5
    return (time.process_time() - start) / times * width_px * height_px / (4096 * 2160)
