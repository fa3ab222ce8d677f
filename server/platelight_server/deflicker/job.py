"""Deflickers a sequence: reads ahead, steadies, finishes and writes, each in a thread of its own.

Memory does not grow with the shot. Frames that are current are kept; a frame that breaks while it is read fails with
those around it, and the others go on.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from platelight import __version__
from platelight.errors import FrameError, ResourceError
from platelight_server.deflicker import pictures
from platelight_server.deflicker.sequence import Opened
from platelight_server.deflicker.steady import VERSION, Seen, Steadier
from platelight_server.engines.interface import Cancelled
from platelight_server.events import Event
from platelight_server.fingerprint import is_current
from platelight_server.outcome import Outcome, Progress
from platelight_server.plates import exr, frames_out, picture_io
from platelight_server.plates.header import carried, color_attributes, read_stated, stated, untimed
from platelight_server.plates.picture import Box, PictureInfo

# Frames read before they are needed, and frames at plate size that wait behind the one being finished.
AHEAD, WAITING = 2, 1
KEPT = ("engine", "engineVersion", "licences", "notes")


def run(
    opened: Opened,
    on_event: Callable[[Event], None] = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
    force: bool = False,
) -> Outcome:
    """Writes the wanted frames that are not current (all of them with `force`).

    Raises `OutputError` where a result cannot be written, `ResourceError` where memory runs out. Frames whose input
    breaks while it is read are in `Outcome.failed`. `cancelled` is asked between frames; what is written stays.
    """
    torch.set_num_threads(1)
    hashes = {frame: opened.hash_of(frame) for frame in opened.wanted}
    outcome = Outcome(len(opened.wanted))
    todo = [f for f in opened.wanted if force or not is_current([opened.out.path(f)], hashes[f])]
    outcome.current = sorted(set(opened.wanted) - set(todo))
    folder = opened.out.directory
    frames_out.prepare_folder(folder)
    frames_out.remove_abandoned(folder)
    opened.index.save()
    progress = Progress(outcome, len(todo), on_event, cancelled)
    for frame in outcome.current:
        on_event(Event("current", frame, 0, len(todo)))
    progress.prepared()
    try:
        with contextlib.suppress(Cancelled):
            _steady(opened, todo, hashes, progress)
        if progress.stop is not None:
            raise progress.stop
    except MemoryError as error:
        raise ResourceError(f"memory ran out: {error}; finished frames are kept, run the same command again") from None
    outcome.rendered.sort()
    return outcome


class _Ahead:
    """Frames at the size that light is steadied at, read by a thread of their own and let go behind the last window."""

    def __init__(self, opened: Opened, todo: Sequence[int], pool: ThreadPoolExecutor) -> None:
        self._opened, self._pool = opened, pool
        self._order = list(dict.fromkeys(f for frame in todo for f in opened.window(opened.shown[frame])))
        self._place = {frame: place for place, frame in enumerate(self._order)}
        self._held: dict[int, Future[Seen]] = {}

    def window(self, frame: int) -> list[Seen]:
        """What a frame is steadied by. Raises `FrameError` where one of these cannot be read."""
        needed = self._opened.window(frame)
        for other in [other for other in self._held if other < needed[0]]:
            del self._held[other]
        for other in self._order[self._place[needed[0]] : self._place[needed[-1]] + 1 + AHEAD]:
            if other not in self._held:
                self._held[other] = self._pool.submit(self._look, other)
        return [self._held[other].result() for other in needed]

    def _look(self, frame: int) -> Seen:
        source, relit, matte = _read(self._opened, frame)
        return pictures.look(frame, source, relit, matte, self._opened.asked.lines, self._opened.vectors(frame))


def _steady(opened: Opened, todo: Sequence[int], hashes: Mapping[int, str], progress: Progress) -> None:
    """Steadies frame after frame; while one is finished and written, the next is steadied."""
    steadier, slots = Steadier(opened.asked.radius), threading.BoundedSemaphore(1 + WAITING)
    with ThreadPoolExecutor(1, "read") as reading, ThreadPoolExecutor(1, "finish") as finishing:
        ahead = _Ahead(opened, todo, reading)
        for frame in todo:
            progress.between()
            try:
                window = ahead.window(opened.shown[frame])
            except FrameError as error:
                progress.failed(frame, error)
                continue
            at = next(i for i, seen in enumerate(window) if seen.frame == opened.shown[frame])
            correction = steadier.correction(window, at)
            slots.acquire()
            future = finishing.submit(_finish, opened, frame, window[at], correction, hashes[frame], progress)
            future.add_done_callback(progress.done_callback(frame, slots))


def _finish(
    opened: Opened, frame: int, seen: Seen, correction: np.ndarray, frame_hash: str, progress: Progress
) -> None:
    """One frame at plate size, written. `correction` is that of `seen`, the frame whose pictures are shown."""
    progress.between()
    asked, black = opened.asked, opened.is_black(frame)
    given, path = opened.inputs["relit"], opened.file("relit", seen.frame)
    if black:
        result, correction = np.zeros((3, opened.work.height, opened.work.width), np.float32), np.zeros_like(correction)
    else:
        result = pictures.steadied(*_read(opened, seen.frame), seen, correction, asked.strength, asked.detail)
    info = picture_io.read_info(path)
    channels = _stored(path, info)
    halves = [name for name in given.channels if name in channels and channels[name].dtype == np.float16]
    if len(halves) == len(given.channels):
        result = np.clip(result, -65504, 65504).astype(np.float16)
    if black:
        channels = {name: np.zeros_like(plane) for name, plane in channels.items()}
    channels |= dict(zip(given.channels, _cut(result, info.data, opened.work), strict=True))
    said = _said(opened, frame, frame_hash, correction, info.header)
    header = {**_header(opened, frame, info.header), **stated(said)}
    if not info.is_exr:
        header["displayWindow"] = _window(info.display)
    header["dataWindow"] = _window(info.data)
    frames_out.write_frame(opened.out.path(frame), channels, header, asked.compression)


def _read(opened: Opened, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source, relit, matte = (opened.read(role, frame) for role in ("source", "relit", "matte"))
    assert source is not None and relit is not None
    return source, relit, np.ones_like(relit[:1]) if matte is None else matte


def _header(opened: Opened, frame: int, relit: Mapping[str, Any]) -> dict[str, Any]:
    """The relit file's attributes; one that stands in for another frame has no time code for it."""
    own = opened.shown[frame] == frame
    return {**carried(relit if own else untimed(relit)), **color_attributes(opened.space)}


