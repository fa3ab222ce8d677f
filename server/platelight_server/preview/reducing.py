"""Pictures of a shot brought to the two sizes that a preview works at, kept by the files that they were read from.

A picture is read at full size once, gives what the engine sees (model size, exactly as in a job) and what the finish
works on (preview size, means by area), and is let go.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..engines.interface import FrameInputs
from ..model_view import ModelView
from ..plates.carried import is_carried, known_by
from ..plates.geometry import resize
from ..plates.inputs import Inputs, Source, plain, turned
from .kept import Kept, Stamps

# Kept beside what the current request needs: pictures at preview size, at model size, and probes.
SHOWN_MOST, SEEN_MOST, PROBES_MOST = 8, 8, 4
Shown = tuple[np.ndarray, ...]
Seen = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class _Picture:
    """Pictures of one role on one frame: how they are known, and how they are read at full size."""

    key: tuple[Any, ...]
    read: Callable[[], tuple[np.ndarray, ...]]


class Reduced:
    """The pictures of one shot after another."""

    def __init__(self) -> None:
        self.shown: Kept[Shown] = Kept(SHOWN_MOST)
        self.seen: Kept[Seen] = Kept(SEEN_MOST)
        self.radiances: Kept[np.ndarray] = Kept(PROBES_MOST)
        self.probes: Kept[torch.Tensor] = Kept(PROBES_MOST)

    def stores(self) -> tuple[Kept[Any], ...]:
        """All that is kept."""
        return self.shown, self.seen, self.radiances, self.probes

    def load(
        self, view: ModelView, stamps: Stamps, frames: Sequence[int], shown: Sequence[int], size: tuple[int, int]
    ) -> None:
        """Reads what is not there yet: `frames` at model size, `shown` of them at preview size (height, width) too."""
        wanted: dict[Any, tuple[_Picture, bool]] = {}
        for frame in frames:
            for picture in _pictures(view.inputs, stamps, frame):
                large = frame in shown and picture.key[0] != "normal"
                before = wanted.get(picture.key)
                wanted[picture.key] = (picture, large or (before is not None and before[1]))
        todo: list[tuple[_Picture, bool, bool]] = []
        for picture, large in wanted.values():
            small_too = self.seen.find(_seen_key(view, picture)) is None
            large_too = large and self.shown.find((*picture.key, size)) is None
            if small_too or large_too:
                todo.append((picture, small_too, large_too))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            made = pool.map(lambda one: _reduce(view, one[0], one[1], one[2], size), todo)
            for (picture, small_too, large_too), (seen, larger) in zip(todo, made, strict=True):
                if small_too:
                    self.seen.put(_seen_key(view, picture), seen)
                if large_too:
                    self.shown.put((*picture.key, size), larger)

    def frame(self, view: ModelView, stamps: Stamps, frame: int) -> FrameInputs:
        """A loaded frame as the engine sees it. The same files give the same tensors."""
        inputs = view.inputs
        found = {one.key[0]: self.seen.find(_seen_key(view, one)) for one in _pictures(inputs, stamps, frame)}
        filmed = found["filmed"]
        assert filmed is not None
        return view.frame_inputs(
            frame, filmed[0], filmed[1], _only(found.get("background")), _only(found.get("normal")),
            self._probe(view, stamps, "probe_background", frame),
            self._probe(view, stamps, "probe_plate", frame),
        )  # fmt: skip

    def at_preview_size(
        self, inputs: Inputs, stamps: Stamps, frame: int, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Plate, matte and background of a loaded frame, (C, *size), of the type they were read in."""
        found = {picture.key[0]: self.shown.find((*picture.key, size)) for picture in _pictures(inputs, stamps, frame)}
        filmed, background = found["filmed"], found.get("background")
        assert filmed is not None
        return filmed[0], filmed[1], None if background is None else background[0]

    def _probe(self, view: ModelView, stamps: Stamps, role: str, frame: int) -> torch.Tensor | None:
        """A probe, turned and exposed as the recipe says of the frame; its file is read once for all of that."""
        inputs = view.inputs
        asked, source = inputs.asked_probe(role), inputs.source_of(role)
        if asked is None:
            return None
        shown = asked.at(frame)
        if source is None:
            key: tuple[Any, ...] = (role, inputs.space, shown, view.device)
            return self.probes.get(key, lambda: view.tensor(plain(shown, inputs.space)))
        path = source.file(frame)
        if path is None:
            return None
        key = (role, path, stamps.of(path), source.channels, source.space, inputs.space)
        radiance = self.radiances.get(key, lambda: inputs.radiance(source, path))
        return self.probes.get((*key, shown, view.device), lambda: view.tensor(turned(radiance, shown)))


