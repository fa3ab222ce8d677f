"""What every engine can do on request: steady its change of light in time, along the plate's motion.

`steadied` makes of an engine's class one with two more options. Without them it is the engine itself. With
`deflicker` above 0 the changes of light of the frames around are asked for as well, pictures are turned into changes
first, and gain and fill are steadied by `deflicker.steady`. Shadow, background, normals and confidence stay the
engine's; the layer `model` is not delivered, for it would show what was taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch

from platelight_server.deflicker.pictures import FLOOR, solid
from platelight_server.deflicker.steady import DEFAULT_RADIUS, RADIUS_MOST, VERSION, Seen, Steadier
from platelight_server.engines.interface import (
    Answer,
    Asked,
    Capabilities,
    Engine,
    FrameInputs,
    LightChange,
    Notes,
    Option,
    Readiness,
    Shot,
)
from platelight_server.finish.change import estimate_change
from platelight_server.plan import Window

OPTIONS = (
    Option(
        "deflicker", "float", 0.0,
        "take flicker off the change of light, from 0 (off) to 1; previews show it without", minimum=0.0, maximum=1.0,
    ),
    Option(
        "deflicker_radius", "int", DEFAULT_RADIUS,
        "frames on either side that a frame is steadied by; faster changes of light are taken for flicker",
        minimum=1, maximum=RADIUS_MOST,
    ),
)  # fmt: skip
_NAMES = tuple(option.name for option in OPTIONS)
# Of the engine's pixels, for a frame that is held: its answer, what is steadied, and the stacks that it is steadied in.
_BYTES_HELD, _BYTES_AT_WORK = 100, 200


def is_on(options: Mapping[str, Any]) -> bool:
    """Whether these options ask for it."""
    return bool(options.get("deflicker", 0.0))


def without(options: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's own options."""
    return {name: value for name, value in options.items() if name not in _NAMES}


@cache
def steadied(kind: type[Engine]) -> type[Engine]:
    """The engine's class with the options of this module; the engine's own class where its options have these names."""
    if any(option.name in _NAMES for option in kind.capabilities.options):
        return kind
    described = {
        "inner": kind,
        "capabilities": replace(kind.capabilities, options=(*kind.capabilities.options, *OPTIONS)),
        "prepares_again": kind.prepares_again,
        "__doc__": kind.__doc__,
    }
    made: type[Engine] = type(f"Steadied{kind.__name__}", (SteadiedEngine,), described)
    return made


@dataclass(frozen=True)
class _Kept:
    answer: Answer
    change: LightChange
    seen: Seen


