"""A matte keyed from the plate while it is read: the screen of a shot, and the frames that it is measured on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from platelight.errors import FrameError
from platelight.recipe import Recipe
from platelight.recipe_parts import Keying

from ..mattes import finding
from ..mattes.keyer import key
from ..mattes.screen import Screen
from . import fence
from .facts import SETTLED_S

if TYPE_CHECKING:
    from .inputs import Inputs

# Screens measured in this process, by all that they depend on: a preview opens a shot anew for every frame, and the
# plates that a screen is measured on are the same for all of them.
MEASURED_MOST = 16
_MEASURED: dict[object, Screen] = {}
_LOCK = threading.Lock()

__all__ = ["keyed", "screen_frames", "screen_of"]


def screen_frames(recipe: Recipe) -> tuple[int, ...]:
    """The frames of the shot that its screen is measured on; none where the recipe keys nothing."""
    return (
        finding.screen_frames(tuple(recipe.frames)) if recipe.matte is not None and recipe.matte.key is not None else ()
    )


def screen_of(inputs: Inputs) -> Screen:
    """The screen that the recipe asks to key. Raises `FrameError` naming its key where there is none."""
    asked = inputs.recipe.matte
    assert asked is not None and asked.key is not None
    dials = asked.keying or Keying()
    frames = [frame for frame in screen_frames(inputs.recipe) if inputs.plate.files.get(frame) is not None]
    stamps = tuple(_stamp(inputs, frame) for frame in frames)
    boxes = (dials.garbage, dials.hold_out, inputs.work, inputs.display)
    known = (asked.key, dials.color, boxes, inputs.plate.channels, stamps)
    with _LOCK:
        if known in _MEASURED:
            return _MEASURED[known]
    try:
        screen = finding.found_screen(frames, inputs.filmed, asked.key, dials, _offset(inputs))
    except FrameError as error:
        raise FrameError(f"matte.key: {error}") from None
    if None not in stamps:
        with _LOCK:
            _MEASURED[known] = screen
            while len(_MEASURED) > MEASURED_MOST:
                del _MEASURED[next(iter(_MEASURED))]
    return screen


def _stamp(inputs: Inputs, frame: int) -> tuple[object, ...] | None:
    """What tells that a plate's file is still the same; `None` for one that may change again within its timestamp."""
    path = inputs.plate.files[frame]
    assert path is not None
    try:
        status = fence.status(path)
    except OSError:
        raise FrameError(f"{path}: no such file") from None
    if time.time() - max(status.st_mtime, status.st_ctime) < SETTLED_S:
        return None
    return (frame, path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def keyed(inputs: Inputs, plate: np.ndarray) -> np.ndarray:
    """The matte of one frame over the work window, (1, H, W) float32, from its plate as `Inputs.filmed` gives it."""
    asked = inputs.recipe.matte
    assert inputs.screen is not None and asked is not None
    return key(plate, inputs.screen, asked.keying or Keying(), _offset(inputs))


def _offset(inputs: Inputs) -> tuple[int, int]:
    return inputs.work.x_first - inputs.display.x_first, inputs.work.y_first - inputs.display.y_first