def _seen_key(view: ModelView, picture: _Picture) -> tuple[Any, ...]:
    return (*picture.key, view.size, view.device)


def _reduce(view: ModelView, picture: _Picture, seen: bool, shown: bool, size: tuple[int, int]) -> tuple[Seen, Shown]:
    """One picture, read at full size and brought to the sizes asked for; nothing in place of the other."""
    view.between()
    pixels = picture.read()
    small = tuple(view.picture(part) for part in pixels) if seen else ()
    return small, tuple(_shrunk(part, size) for part in pixels) if shown else ()


def _pictures(inputs: Inputs, stamps: Stamps, frame: int) -> Iterable[_Picture]:
    """What a frame is read from. Keys hold all that the pixels depend on: equal keys, equal pixels."""
    windows = (inputs.work, inputs.display, inputs.pixel_aspect, inputs.space)
    matte = inputs.recipe.matte
    filmed = replace(inputs, background=None, normal=None, relit=None, _stills={})

    def plate_and_matte() -> tuple[np.ndarray, ...]:
        """(3, H, W) plate and (1, H, W) matte over the work window, as `FullFrame` holds them."""
        full = filmed.read(frame)
        return full.plate, full.matte

    yield _Picture(
        (
            "filmed", windows, inputs.plate_space, _file(inputs.plate, stamps, frame),
            None if inputs.matte is None else _file(inputs.matte, stamps, frame), matte is not None and matte.invert,
            None if matte is None or inputs.screen is None else (inputs.screen, matte.keying),
        ),
        plate_and_matte,
    )  # fmt: skip
    fresh = replace(inputs, _stills={})  # its stills, at full size, go when they have been reduced
    if inputs.background is not None:
        behind = inputs if is_carried(inputs) else fresh  # a still that moves is read once for all frames of a request
        yield _Picture(
            (
                "background", windows, inputs.recipe.background, _file(inputs.background, stamps, frame),
                *known_by(inputs, frame),
            ),
            lambda: _given(behind.behind(frame)),
        )  # fmt: skip
    if inputs.normal is not None and inputs.normal.file(frame) is not None:
        yield _Picture(("normal", windows, _file(inputs.normal, stamps, frame)), lambda: _given(fresh.normals(frame)))


def _file(source: Source, stamps: Stamps, frame: int) -> tuple[Any, ...]:
    path = source.file(frame)
    return (source.channels, source.space, path, None if path is None else stamps.of(path))


def _given(pixels: np.ndarray | None) -> tuple[np.ndarray, ...]:
    return () if pixels is None else (pixels,)


def _only(found: Seen | None) -> torch.Tensor | None:
    return found[0] if found else None


def _shrunk(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(C, H, W) -> (C, *size), mean by area, of the same type."""
    if pixels.dtype != np.float16:
        return resize(pixels, *size).astype(pixels.dtype, copy=False)
    # Plane by plane through torch, which widens half faster than numpy: 25 instead of 63 ms for a 4K plate.
    planes = [resize(torch.from_numpy(plane[None]).float().numpy(), *size) for plane in np.ascontiguousarray(pixels)]
    return np.concatenate(planes).astype(np.float16)