class SteadiedEngine(Engine):
    """See the module. A frame's result depends on the windows of the engine that answer the frames around it."""

    inner: ClassVar[type[Engine]]

    def __init__(self, options: Mapping[str, Any], device: str = "cpu") -> None:
        super().__init__(options, device)
        self._engine = self.inner(without(options), device)
        self._strength, self._radius = float(options["deflicker"]), int(options["deflicker_radius"])

    @classmethod
    def made(cls, options: Mapping[str, Any], device: str = "cpu") -> Engine:
        """The engine for these options (complete and checked): itself, or steadied."""
        return cls(options, device) if is_on(options) else cls.inner(without(options), device)

    @classmethod
    def capabilities_for(cls, options: Mapping[str, Any], background: str = "keep") -> Capabilities:
        own = cls.inner.capabilities_for(without(options), background)
        offered = (*own.options, *OPTIONS)
        if not is_on(options):
            return replace(own, options=offered)
        radius = int(options["deflicker_radius"])
        return replace(
            own,
            options=offered,
            context_before=own.context_before + radius,
            context_after=own.context_after + radius,
            memory_bytes_per_pixel=own.memory_bytes_per_pixel + _bytes(own, radius) // own.window_frames,
        )

    @classmethod
    def windows(cls, options: Mapping[str, Any], frames: Sequence[int]) -> tuple[Window, ...]:
        own = cls.inner.windows(without(options), frames)
        if not is_on(options):
            return own
        radius, places = int(options["deflicker_radius"]), {frame: i for i, frame in enumerate(frames)}
        owner = {frame: window for window in own for frame in window.answered}
        found = []
        for window in own:
            first, last = (places[window.answered[end]] for end in (0, -1))
            near = frames[max(0, first - radius) : last + radius + 1]
            needed = {frame for one in near for frame in owner[one].needed}
            found.append(Window(window.index, window.answered, tuple(sorted(needed, key=places.__getitem__))))
        return tuple(found)

    @classmethod
    def ready(cls, options: Mapping[str, Any], asked: Asked) -> Readiness:
        ready = cls.inner.ready(without(options), asked)
        if not is_on(options):
            return ready
        memory, own = ready.memory_bytes, cls.inner.capabilities_for(without(options), asked.recipe.background.kind)
        if memory is not None:
            memory += asked.height * asked.width * _bytes(own, int(options["deflicker_radius"]))
        return replace(ready, memory_bytes=memory, depends_on=(*ready.depends_on, f"deflicker {VERSION}"))

    def listen(self, told: Callable[[str, int, int], None] | None) -> None:
        super().listen(told)
        self._engine.listen(told)

    def prepare(self, shot: Shot) -> Notes:
        """As the engine does."""
        self._shot = shot
        self._places = {frame: i for i, frame in enumerate(shot.frames)}
        own = self.inner.windows(without(self.options), shot.frames)
        self._owner = {frame: window for window in own for frame in window.answered}
        self._kept: dict[int, _Kept] = {}
        self._steadier = Steadier(self._radius)
        notes = self._engine.prepare(shot)
        return Notes({**notes.values, "deflicker": self._strength, "deflicker_radius": self._radius})

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        """Answers `answered`; what the engine said of the frames around is kept for the windows that follow."""
        held = {one.frame: one for one in window}
        for frame in answered:
            at = self._places[frame]
            around = self._shot.frames[max(0, at - self._radius) : at + self._radius + 1]
            around = tuple(near for near in around if near in held)
            self._forget(around[0])
            for near in around:
                if near not in self._kept:
                    self._ask(self._owner[near], held)
            yield self._steady([self._kept[near] for near in around], around.index(frame))

    def _ask(self, own: Window, held: Mapping[int, FrameInputs]) -> None:
        """One window of the engine, once: what it costs to see it again an engine alone knows."""
        needed = [held[frame] for frame in own.needed if frame in held]
        for answer in self._engine.relight(needed, [frame for frame in own.answered if frame in held]):
            seen = held[answer.frame]
            change = answer.change
            if not isinstance(change, LightChange):
                with torch.inference_mode():
                    change = estimate_change(change, seen.matte, self._shot.luminance)
            self._kept[answer.frame] = _Kept(replace(answer, change=change), change, _seen(seen, change))

    def _forget(self, first: int) -> None:
        """Lets go what lies before a frame."""
        for frame in [frame for frame in self._kept if self._places[frame] < self._places[first]]:
            del self._kept[frame]

    def _steady(self, around: Sequence[_Kept], at: int) -> Answer:
        own = around[at]
        correction = self._steadier.correction([one.seen for one in around], at) * np.float32(self._strength)
        planes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(correction, 2, 0))).to(own.change.gain.device)
        gain, fill = own.change.gain + planes[:3], (own.change.fill + planes[3:]).clamp_min(0)
        return replace(own.answer, change=replace(own.change, gain=gain, fill=fill))


def _seen(inputs: FrameInputs, change: LightChange) -> Seen:
    plate, matte, gain, fill = (
        np.asarray(x.detach().cpu().numpy(), np.float32) for x in (inputs.plate, inputs.matte, change.gain, change.fill)
    )
    look = np.log2(np.maximum(np.nan_to_num(plate), 0) + np.float32(FLOOR))
    signal = np.concatenate([gain, fill])
    weight = solid(np.clip(np.nan_to_num(matte), 0, 1))[0]
    return Seen(inputs.frame, _planes_last(look), _planes_last(signal), weight)


def _bytes(own: Capabilities, radius: int) -> int:
    """Per pixel of the engine's pictures: of frames held, its window and those on either side that come with others."""
    held = own.window_frames + 2 * (-(-radius // own.window_frames)) * own.window_frames
    return held * _BYTES_HELD + (2 * radius + 1) * _BYTES_AT_WORK


def _planes_last(planes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(planes, 0, 2))
