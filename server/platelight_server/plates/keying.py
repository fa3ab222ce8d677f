"""A matte keyed from the plate while it is read: the screen of a shot, and the frames that it is measured on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from platelight.errors import FrameError
from platelight.recipe import Recipe
from platelight.recipe_parts import Keying

from ..mattes import finding
from ..mattes.keyer import key
from ..mattes.screen import Screen

if TYPE_CHECKING:
    from .inputs import Inputs

__all__ = ["keyed", "screen_frames", "screen_of"]


def screen_frames(recipe: Recipe) -> tuple[int, ...]:
    """The frames of the shot that its screen is measured on; none where the recipe keys nothing."""
    return finding.screen_frames(tuple(recipe.frames)) if recipe.matte is not None and recipe.matte.key is not None else ()


def screen_of(inputs: Inputs) -> Screen:
    """The screen that the recipe asks to key. Raises `FrameError` naming its key where there is none."""
    asked = inputs.recipe.matte
    assert asked is not None and asked.key is not None
    frames = [frame for frame in screen_frames(inputs.recipe) if inputs.plate.files.get(frame) is not None]
    try:
        return finding.found_screen(frames, inputs.filmed, asked.key, asked.keying or Keying(), _offset(inputs))
    except FrameError as error:
        raise FrameError(f"matte.key: {error}") from None


def keyed(inputs: Inputs, plate: np.ndarray) -> np.ndarray:
    """The matte of one frame over the work window, (1, H, W) float32, from its plate as `Inputs.filmed` gives it."""
    asked = inputs.recipe.matte
    assert inputs.screen is not None and asked is not None
    return key(plate, inputs.screen, asked.keying or Keying(), _offset(inputs))


def _offset(inputs: Inputs) -> tuple[int, int]:
    return inputs.work.x_first - inputs.display.x_first, inputs.work.y_first - inputs.display.y_first
