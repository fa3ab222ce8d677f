"""From frames to windows, and what a job will cost. Pure: no files, no models.

Windows are planned once for the whole shot and anchored at its first frame, whatever part of it a run renders: a farm's
chunks, a subset and a resumed run see the same windows, hence give the same pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

# Measured with `platelight bench pipeline` on one core of a 2-core AMD EPYC (Zen 5): CPU seconds per megapixel of plate
# for reading, finishing and writing all standard layers in half ZIPS, and bytes per pixel of such a frame on disk.
CPU_SECONDS_PER_MEGAPIXEL = 0.48
DISK_BYTES_PER_PIXEL = 12.0
# Pictures in flight at plate size: as read, finished, and in the compressor.
READ_BYTES_PER_PIXEL = 16
FINISH_BYTES_PER_PIXEL = 80
BASE_BYTES = 500 << 20


@dataclass(frozen=True)
class Window:
    """Frames an engine sees at once. `answered` are what it returns, `needed` adds the context on either side."""

    index: int
    answered: tuple[int, ...]
    needed: tuple[int, ...]


@dataclass(frozen=True)
class Estimate:
    """What a job will cost: `seconds` of wall time, `memory_bytes` at the peak, `disk_bytes` for what it writes; `plan`
    says how the engine's models will be held in memory, where it has some."""

    frames: int
    windows: int
    seconds: float
    memory_bytes: int
    disk_bytes: int
    plan: str = ""


def plan_windows(frames: Sequence[int], length: int, before: int, after: int) -> tuple[Window, ...]:
    """All windows of a shot: `length` answered frames each, up to `before` and `after` more frames on either side."""
    windows = []
    for index, start in enumerate(range(0, len(frames), length)):
        end = min(start + length, len(frames))
        needed = frames[max(0, start - before) : min(len(frames), end + after)]
        windows.append(Window(index, tuple(frames[start:end]), tuple(needed)))
    return tuple(windows)


def wanted_windows(windows: Sequence[Window], wanted: Collection[int]) -> tuple[Window, ...]:
    """The windows that hold a wanted frame, each answering its wanted frames alone."""
    kept = []
    for window in windows:
        answered = tuple(frame for frame in window.answered if frame in wanted)
        if answered:
            kept.append(Window(window.index, answered, window.needed))
    return tuple(kept)


def estimate_cost(
    frames: int, windows: int, width_px: int, height_px: int, held_frames: int, cores: int, engine_bytes: int = 0
) -> Estimate:
    """The cost of rendering `frames` frames of this size, `held_frames` of them as read in memory at once."""
    pixels = width_px * height_px
    seconds = frames * pixels / 1e6 * CPU_SECONDS_PER_MEGAPIXEL / max(1, cores)
    memory = BASE_BYTES + pixels * (held_frames * READ_BYTES_PER_PIXEL + 2 * FINISH_BYTES_PER_PIXEL) + engine_bytes
    return Estimate(frames, windows, seconds, memory, round(frames * pixels * DISK_BYTES_PER_PIXEL))