def _said(
    opened: Opened, frame: int, frame_hash: str, correction: np.ndarray, relit: Mapping[str, Any]
) -> dict[str, Any]:
    """What the header says of the job. What made the relit picture, and under which licences, holds here as well."""
    asked, before = opened.asked, read_stated(relit)
    return {
        **{key: before[key] for key in KEPT if key in before},
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


def _stored(path: Path, info: PictureInfo) -> dict[str, np.ndarray]:
    """The channels of an EXR file as they are, but for ids; of several parts the first one's alone have these names."""
    if not info.is_exr:
        return {}
    first = {channel.name for channel in exr.read_headers(path)[0]["channels"]}
    names = [name for name in info.channels if name in first]
    planes = exr.read_planes(path, [(0, name) for name in names])
    return {name: plane for name, plane in zip(names, planes, strict=True) if plane.dtype != np.uint32}


def _cut(pixels: np.ndarray, data: Box, work: Box) -> np.ndarray:
    """The part of (C, H, W) over the work window that a data window holds."""
    rows = slice(data.y_first - work.y_first, data.y_last - work.y_first + 1)
    columns = slice(data.x_first - work.x_first, data.x_last - work.x_first + 1)
    return pixels[:, rows, columns]


def _window(box: Box) -> tuple[tuple[int, int], tuple[int, int]]:
    return (box.x_first, box.y_first), (box.x_last, box.y_last)
