"""Flicker that needs no model: each frame's foreground in colours and shading of its own (facts/harmovid §1.5).

    colour   exposure, white balance, and a smooth random 3-D table, as a LUT chosen anew for every frame
    shading  a smooth random field of gain, as shadows that jump

The steady original is what a deflickering network has to answer, so these pairs train it, and test it, without weights.
Everything is a gain in stops, so light over 1 stays light over 1, and black stays black. Draws are keyed by seed, clip
and frame: the same frame flickers alike in every run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np

from platelight.document import entry

__all__ = ["Strength", "jittered"]

_KNOTS = 5  # of the table, along each axis
_SPAN_STOPS = 12.0  # of the table: half of it below, half above mid grey
_GREY, _LEAST = 0.18, 1e-6


@dataclass(frozen=True)
class Strength:
    """Standard deviations, in stops, of what is drawn for a frame; a clip's own strength is drawn up to these."""

    exposure: float = entry("of the whole foreground", default=0.3, minimum=0, maximum=4, unit="stops")
    balance: float = entry("of each channel", default=0.12, minimum=0, maximum=4, unit="stops")
    table: float = entry("of each knot of the 3-D table", default=0.2, minimum=0, maximum=4, unit="stops")
    shading: float = entry("of each knot of the field of gain", default=0.5, minimum=0, maximum=4, unit="stops")


def jittered(
    plate: np.ndarray, matte: np.ndarray, frame: int, clip: str, seed: int, strength: Strength | None = None
) -> np.ndarray:
    """The plate with its foreground's light changed for this frame; outside the matte it is the plate, bit for bit.

    plate (3, H, W) float32, scene-linear, may be <0 and >1; matte (1, H, W) 0..1 -> (3, H, W) float32
    """
    strength = strength or Strength()
    of_clip = _generator(seed, clip, "clip")
    share = of_clip.uniform(0.25, 1.0, 4)  # clips flicker more or less: a network must not learn one amount
    draw = _generator(seed, clip, frame)
    stops = draw.normal(0, strength.exposure * share[0]) + draw.normal(0, strength.balance * share[1], (3, 1, 1))
    stops = stops + _table(plate, draw, strength.table * share[2])
    stops = stops + _field(plate.shape[1:], draw, of_clip, strength.shading * share[3])
    changed = plate * np.exp2(stops).astype(np.float32)
    return np.where(matte > 0, plate + matte * (changed - plate), plate).astype(np.float32)


def _table(plate: np.ndarray, draw: np.random.Generator, deviation: float) -> np.ndarray:
    """Stops (3, H, W) from a table over log light, trilinear between its knots."""
    knots = draw.normal(0, deviation, (_KNOTS, _KNOTS, _KNOTS, 3))
    code = np.log2(np.maximum(plate, _LEAST) / _GREY) / _SPAN_STOPS + 0.5
    place = np.clip(code, 0, 1) * (_KNOTS - 1)
    low = np.minimum(place.astype(np.int64), _KNOTS - 2)
    part = place - low
    total = np.zeros(plate.shape, np.float64)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod([part[axis] if up else 1 - part[axis] for axis, up in enumerate(corner)], axis=0)
        found = knots[tuple(low[axis] + up for axis, up in enumerate(corner))]
        total += np.moveaxis(found, -1, 0) * weight
    return total


def _field(
    size: tuple[int, ...], draw: np.random.Generator, of_clip: np.random.Generator, deviation: float
) -> np.ndarray:
    """Stops (1, H, W): smooth between random knots, their number the clip's own; a part is the clip's and stays."""
    rows, columns = int(of_clip.integers(2, 6)), int(of_clip.integers(3, 8))
    knots = draw.normal(0, deviation, (rows, columns)) + of_clip.normal(0, deviation / 2, (rows, columns))
    return cv2.resize(knots.astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)[None]


def _generator(*key: object) -> np.random.Generator:
    text = "/".join(map(str, key))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
