"""Steadies signals of a shot (changes of light, in stops) in time, along the motion of the source.

For a frame t every frame within `radius` is brought to t's place by the source's motion. First the whole frame is
judged: a line in its colours says by how much each of the others lies away (`levels`), and their robust mean in time is
the correction of all its pixels. With that taken off, where a robust mean of a place lies away from t's own value, that
distance is smoothed along the relit picture's edges and added to the correction. Of both parts only that share is taken
which is no light that moves (`evidence`). What is added is never finer than the picture's edges say, and where nothing
can be brought to t's place the correction comes from around.

A frame depends on the frames within `radius` alone, so any part of a shot gives the same bits as the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import torch

from platelight_server.deflicker import levels, motion
from platelight_server.deflicker.cuts import cuts
from platelight_server.deflicker.evidence import flicker_share
from platelight_server.deflicker.robust import robust_mean
from platelight_server.deflicker.smoothing import fit_lines

Array = np.ndarray

# Raised when the same inputs give other corrections.
VERSION = 2
DEFAULT_RADIUS, RADIUS_MOST = 6, 12
# How far the correction is smoothed, as a share of the shorter side, and the contrast (stops) that its edges keep to.
_REACH, _EDGE_STOPS = 0.05, 0.25
# A whole frame this many stops away from all around it is an event, such as a flash, and is left as it is.
_EVENT_STOPS = (1.25, 1.75)
# Sum of weights, of one frame's, at which a correction is half sure.
_HALF_SURE = 0.25


@dataclass(frozen=True)
class Seen:
    """One frame as it is steadied.

    look     (h, w, 3) float32, log2 of the source: its motion is followed, its edges are kept to
    signal   (h, w, C) float32, what is steadied, C a multiple of 3; stops where it is a gain
    weight   (h, w) float32, 0..1: how far the signal means anything there (matte, no NaN)
    to_last  (h, w, 2) float32 pixels, right and down, from this frame to the one before; `None` = to be found
    """

    frame: int
    look: Array
    signal: Array
    weight: Array
    to_last: Array | None = None

    @cached_property
    def relit(self) -> Array:
        """(h, w, 3) log2 of the relit picture: the guide of its correction."""
        return np.asarray(self.look + self.signal[..., :3])

    @cached_property
    def contrast(self) -> Array:
        """What motion is found by."""
        return motion.contrast(np.ascontiguousarray(self.look.mean(2)))

    @cached_property
    def small(self) -> torch.Tensor:
        """(3, 18, 32) code values 0..1, what cuts are found by."""
        size = cv2.resize(self.look, (32, 18), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(np.moveaxis(np.clip(size / 12 + 0.8, 0, 1), 2, 0).copy())

    @cached_property
    def level(self) -> Array:
        """(C,) the mean signal, what events are found by."""
        weight = self.weight[..., None]
        return np.asarray((self.signal * weight).sum((0, 1)) / (weight.sum() + 1e-6))


@dataclass
class Steadier:
    """Corrections of the frames of one shot, asked for in any order; motion found once is kept while it is near.

    radius  frames on either side; the temporal bandwidth: changes that take longer than this stay
    """

    radius: int = DEFAULT_RADIUS
    _kept: dict[tuple[int, int], Array] = field(default_factory=dict, repr=False)

    def correction(self, window: Sequence[Seen], at: int) -> Array:
        """What to add to the signal of `window[at]`, (h, w, C) float32, exactly 0 where the window is that frame alone.

        window  the frames within `radius` of it in the shot, in order, of one size, itself included
        """
        first, last = _same_shot(window, at)
        own = window[at]
        if last - first == 1:
            return np.zeros_like(own.signal)
        values, weights = [], []
        for place in range(first, last):
            value, weight = self._brought(window, place, at)
            values.append(value)
            weights.append(weight * _kernel(place - at, self.radius))
        self._forget(own.frame)
        offsets = np.arange(first - at, last - at, dtype=np.float32)
        found = _corrected(own, np.stack(values), np.stack(weights), offsets, self.radius)
        return found * _no_event(window[first:last], own)

    def _brought(self, window: Sequence[Seen], place: int, at: int) -> tuple[Array, Array]:
        """The signal of a neighbour at the frame's own places, and its weight there."""
        own, other = window[at], window[place]
        if place == at:
            return own.signal, own.weight
        there, back = self._way(window, at, place), self._way(window, place, at)
        weight = motion.trust(there, back, own.contrast, other.contrast)
        return motion.warped(other.signal, there), weight * motion.warped(other.weight, there)

    def _way(self, window: Sequence[Seen], a: int, b: int) -> Array:
        """The displacement from one frame of the window to another."""
        key = (window[a].frame, window[b].frame)
        if key not in self._kept:
            given = _given(window, a, b)
            self._kept[key] = motion.flow(window[a].contrast, window[b].contrast) if given is None else given
        return self._kept[key]

    def _forget(self, frame: int) -> None:
        """Lets go what no frame near this one will ask for."""
        for key in [key for key in self._kept if max(abs(f - frame) for f in key) > 2 * self.radius]:
            del self._kept[key]


