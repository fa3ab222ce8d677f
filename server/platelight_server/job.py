"""One job: a checked recipe rendered, frame by frame, with reading, engine, finish and writing overlapping.

This is the code that the command line runs in its own process and that the server's worker runs for a queue. Memory
does not grow with the shot: at most a window's frames and a few ahead are held. A frame whose hash is current is not
done again, so a job that was killed goes on at the first unfinished frame, and a second run does nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from platelight import __version__
from platelight.errors import FrameError, ResourceError

from .check import Checked
from .engines.interface import Answer, Cancelled, Engine, FrameInputs, Notes
from .engines.registry import create
from .events import Event
from .fingerprint import frame_hashes, header_recipe, is_current
from .finishing import Finisher
from .model_view import ModelView
from .outcome import Outcome, Progress
from .plan import Window, wanted_windows
from .plates import delivery, frames_out
from .reading import ReadAhead

__all__ = ["Event", "Outcome", "run"]


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
    out. A frame whose input breaks while it is read is listed in `Outcome.failed`, the others go on.

    `cancelled` is asked from several threads, between frames and between the steps of the engine. Then frames that are
    being finished are written and kept, the others are dropped, and `Outcome.cancelled` is set. `on_event` is called
    from several threads too, one call at a time.
    """
    checked.raise_first()
    hashes = frame_hashes(checked)
    outcome = Outcome(len(checked.wanted))
    todo = [f for f in checked.wanted if force or not is_current(delivery.files_of(checked.recipe, f).all(), hashes[f])]
    outcome.current = sorted(set(checked.wanted) - set(todo))
    _open_folder(checked)
    for frame in outcome.current:
        on_event(Event("current", frame, 0, len(todo)))
    progress = Progress(outcome, len(todo), on_event, cancelled)
    if todo:
        try:
            with contextlib.suppress(Cancelled):
                _render(checked, {frame: hashes[frame] for frame in todo}, progress, device, workers)
            if progress.stop is not None:
                raise progress.stop
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise ResourceError(
                f"memory ran out: {error}; finished frames are kept, run the same command again"
            ) from None
        outcome.rendered.sort()
    if outcome.cancelled and device.startswith("cuda"):
        torch.cuda.empty_cache()
    return outcome


def _open_folder(checked: Checked) -> None:
    """Makes the output folder, clears what killed runs left in it, and keeps what the check learnt about the inputs."""
    folder = Path(checked.recipe.output.directory)
    frames_out.prepare_folder(folder)
    frames_out.remove_abandoned(folder)
    if checked.index is not None:
        checked.index.save()


def _render(checked: Checked, hashes: Mapping[int, str], progress: Progress, device: str, workers: int | None) -> None:
    """Renders the frames that `hashes` names. Raises `Cancelled` where the job is to stop before the last."""
    assert checked.inputs is not None and checked.capabilities is not None
    # Frames are the unit of parallel work; threads inside one operation would only compete with them.
    torch.set_num_threads(1)
    recipe, outcome = checked.recipe, progress.outcome
    # A copy: the stills that it remembers go when the job ends, though its caller keeps the check's answer.
    inputs = replace(checked.inputs, _stills={})
    view = ModelView(inputs, checked.capabilities, device, progress.between)
    engine = create(recipe.engine.name, recipe.engine.options, device)
    engine.listen(progress.step)
    with outcome.stages.timed("prepare"):
        outcome.notes = engine.prepare(view.shot())
        finisher = Finisher.of(inputs, view)
    progress.prepared()
    deliver = _deliverer(checked, finisher, hashes, progress)
    windows, workers = wanted_windows(checked.windows, hashes), workers or os.cpu_count() or 1
    with ReadAhead(view, windows, outcome.stages) as ahead, ThreadPoolExecutor(workers, "finish") as pool:
        slots = threading.BoundedSemaphore(workers + 1)
        for window in windows:
            progress.between()
            for answer, seen in _answers(engine, window, ahead, progress):
                slots.acquire()
                progress.between()
                future = pool.submit(deliver, answer, seen, ahead)
                future.add_done_callback(progress.done_callback(answer.frame, slots))
            ahead.release(window)


def _answers(engine: Engine, window: Window, ahead: ReadAhead, progress: Progress) -> list[tuple[Answer, FrameInputs]]:
    """The engine's answers to a window, each with what it saw of the frame; none where the window's input breaks."""
    progress.frame = window.answered[0]
    found = []
    try:
        needed = ahead.window(window)
        seen = {one.frame: one for one in needed}
        with progress.outcome.stages.timed("engine"):
            for answer in engine.relight(needed, window.answered):
                found.append((answer, seen[answer.frame]))
                progress.between()
    except FrameError as error:
        for frame in window.answered:
            progress.failed(frame, error)
        ahead.drop(window)
        return []
    return found


def _deliverer(
    checked: Checked, finisher: Finisher, hashes: Mapping[int, str], progress: Progress
) -> Callable[[Answer, FrameInputs, ReadAhead], None]:
    """What finishes and writes one frame. A frame that has not begun when the job is to stop is dropped."""
    recipe, stages = checked.recipe, progress.outcome.stages
    said = _header(checked, progress.outcome.notes)

    def deliver(answer: Answer, seen: FrameInputs, ahead: ReadAhead) -> None:
        progress.between()
        full = ahead.full(answer.frame)
        channels, proof = finisher.finish(full, seen, answer, stages)
        with stages.timed("write"):
            delivery.write(
                delivery.files_of(recipe, answer.frame), channels, full.data, finisher.work, full.header,
                finisher.space, {**said, "frame": answer.frame, "frameHash": hashes[answer.frame], "proof": proof},
                recipe,
            )  # fmt: skip

    return deliver


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
