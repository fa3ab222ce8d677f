"""The engine that is kept between previews, and its answers: asked again only where what it is told has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from ..engines.interface import Answer, Engine, FrameInputs, LightChange, Notes, Shot
from ..engines.registry import checked_options, create
from ..finish.spill import Screen, detect_screen
from ..finishing import Finisher
from ..model_view import ModelView

# Answers kept for the shot as it stands: at model size, some ten megabytes each.
ANSWERS_MOST = 4


@dataclass(frozen=True)
class Relit:
    """An engine's answer for a frame, what it saw of it, and the change of light before the look."""

    seen: FrameInputs
    answer: Answer
    change: LightChange


@dataclass(frozen=True)
class _Prepared:
    told: tuple[Any, ...]
    sampled: tuple[FrameInputs, ...]
    notes: Notes


class Relighting:
    """One engine, prepared for one shot. `prepared_anew` and `answered_anew` tell what the last request cost."""

    def __init__(self) -> None:
        self.prepared_anew = self.answered_anew = False
        self._engine: tuple[tuple[str, str, str], Engine] | None = None
        self._prepared: _Prepared | None = None
        self._answers: list[tuple[tuple[FrameInputs, ...], Relit]] = []
        self._votes: list[tuple[FrameInputs, Screen | None]] = []

    def prepare(self, view: ModelView, options: Mapping[str, Any], shot: Shot, sampled: Sequence[FrameInputs]) -> Notes:
        """Prepares the engine for a shot whose sampled frames are these, if it is not. Raises as the engine does."""
        capabilities, device = view.capabilities, view.device
        complete = checked_options(capabilities, options)
        kind = (capabilities.name, json.dumps(complete, sort_keys=True, default=list), device)
        told = (
            shot.frames, shot.luminance, shot.ground, shot.seed, shot.stability, shot.skipped, shot.prompt, shot.points,
        )  # fmt: skip
        held = self._prepared
        same_engine = self._engine is not None and self._engine[0] == kind
        self.prepared_anew = not (same_engine and held and held.told == told and are_same(held.sampled, sampled))
        if not self.prepared_anew and held is not None:
            return held.notes
        self._prepared, self._answers = None, []
        if self._engine is None or not same_engine or not self._engine[1].prepares_again:
            self._engine = None  # the old one goes before the new one comes
            self._engine = (kind, create(capabilities.name, options, device))
        self._engine[1].listen(lambda stage, step, steps: view.between())
        notes = self._engine[1].prepare(shot)
        self._prepared = _Prepared(told, tuple(sampled), notes)
        return notes

    def answer(self, view: ModelView, window: Sequence[FrameInputs], frame: int, finisher: Finisher) -> Relit:
        """The answer for one frame of a window. The engine has been prepared."""
        assert self._engine is not None
        for held in self._answers:
            if held[1].answer.frame == frame and are_same(held[0], window):
                self.answered_anew = False
                return held[1]
        self.answered_anew = True
        self._engine[1].listen(lambda stage, step, steps: view.between())
        (answer,) = self._engine[1].relight(window, (frame,))
        seen = next(one for one in window if one.frame == frame)
        relit = Relit(seen, answer, finisher.change(seen, answer))
        self._answers = [*self._answers, (tuple(window), relit)][-ANSWERS_MOST:]
        return relit

    def screen(self, seen: FrameInputs) -> Screen | None:
        """The screen that a sampled frame shows; see `finish.spill.detect_screen`."""
        for held, vote in self._votes:
            if held.plate is seen.plate and held.matte is seen.matte:
                return vote
        vote = detect_screen(seen.plate, seen.matte)
        sampled = () if self._prepared is None else self._prepared.sampled
        plates = {id(one.plate) for one in sampled}
        self._votes = [*(held for held in self._votes if id(held[0].plate) in plates), (seen, vote)]
        return vote

    def forget(self) -> None:
        """Lets the engine go: after an error or a cancel nobody knows what state it is in."""
        self._engine, self._prepared, self._answers = None, None, []


def are_same(one: Sequence[FrameInputs], other: Sequence[FrameInputs]) -> bool:
    """Whether frames are the same: the same tensors, equal cameras and lights."""
    return len(one) == len(other) and all(_is_same(a, b) for a, b in zip(one, other, strict=True))


def _is_same(one: FrameInputs, other: FrameInputs) -> bool:
    for field in fields(FrameInputs):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if a is not b and (isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor) or a != b):
            return False
    return True
