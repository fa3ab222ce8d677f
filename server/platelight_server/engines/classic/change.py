"""From what is known of the old and the new light to a gain in stops, per channel and normal.

Owns which inputs make which grade, and how much of a guess is believed. P0 has plates only, P1 a probe or lights for
the new scene, P2 a probe for the plate as well; `keep` keeps the background and may add lights. What a grade does not
know it changes little. The method is the irradiance ratio (Wen, Liu and Huang, "Face Relighting with Radiance
Environment Maps", CVPR 2003), in stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from platelight_server.engines.classic.level import GREY, cautious
from platelight_server.engines.classic.light import Surroundings
from platelight_server.engines.classic.reading import Reading, irradiance_stops, new_light
from platelight_server.engines.classic.sphere import Array, f32, finite
from platelight_server.engines.interface import FrameInputs

# What a background plate says about direction and colour, and how much of the plate's own shading is taken away for it.
# A picture is a narrow window on the light: its colour may be that of one wall, and taking all of the old shading away
# for a direction that is half known leaves a flat subject.
PICTURE_DIRECTION, PICTURE_COLOUR, PICTURE_REMOVAL = 0.8, 0.35, 0.5
MOST_GAIN_STOPS = 8.0
CONFIDENCE: Mapping[str, float] = {"P2": 0.8, "P1": 0.6, "P0": 0.35, "keep": 1.0}


def grade_of(inputs: FrameInputs) -> str:
    """`keep`, `P0`, `P1` or `P2`, from what a frame brings."""
    if inputs.background is None and inputs.probe_background is None:
        return "keep"
    if inputs.probe_background is None and not inputs.lights:
        return "P0"
    return "P1" if inputs.probe_plate is None else "P2"


def level_of(grade: str, reading: Reading, guess: bool) -> tuple[float, str]:
    """Stops to change the exposure by, and where that comes from: see `level.cautious`.

    0 where both lights are known in the same units; then the level is in the light.
    """
    if grade == "keep":
        return 0.0, "background kept"
    if grade == "P2":
        return 0.0, "both probes"
    if grade == "P1" and reading.card is not None:
        return 0.0, "probe and grey card"
    if not guess:
        return 0.0, "off"
    grey = float(np.log2(GREY))
    if grade == "P1":
        foreground = reading.new_mean_stops + grey - float(np.log2(np.pi)) - reading.plate_light.median_stops
        return cautious(foreground, reading.surround_stops), "guess from probe, foreground and surroundings"
    background = reading.background_stops or 0.0
    if reading.card is not None:  # the card is a second, certain observation of the plate's level
        card = background - float(np.log2(reading.card.mean()))
        return cautious(card, card), "guess from background and grey card"
    foreground = background - reading.plate_light.median_stops
    return cautious(foreground, reading.surround_stops), "guess from background, foreground and surroundings"


@dataclass(frozen=True)
class Change:
    """The change of light of one clip: what was read of it, its grade, level in stops, and luminance weights (3,)."""

    reading: Reading
    grade: str
    level_stops: float
    luminance: Array

    def source(self, inputs: FrameInputs, new_probe: Surroundings | None) -> Surroundings | None:
        """The new scene's light on a frame; only the added lights where the background is kept."""
        return new_light(new_probe, inputs.lights, self.reading.picture, self.reading.subject)

    def gain(self, source: Surroundings | None, old_probe: Surroundings | None, facing: Array) -> Array:
        """Stops per channel (h, w, 3) float32 at unit world normals (h, w, 3)."""
        if source is None:
            return np.zeros_like(facing)
        new = irradiance_stops(source, facing)
        old = None if old_probe is None else irradiance_stops(old_probe, facing)
        if self.grade == "keep":
            there = self._read_stops(facing) if old is None else old
            gain = np.log2(1 + np.exp2(new - there))
        elif self.grade == "P2" and old is not None:
            gain = new - old
        elif self.grade == "P1" and self.reading.card is not None:
            gain = new - self._read_stops(facing)
        else:
            gain = self._guessed(new, old, facing)
        return f32(np.clip(gain, -MOST_GAIN_STOPS, MOST_GAIN_STOPS))

    def anchored(self, gain: Array, plate: Array, matte: Array) -> Array:
        """A guessed gain (h, w, 3), moved so that the foreground's mean luminance changes by the level on every frame.

        A light that is only guessed (P0) must not make the subject pump as it turns or is hidden. plate (h, w, 3)
        scene-linear, matte (h, w), of the gain's size. Other grades' gains are returned as they are. The matte's core
        is what counts, for its rim shows the old background; the whole matte, where it has no core.
        """
        if self.grade != "P0":
            return gain
        core = f32(cv2.erode(matte, np.ones((3, 3), np.uint8)) > 0.95)
        lit = np.maximum(finite(plate) @ self.luminance, 0) * (core if core.any() else matte)
        total = float(lit.sum(dtype=np.float64))
        if total < 1e-6:
            return gain
        relit = float((lit * (np.exp2(gain) @ self.luminance)).sum(dtype=np.float64))
        return f32(gain + np.float32(self.level_stops - np.log2(max(relit / total, 1e-6))))

    def confidence(self, gain: Array) -> Array:
        """(h, w) 0..1: the grade's, less where a gain leaves the clip's level, for it then rests on guessed normals."""
        away = np.abs(gain @ self.luminance - np.float32(self.level_stops))
        return f32(np.float32(CONFIDENCE[self.grade]) / (1 + away))

    def _guessed(self, new: Array, old: Array | None, facing: Array) -> Array:
        """The gain whose mean over the foreground is the level, from a new light and the shading of the old one."""
        shade = np.log2(np.maximum(np.exp2(new) @ self.luminance, 1e-8))[..., None]
        colour = new - shade
        shade = shade - np.float32(self.reading.new_mean_stops)
        removed = self.reading.plate_light.shading_stops(facing)[..., None] + self._card_colour()
        if self.grade == "P0":
            shade, colour, removed = PICTURE_DIRECTION * shade, PICTURE_COLOUR * colour, PICTURE_REMOVAL * removed
        if old is not None:
            removed = old - np.float32(self.reading.plate_mean_stops)
        return f32(shade + colour - removed + np.float32(self.level_stops))

    def _card_colour(self) -> Array:
        card = self.reading.card
        return np.zeros(3, np.float32) if card is None else f32(np.log2(card / float(card @ self.luminance)))

    def _read_stops(self, facing: Array) -> Array:
        """log2 irradiance (h, w, 3) of the plate's own light: its shading, at the level of the card or of grey."""
        reading = self.reading
        level = np.log2(reading.card) if reading.card is not None else np.full(3, reading.plate_light.median_stops)
        irradiance = f32(level + np.log2(np.pi / GREY))
        return f32(reading.plate_light.shading_stops(facing)[..., None] + irradiance)
