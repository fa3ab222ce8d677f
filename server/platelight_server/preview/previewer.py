"""`Previewer`: one frame of a job, as it would be delivered, at reduced size. No file is written, none is hashed.

It holds what a request leaves behind for the next one (pictures of the last frames at reduced size, the engine with
what it knows of the shot, its last answers), each known by exactly what it depends on: the parts of the recipe and the
stamps of the files. So a changed light is relit without reading, a changed look is finished without relighting, and a
changed file is read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from platelight.errors import RecipeError
from platelight.recipe import LAYERS, Recipe

from ..engines.interface import Cancelled, FrameInputs
from ..finishing import Finisher, screen_of
from ..model_view import ModelView
from ..plates.facts import SETTLED_S
from ..plates.inputs import FullFrame
from ..plates.picture import Box
from .kept import Stamps
from .opening import Opened, Openings
from .reducing import Reduced
from .relighting import Relighting, Relit

WIDTH_LEAST, WIDTH_MOST = 16, 8192
STAGES = ("open", "read", "prepare", "relight", "finish")


@dataclass(frozen=True)
class Spent:
    """What a stage of a preview did: so many things made, so many reused, in wall milliseconds."""

    made: int
    reused: int
    milliseconds: float


@dataclass(frozen=True)
class Preview:
    """A frame at reduced size, over the work window (the box around the data windows of all plates).

    channels    name -> (height, width) float16, named as in the delivered files, scene-linear in `colorspace`, may be
                <0 and >1; read-only. The job cuts its files to each plate's own data window, a preview is not cut.
    work, display  the window that the channels cover and the display window, in pixels of the plate
    notes       what the engine decided, `warnings` what the check says; `spent` by stage (`STAGES`)
    """

    frame: int
    width: int
    height: int
    channels: Mapping[str, np.ndarray]
    colorspace: str
    work: Box
    display: Box
    pixel_aspect: float
    notes: Mapping[str, Any]
    warnings: tuple[str, ...]
    spent: Mapping[str, Spent]


@dataclass(frozen=True)
class _Finished:
    relit: Relit
    pictures: tuple[np.ndarray | None, ...]
    dials: tuple[Any, ...]
    channels: dict[str, np.ndarray]


class Previewer:
    """Makes previews of one shot after another, one request at a time, in a process that lives on."""

    def __init__(self, settled_s: float = SETTLED_S) -> None:
        self._settled_s = settled_s
        self.clear()

    def clear(self) -> None:
        """Lets everything go, the engine too: when the memory is wanted for a job."""
        self._openings, self._reduced, self._relighting = Openings(), Reduced(), Relighting()
        self._finished: _Finished | None = None

    def preview(
        self,
        recipe: Recipe,
        base: Path,
        frame: int,
        width: int = 960,
        layers: tuple[str, ...] = ("composite",),
        device: str = "cpu",
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Preview:
        """A frame of the recipe, whose relative paths start at `base`, brought to `width` pixels; never enlarged.

        Needs the files of the frame's window and of the sampled frames alone. Raises the first of the errors that the
        check would name (also for a frame, width or layer that there is not), `FrameError` where a file breaks, and
        `Cancelled` where `cancelled()` becomes true.
        """
        _require(width, layers)
        # As in a job. With two threads on two cores that others use as well, a finish of 50 ms took up to 1.2 s.
        torch.set_num_threads(1)
        spent: dict[str, Spent] = {}

        def between() -> None:
            if cancelled():
                raise Cancelled

        stamps = Stamps(self._settled_s)
        recipe, said = _unsteadied(recipe.resolved(base))
        with _timed(spent, "open") as count:
            opened = self._openings.open(recipe, frame, stamps, between)
            count(int(self._openings.made), int(not self._openings.made))
        recipe = replace(recipe, output=replace(recipe.output, layers=layers, depth="half"))
        inputs = replace(opened.inputs, recipe=recipe, _stills={})
        view = ModelView(inputs, opened.capabilities, device, between)
        size = _size(inputs.work, width)
        with _timed(spent, "read") as count:
            seen = self._read(view, opened, stamps, frame, size)
            stores = self._reduced.stores()
            count(sum(store.made for store in stores), sum(store.reused for store in stores))
        pictures = self._reduced.at_preview_size(inputs, stamps, frame, size)
        relit, finisher, notes = self._relit(view, opened, seen, frame, spent)
        with _timed(spent, "finish") as count:
            before = self._finished
            channels = self._finish(finisher, relit, pictures, layers)
            count(int(self._finished is not before), int(self._finished is before))
        return Preview(
            frame, size[1], size[0], channels, inputs.space.name, inputs.work, inputs.display, inputs.pixel_aspect,
            notes, (*opened.warnings, *said), spent,
        )  # fmt: skip

    def _read(
        self, view: ModelView, opened: Opened, stamps: Stamps, frame: int, size: tuple[int, int]
    ) -> dict[int, FrameInputs]:
        """The frames that the engine sees, by number: the window's and the sampled ones."""
        sampled = [other for other in view.sampled_frames() if other in view.inputs.plate.files]
        needed = opened.window.needed
        # Neighbours are reduced while they are open, if that leaves the others their place.
        near = needed if len(needed) <= self._reduced.shown.most else (frame,)
        frames = tuple(dict.fromkeys((*needed, *sampled)))
        for store in self._reduced.stores():
            store.begin()
        try:
            self._reduced.load(view, stamps, frames, near, size)
            return {other: self._reduced.frame(view, stamps, other) for other in frames}
        finally:
            for store in self._reduced.stores():
                store.prune()

    def _relit(
        self, view: ModelView, opened: Opened, seen: Mapping[int, FrameInputs], frame: int, spent: dict[str, Spent]
    ) -> tuple[Relit, Finisher, Mapping[str, Any]]:
        engine, relighting = view.inputs.recipe.engine, self._relighting
        sampled = [seen[other] for other in view.sampled_frames() if other in seen]
        shot = view.shot(seen.__getitem__)
        try:
            with _timed(spent, "prepare") as count:
                notes = relighting.prepare(view, engine.options, shot, sampled)
                finisher = Finisher.with_screen(view.inputs, screen_of(view.inputs, lambda: sampled, relighting.screen))
                count(int(relighting.prepared_anew), int(not relighting.prepared_anew))
            with _timed(spent, "relight") as count:
                window = [seen[other] for other in opened.window.needed]
                relit = relighting.answer(view, window, frame, finisher)
                count(int(relighting.answered_anew), int(not relighting.answered_anew))
        except BaseException:
            relighting.forget()
            raise
        return relit, finisher, dict(notes.values)

    def _finish(
        self, finisher: Finisher, relit: Relit, pictures: tuple[np.ndarray, np.ndarray, np.ndarray | None],
        layers: tuple[str, ...],
    ) -> dict[str, np.ndarray]:  # fmt: skip
        inputs = finisher.inputs
        dials = (inputs.recipe.look, inputs.recipe.background.kind, finisher.edges, layers, inputs.space)
        held = self._finished
        if (
            held is not None
            and held.relit is relit
            and held.dials == dials
            and all(a is b for a, b in zip(held.pictures, pictures, strict=True))
        ):
            return held.channels
        plate, matte, background = pictures
        full = FullFrame(relit.answer.frame, plate, matte, background, None, {}, inputs.work, 0)
        planes = finisher.layers(full, relit.seen, relit.answer, relit.change).planes
        channels = {name: _delivered(plane) for name, plane in planes.items()}
        self._finished = _Finished(relit, pictures, dials, channels)
        return channels


