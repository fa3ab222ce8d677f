"""What a job says when it ends, and the count that its events and its outcome come from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from platelight.errors import FrameError, PartialError, PlatelightError

from .engines.interface import Cancelled, Notes
from .events import Event
from .stages import Stages


@dataclass
class Outcome:
    """What a job did. `failed` maps frames to the reason; `cancelled` is set where a cancel left frames undone."""

    total: int
    rendered: list[int] = field(default_factory=list)
    current: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    cancelled: bool = False
    notes: Notes = field(default_factory=Notes)
    stages: Stages = field(default_factory=Stages)

    def raise_failed(self) -> None:
        """Raises `PartialError` naming the frames that failed, if there are any."""
        if self.failed:
            first = next(iter(self.failed))
            raise PartialError(
                f"{len(self.failed)} of {self.total} frames failed, the first is {first}: {self.failed[first]}"
            )


class Progress:
    """Counts what the threads of a job report, one event at a time, and says when they are to stop.

    The first error that is not one frame's own stops the job, and so does `cancelled()`.
    """

    def __init__(
        self, outcome: Outcome, total: int, on_event: Callable[[Event], None], cancelled: Callable[[], bool]
    ) -> None:
        self.outcome, self.total, self.on_event, self.cancelled = outcome, total, on_event, cancelled
        self.stop: BaseException | None = None
        self.frame: int | None = None  # the first of the window that the engine works on
        self._lock = threading.Lock()

    def between(self) -> None:
        """Called between frames, windows and steps, from any thread. Raises `Cancelled` where the job is to stop."""
        if self.stop is not None:
            raise Cancelled
        if self.outcome.cancelled or self.cancelled():
            self.outcome.cancelled = True
            raise Cancelled

    def step(self, stage: str, step: int, steps: int) -> None:
        """The engine has done a step."""
        with self._lock:
            self.on_event(Event("step", self.frame, self._behind(), self.total, "", stage, step, steps))
        self.between()

    def prepared(self) -> None:
        """The engine knows the shot."""
        with self._lock:
            self.on_event(Event("prepared", None, 0, self.total))

    def failed(self, frame: int, error: PlatelightError) -> None:
        """One frame's input broke."""
        with self._lock:
            self.outcome.failed[frame] = str(error)
            self.on_event(Event("failed", frame, self._behind(), self.total, str(error)))

    def done_callback(self, frame: int, slots: threading.BoundedSemaphore) -> Callable[[Future[None]], None]:
        """For a frame's finish: counts it, or keeps its error."""

        def done(future: Future[None]) -> None:
            slots.release()
            error = Cancelled() if future.cancelled() else future.exception()
            try:
                if isinstance(error, FrameError):
                    self.failed(frame, error)
                    return
                with self._lock:
                    if error is not None:
                        if not isinstance(error, Cancelled):
                            self.stop = self.stop or error
                        return
                    self.outcome.rendered.append(frame)
                    self.on_event(Event("done", frame, self._behind(), self.total))
            except Exception as broken:  # whoever listens is gone, such as a closed pipe; the pool would only log it
                self.stop = self.stop or broken

        return done

    def _behind(self) -> int:
        return len(self.outcome.rendered) + len(self.outcome.failed)