def _corrected(own: Seen, values: Array, weights: Array, offsets: Array, radius: int) -> Array:
    """The correction of the whole frame and of its places. values (n, h, w, C) are the signals brought to the frame's
    places, weights (n, h, w) theirs there, offsets (n,) theirs in time."""
    count, channels = len(values), values.shape[3]
    colours = levels.Colours.of(own.relit, own.weight)
    numbers = colours.numbers(own.relit)
    lines = levels.lines(values - own.signal, weights, numbers, colours.shrink)
    in_time = np.array([_kernel(int(offset), radius) for offset in offsets], np.float32).reshape(-1, 1, 1)
    stack = lines.reshape(count, 1, 1, -1)
    level = robust_mean(stack, in_time, offsets)[0] * flicker_share(stack, in_time, offsets)
    # Every frame at the level of this one: what is left differs from place to place.
    for value, line in zip(values, lines, strict=True):
        value -= levels.at(numbers, line)
    steady, sure = robust_mean(values, weights, offsets)
    local = (steady - own.signal) * flicker_share(values, weights, offsets)
    return np.asarray(levels.at(numbers, level.reshape(-1, channels)) + _smoothed(local, own, sure))


def _same_shot(window: Sequence[Seen], at: int) -> tuple[int, int]:
    """The part of the window without a cut in it, around the frame."""
    borders = (0, *cuts(torch.stack([one.small for one in window])), len(window))
    return max(b for b in borders if b <= at), min(b for b in borders if b > at)


def _no_event(part: Sequence[Seen], own: Seen) -> float:
    """1, or less where the whole frame differs from all around it by far: a flash is light, not flicker."""
    levels = np.stack([one.level for one in part])
    away = np.abs(levels - np.median(levels, 0)).max(1)
    others = float(np.median(away))
    mine = float(np.abs(own.level - np.median(levels, 0)).max())
    low, high = (max(stops, 4 * others + stops - _EVENT_STOPS[0]) for stops in _EVENT_STOPS)
    return float(np.clip((high - mine) / (high - low), 0, 1))


def _smoothed(correction: Array, own: Seen, sure: Array) -> Array:
    """The correction along the relit picture's edges, each place by how sure it is there. Flicker that depends on
    colours depends on the relit ones."""
    speaks = own.weight * sure / (sure + _HALF_SURE)
    radius = _REACH * min(own.look.shape[:2])
    groups = range(0, correction.shape[2], 3)
    lines = [fit_lines(correction[..., i : i + 3], own.relit, speaks, radius, _EDGE_STOPS**2) for i in groups]
    return np.concatenate([line.at(own.relit) for line in lines], 2)


def _given(window: Sequence[Seen], a: int, b: int) -> Array | None:
    """The displacement by the vectors that are given, one frame after the other; `None` where there are none."""
    steps = []
    for place in range(a, b) if a < b else range(a, b, -1):
        vectors = window[max(place, place + (1 if a < b else -1))].to_last
        if vectors is None:
            return None
        steps.append(motion.inverted(vectors) if a < b else vectors)
    return motion.chained(steps)


def _kernel(offset: int, radius: int) -> np.float32:
    return np.float32(1 - (offset / (radius + 1)) ** 2)


__all__ = ["DEFAULT_RADIUS", "RADIUS_MOST", "VERSION", "Seen", "Steadier", "robust_mean"]