def _unsteadied(recipe: Recipe) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe without deflickering, which asks for the answers of all frames around, and what is said of it."""
    options, asked = recipe.engine.options, recipe.engine.options.get("deflicker")
    if not isinstance(asked, (int, float)) or not 0 < asked <= 1:
        return recipe, ()
    engine = replace(recipe.engine, options={**options, "deflicker": 0.0})
    return replace(recipe, engine=engine), (
        "engine.deflicker: previews show the change of light before it is steadied",
    )


def _delivered(plane: torch.Tensor) -> np.ndarray:
    """(H, W) float16, read-only: depth, which files hold as float, is rounded too."""
    pixels = np.ascontiguousarray(plane.to(torch.float16).numpy())
    pixels.flags.writeable = False
    return pixels


def _require(width: int, layers: tuple[str, ...]) -> None:
    if isinstance(width, bool) or not isinstance(width, int) or not WIDTH_LEAST <= width <= WIDTH_MOST:
        raise RecipeError("width", f"a number of pixels from {WIDTH_LEAST} to {WIDTH_MOST}", repr(width))
    unknown = [name for name in layers if name not in LAYERS]
    if unknown or not layers:
        raise RecipeError("layers", f"one or more of {', '.join(LAYERS)}", ", ".join(unknown) or "none")


def _size(work: Box, width: int) -> tuple[int, int]:
    """(height, width) of a preview; the aspect is kept, and nothing is enlarged."""
    wide = min(width, work.width)
    return max(1, round(work.height * wide / work.width)), wide


@contextmanager
def _timed(spent: dict[str, Spent], stage: str) -> Iterator[Callable[[int, int], None]]:
    """Times a stage; the block says how much it made and how much it reused."""
    counted = [0, 0]

    def count(made: int, reused: int) -> None:
        counted[:] = made, reused

    start = time.perf_counter()
    yield count
    spent[stage] = Spent(counted[0], counted[1], (time.perf_counter() - start) * 1000)
