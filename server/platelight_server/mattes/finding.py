"""Finding a shot's screen in frames sampled over all of it, so that any part of the shot is keyed alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from platelight.errors import FrameError
from platelight.frames import FrameRange, sample_frames
from platelight.recipe_parts import Keying

from .keyer import boxed
from .screen import Screen, bright_channels, channels_of, detect, fit, look

__all__ = ["KEYER_VERSION", "found_screen", "screen_frames"]

# Raised whenever the same plate gives another matte.
KEYER_VERSION = 1
SAMPLED_FRAMES = 7


def screen_frames(frames: Sequence[int]) -> tuple[int, ...]:
    """The frames that a shot's screen is measured on, whatever part of it is keyed."""
    return sample_frames(tuple(frames), SAMPLED_FRAMES)


def found_screen(
    frames: Sequence[int],
    read: Callable[[int], np.ndarray],
    asked: str,
    dials: Keying,
    offset: tuple[int, int] = (0, 0),
) -> Screen:
    """The screen behind a shot, from `frames` of it. `asked` is "auto", "green" or "blue"; `dials.color` goes first.

    `read` gives (3, H, W) scene-linear, plate primaries. Raises `FrameError` where there is none.
    """
    seen, votes, size = [], Counter[str | None](), (0, 0)
    for frame in frames:
        plate = read(frame)
        size = (plate.shape[1], plate.shape[2])
        outside = boxed((*dials.garbage, *dials.hold_out), plate.shape, offset)
        if asked == "auto" and dials.color is None:
            votes[detect(plate, outside)] += 1
        seen.append(look(plate, outside))
    where = f"frames {FrameRange.of(frames)}"
    if dials.color is not None:
        bright = bright_channels(dials.color)
    elif asked != "auto":
        bright = channels_of(asked)
    else:
        name = max(("green", "blue"), key=lambda one: votes[one])
        if 2 * votes[name] < len(frames):
            raise FrameError(
                f"{where}: expected a green or blue screen around the subject, got none on {votes[None]} of"
                f" {len(frames)} sampled frames; name its colour (--screen, or matte.keying.color), or cover"
                " what is no screen with garbage boxes"
            )
        bright = channels_of(name)
    try:
        return fit(seen, size, bright, dials.color)
    except FrameError as error:
        raise FrameError(f"{where}: {error}") from None
