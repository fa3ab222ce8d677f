"""Reading ahead of the engine: the frames that the next windows need, in order, a few at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from .engines.interface import FrameInputs
from .model_view import ModelView
from .plan import Window
from .plates.inputs import FullFrame
from .stages import Stages

# Frames read before the engine asks for them.
AHEAD = 2
# Frames at plate size kept between engine and finish; longer windows read a frame again when it is finished.
MOST_HELD = 8


class ReadAhead:
    """Frames of the planned windows, read once each by a thread of its own, and dropped when no window needs them."""

    def __init__(self, view: ModelView, windows: Sequence[Window], stages: Stages) -> None:
        self._view, self._stages = view, stages
        self._order = list(dict.fromkeys(frame for window in windows for frame in window.needed))
        self._place = {frame: number for number, frame in enumerate(self._order)}
        self._last_use = {frame: number for number, window in enumerate(windows) for frame in window.needed}
        self._answered = {frame for window in windows for frame in window.answered}
        self._keep = max((len(window.needed) for window in windows), default=0) <= MOST_HELD
        self._loaded: dict[int, Future[FrameInputs]] = {}
        self._full: dict[int, FullFrame] = {}
        self._next = 0
        self._number = -1
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, "read")

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._loaded.clear()  # a frame that could not be read holds this object by its error's traceback

    def window(self, window: Window) -> list[FrameInputs]:
        """The frames of a window at model size. Raises `FrameError` where one cannot be read."""
        self._number += 1
        self._request(self._place[window.needed[-1]] + 1 + AHEAD)
        return [self._loaded[frame].result() for frame in window.needed]

    def full(self, frame: int) -> FullFrame:
        """A frame at plate size, handed out once: kept from the first reading, or read again."""
        with self._lock:
            held = self._full.pop(frame, None)
        if held is not None:
            return held
        with self._stages.timed("read"):
            return self._view.inputs.read(frame)

    def drop(self, window: Window) -> None:
        """Forgets the full frames of a window that failed, which nobody will ask for."""
        with self._lock:
            for frame in window.answered:
                self._answered.discard(frame)  # it may still be on its way
                self._full.pop(frame, None)

    def release(self, window: Window) -> None:
        """Drops the frames that no later window needs."""
        for frame in window.needed:
            if self._last_use[frame] <= self._number:
                self._loaded.pop(frame, None)

    def _request(self, count: int) -> None:
        for frame in self._order[self._next : count]:
            self._loaded[frame] = self._pool.submit(self._load, frame)
        self._next = max(self._next, min(count, len(self._order)))

    def _load(self, frame: int) -> FrameInputs:
        self._view.between()
        with self._stages.timed("read"):
            full = self._view.inputs.read(frame)
            with self._lock:
                if self._keep and frame in self._answered:
                    self._full[frame] = full
            return self._view.of(full)
