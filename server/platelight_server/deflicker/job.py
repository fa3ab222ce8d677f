"""Deflickers a sequence: reads ahead, steadies, writes. Memory does not grow with the shot; current frames are kept."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from platelight import __version__
from platelight_server.deflicker import pictures
from platelight_server.deflicker.sequence import Opened, output_of
from platelight_server.deflicker.steady import VERSION, Seen, Steadier
from platelight_server.engines.interface import Cancelled
from platelight_server.events import Event
from platelight_server.fingerprint import is_current
from platelight_server.outcome import Outcome, Progress
from platelight_server.plates import exr, frames_out, picture_io
from platelight_server.plates.header import carried, color_attributes, read_stated, stated

AHEAD = 2
KEPT = ("engine", "engineVersion", "licences", "notes")


def run(
    opened: Opened,
    on_event: Callable[[Event], None] = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
    force: bool = False,
) -> Outcome:
    """Writes the wanted frames that are not current (all of them with `force`). Raises `FrameError`, `OutputError`.

    `cancelled` is asked between frames; what is written stays.
    """
    torch.set_num_threads(1)
    hashes = {frame: opened.hash_of(frame) for frame in opened.wanted}
    outcome = Outcome(len(opened.wanted))
    todo = [f for f in opened.wanted if force or not is_current([output_of(opened.asked, f)], hashes[f])]
    outcome.current = [frame for frame in opened.wanted if frame not in set(todo)]
    folder = output_of(opened.asked, opened.wanted[0]).parent
    frames_out.prepare_folder(folder)
    frames_out.remove_abandoned(folder)
    opened.index.save()
    progress = Progress(outcome, len(todo), on_event, cancelled)
    for frame in outcome.current:
        on_event(Event("current", frame, 0, len(todo)))
    progress.prepared()
    steadier = Steadier(opened.asked.radius)
    try:
        with ThreadPoolExecutor(1, "read") as reading:
            _steady(opened, todo, hashes, steadier, _Ahead(opened, todo, reading), progress)
    except Cancelled:
        outcome.cancelled = True
    return outcome


class _Ahead:
    """Frames at the size that light is steadied at, read by a thread of their own and let go behind the last window."""

    def __init__(self, opened: Opened, todo: list[int], pool: ThreadPoolExecutor) -> None:
        self._opened, self._pool = opened, pool
        self._order = list(dict.fromkeys(f for frame in todo for f in opened.window(frame)))
        self._held: dict[int, Future[Seen]] = {}

    def window(self, frame: int) -> list[Seen]:
        needed = self._opened.window(frame)
        for other in [other for other in self._held if other < needed[0]]:
            del self._held[other]
        ahead = self._order.index(needed[-1]) + 1 + AHEAD
        for other in self._order[self._order.index(needed[0]) : ahead]:
            if other not in self._held:
                self._held[other] = self._pool.submit(self._look, other)
        return [self._held[other].result() for other in needed]

    def _look(self, frame: int) -> Seen:
        source, relit, matte = _read(self._opened, frame)
        vectors = self._opened.read("vectors", frame)
        return pictures.look(frame, source, relit, matte, self._opened.asked.lines, vectors)


def _steady(
    opened: Opened, todo: list[int], hashes: dict[int, str], steadier: Steadier, ahead: _Ahead, progress: Progress
) -> None:
    for number, frame in enumerate(todo, start=1):
        progress.between()
        window = ahead.window(frame)
        at = next(i for i, seen in enumerate(window) if seen.frame == frame)
        correction = steadier.correction(window, at)
        asked = opened.asked
        result = pictures.steadied(
            *_read(opened, frame), window[at], correction, asked.strength, asked.detail
        )  # fmt: skip
        _write(opened, frame, result, hashes[frame], correction)
        progress.outcome.rendered.append(frame)
        progress.on_event(Event("done", frame, number, len(todo)))


def _read(opened: Opened, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source, relit, matte = (opened.read(role, frame) for role in ("source", "relit", "matte"))
    assert source is not None and relit is not None
    return source, relit, np.ones_like(relit[:1]) if matte is None else matte


def _write(opened: Opened, frame: int, result: np.ndarray, frame_hash: str, correction: np.ndarray) -> None:
    """The frame with all the relit file's other channels as they are, and its header."""
    given = opened.inputs["relit"]
    info = picture_io.read_info(given.files[frame])
    data, work = info.data, opened.work
    rows = slice(data.y_first - work.y_first, data.y_last - work.y_first + 1)
    columns = slice(data.x_first - work.x_first, data.x_last - work.x_first + 1)
    channels = _others(given.files[frame], info.channels, given.channels) if info.is_exr else {}
    kind = picture_io.read(given.files[frame], given.channels).pixels.dtype
    if kind == np.float16:
        result = np.clip(result, -65504, 65504)
    for name, plane in zip(given.channels, result[:, rows, columns], strict=True):
        channels[name] = plane.astype(kind)
    asked = opened.asked
    said: dict[str, Any] = {
        "version": __version__,
        "deflicker": {
            "version": VERSION, "radius": asked.radius, "strength": asked.strength, "detail": asked.detail,
            "lines": asked.lines,
        },
        "colorspace": opened.space.name,
        "frame": frame,
        "frameHash": frame_hash,
        "meanCorrectionStops": [round(float(value), 4) for value in correction.mean((0, 1))],
    }  # fmt: skip
    # What made the relit picture, and under which licences, holds for the result as well.
    before = read_stated(info.header)
    said = {**{key: before[key] for key in KEPT if key in before}, **said}
    header = {**carried(info.header), **color_attributes(opened.space), **stated(said)}
    if not info.is_exr:
        header["displayWindow"] = _window(info.display)
    header["dataWindow"] = _window(data)
    frames_out.write_frame(output_of(asked, frame), channels, header, asked.compression)


def _others(path: Any, names: tuple[str, ...], ours: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The other channels of a single-part file; of several parts the first one's alone have these names."""
    first = {channel.name for channel in exr.read_headers(path)[0]["channels"]}
    others = [name for name in names if name in first and name not in ours]
    planes = exr.read_planes(path, [(0, name) for name in others])
    return {name: plane for name, plane in zip(others, planes, strict=True) if plane.dtype != np.uint32}


def _window(box: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return (box.x_first, box.y_first), (box.x_last, box.y_last)
