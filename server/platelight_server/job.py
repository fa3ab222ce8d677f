"""One job: a checked recipe rendered, frame by frame, with reading, engine, finish and writing overlapping.

This is the code that the command line runs in its own process and that the server's worker runs for a queue. Memory
does not grow with the shot: at most a window's frames and a few ahead are held. A frame whose hash is current is not
done again, so a job that was killed goes on at the first unfinished frame, and a second run does nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from platelight import __version__
from platelight.errors import FrameError, PartialError, PlatelightError, ResourceError

from .check import Checked
from .engines.interface import Answer, FrameInputs, Notes
from .engines.registry import create
from .fingerprint import frame_hashes, header_recipe, is_current
from .finishing import Finisher
from .model_view import ModelView
from .plan import wanted_windows
from .plates import delivery, frames_out
from .reading import ReadAhead
from .stages import Stages


@dataclass(frozen=True)
class Event:
    """What happened: `kind` is "prepared", "current", "done" or "failed"; `done` of `total` frames are behind us."""

    kind: str
    frame: int | None
    done: int
    total: int
    message: str = ""


@dataclass
class Outcome:
    """What a job did. `failed` maps frames to the reason."""

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


def run(
    checked: Checked,
    on_event: Callable[[Event], None] = lambda event: None,
    cancelled: Callable[[], bool] = lambda: False,
    device: str = "cpu",
    workers: int | None = None,
    force: bool = False,
) -> Outcome:
    """Renders the wanted frames of a checked job that are not current (all of them with `force`).

    Raises the first error of the check, `OutputError` when results cannot be written, `ResourceError` when memory runs
    out. A frame whose input breaks while it is read is listed in `Outcome.failed`, the others go on. A job that is
    cancelled finishes the frames it is writing and keeps them.
    """
    checked.raise_first()
    hashes = frame_hashes(checked)
    outcome = Outcome(len(checked.wanted))
    todo = [f for f in checked.wanted if force or not is_current(delivery.files_of(checked.recipe, f).all(), hashes[f])]
    outcome.current = sorted(set(checked.wanted) - set(todo))
    _open_folder(checked)
    for frame in outcome.current:
        on_event(Event("current", frame, 0, len(todo)))
    if todo:
        try:
            _render(
                checked, frozenset(todo), hashes, outcome, on_event, cancelled, device, workers or os.cpu_count() or 1
            )
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise ResourceError(
                f"memory ran out: {error}; finished frames are kept, run the same command again"
            ) from None
        outcome.rendered.sort()
    return outcome


def _open_folder(checked: Checked) -> None:
    """Makes the output folder, clears what killed runs left in it, and keeps what the check learnt about the inputs."""
    folder = Path(checked.recipe.output.directory)
    frames_out.prepare_folder(folder)
    frames_out.remove_abandoned(folder)
    if checked.index is not None:
        checked.index.save()


def _render(
    checked: Checked,
    todo: frozenset[int],
    hashes: Mapping[int, str],
    outcome: Outcome,
    on_event: Callable[[Event], None],
    cancelled: Callable[[], bool],
    device: str,
    workers: int,
) -> None:
    assert checked.inputs is not None and checked.capabilities is not None
    # Frames are the unit of parallel work; threads inside one operation would only compete with them.
    torch.set_num_threads(1)
    recipe, stages = checked.recipe, outcome.stages
    view = ModelView(checked.inputs, checked.capabilities, device)
    engine = create(recipe.engine.name, recipe.engine.options, device)
    with stages.timed("prepare"):
        outcome.notes = engine.prepare(view.shot())
        finisher = Finisher.of(checked.inputs, view)
    on_event(Event("prepared", None, 0, len(todo)))
    said = _header(checked, outcome.notes)
    windows = wanted_windows(checked.windows, todo)
    state = _Progress(outcome, len(todo), on_event)

    def finish(answer: Answer, seen: FrameInputs, ahead: ReadAhead) -> None:
        full = ahead.full(answer.frame)
        channels, proof = finisher.finish(full, seen, answer, stages)
        with stages.timed("write"):
            delivery.write(
                delivery.files_of(recipe, answer.frame), channels, full.data, finisher.work, full.header,
                finisher.space, {**said, "frame": answer.frame, "frameHash": hashes[answer.frame], "proof": proof},
                recipe,
            )  # fmt: skip

    with ReadAhead(view, windows, stages) as ahead, ThreadPoolExecutor(workers, "finish") as pool:
        slots = threading.BoundedSemaphore(workers + 1)
        for window in windows:
            if cancelled() or state.stop is not None:
                break
            needed: list[FrameInputs] = []
            try:
                needed = ahead.window(window)
                with stages.timed("engine"):
                    answers = list(engine.relight(needed, window.answered))
            except FrameError as error:
                for frame in window.answered:
                    state.failed(frame, error)
                ahead.drop(window)
                answers = []
            seen = {one.frame: one for one in needed}
            for answer in answers:
                slots.acquire()
                future = pool.submit(finish, answer, seen[answer.frame], ahead)
                future.add_done_callback(state.done_callback(answer.frame, slots))
            ahead.release(window)
    outcome.cancelled = cancelled()
    if state.stop is not None:
        raise state.stop


class _Progress:
    """Counts what the finish threads report; the first error that is not one frame's own stops the job."""

    def __init__(self, outcome: Outcome, total: int, on_event: Callable[[Event], None]) -> None:
        self.outcome, self.total, self.on_event = outcome, total, on_event
        self.stop: BaseException | None = None
        self._lock = threading.Lock()

    def failed(self, frame: int, error: PlatelightError) -> None:
        """One frame's input broke."""
        with self._lock:
            self.outcome.failed[frame] = str(error)
            self.on_event(Event("failed", frame, self._behind(), self.total, str(error)))

    def done_callback(self, frame: int, slots: threading.BoundedSemaphore) -> Callable[[Future[None]], None]:
        """For a frame's finish: counts it, or keeps its error."""

        def done(future: Future[None]) -> None:
            error = future.exception()
            slots.release()
            try:
                if isinstance(error, FrameError):
                    self.failed(frame, error)
                    return
                with self._lock:
                    if error is not None:
                        self.stop = self.stop or error
                        return
                    self.outcome.rendered.append(frame)
                    self.on_event(Event("done", frame, self._behind(), self.total))
            except Exception as broken:  # whoever listens is gone, such as a closed pipe; the pool would only log it
                self.stop = self.stop or broken

        return done

    def _behind(self) -> int:
        return len(self.outcome.rendered) + len(self.outcome.failed)


def _header(checked: Checked, notes: Notes) -> dict[str, Any]:
    """What every frame's header says about the job. No dates, no folders: equal jobs write equal bytes."""
    capabilities, inputs = checked.capabilities, checked.inputs
    assert capabilities is not None and inputs is not None
    return {
        "version": __version__,
        "recipe": header_recipe(checked.written),
        "recipeHash": checked.recipe.content_hash(),
        "engine": capabilities.name,
        "engineVersion": capabilities.version,
        "licences": [
            {"model": one.model, "licence": one.licence, "commercial": one.commercial} for one in capabilities.licences
        ],
        "notes": dict(notes.values),
        "colorspace": inputs.space.name,
        "colorspaceFrom": inputs.plate_space.why,
    }
