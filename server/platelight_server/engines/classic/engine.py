"""The classic engine: relights by the ratio of the new light's irradiance to the old light's, at each normal.

Owns the engine's interface: options, notes, the context in time. No weights, no GPU, no random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
import torch

from platelight_server.engines.classic import light, normals, shadow
from platelight_server.engines.classic.change import Change, grade_of, level_of
from platelight_server.engines.classic.light import Surroundings
from platelight_server.engines.classic.reading import MOST_SAMPLES, Probes, read
from platelight_server.engines.classic.seen import Memory, matte_of, to_hwc, world_normals
from platelight_server.engines.classic.sphere import Array, f32
from platelight_server.engines.interface import (
    Answer,
    Capabilities,
    Engine,
    FrameInputs,
    LightChange,
    Notes,
    Option,
    Shot,
)

_OPTIONS = (
    Option(
        "exposure_guess",
        "choice",
        "auto",
        "guess, cautiously, how much brighter or darker the new scene is, or leave the exposure alone",
        choices=("auto", "off"),
    ),
    Option(
        "grey_card",
        "floats",
        (),
        "an 18 % grey card in the plate as frame, x, y, size (centre from the top left and side, as shares of the "
        "picture's width and height); fixes the level and colour of the plate's light",
        minimum=0,
        parts=("frame", "x", "y", "size"),
    ),
    Option(
        "subject_distance_m",
        "float",
        0.0,
        "distance of the subject from the camera; 0 takes it from the ground and the foot",
        minimum=0,
        unit="m",
    ),
    Option("shadow", "bool", True, "cast a shadow where a ground and a camera are given"),
)


class ClassicEngine(Engine):
    """See the module. The same inputs give the same bits, whatever the windows."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        name="classic",
        summary="Relights by spherical harmonics and normals from the matte; no weights, no GPU",
        backgrounds=("keep", "still", "sequence"),
        model_height=360,
        window_frames=1,
        context_before=normals.CONTEXT_FRAMES,
        context_after=normals.CONTEXT_FRAMES,
        sampled_frames=MOST_SAMPLES,
        uses_probes=True,
        uses_lights=True,
        uses_camera=True,
        options=_OPTIONS,
        version=2,
        memory_bytes_per_pixel=120,
    )
    prepares_again: ClassVar[bool] = True

    def __init__(self, options: Mapping[str, Any], device: str = "cpu") -> None:
        super().__init__({option.name: option.default for option in _OPTIONS} | dict(options), device)
        self._shot: Shot | None = None
        self._change: Change | None = None
        self._probes, self._memory = Probes(), Memory()
        self._places: dict[int, int] = {}
        self._stability = 1.0

    def prepare(self, shot: Shot) -> Notes:
        """Reads at most twelve frames of the clip; see `reading`. Raises RecipeError for an unusable grey card."""
        distance_m = float(self.options["subject_distance_m"])
        reading = read(shot, self._memory, self._probes, distance_m, tuple(self.options["grey_card"]))
        grade = grade_of(reading.first)
        level_stops, how = level_of(grade, reading, self.options["exposure_guess"] == "auto")
        self._stability = shot.stability
        self._shot, self._places = shot, {frame: i for i, frame in enumerate(shot.frames)}
        self._change = Change(reading, grade, level_stops, np.array(shot.luminance, np.float32))
        return Notes(
            {
                "grade": grade,
                "exposure_guess_stops": round(level_stops, 4),
                "exposure_from": how,
                "plate_light_direction": [round(value, 4) for value in reading.plate_light.towards()],
                "plate_light_contrast_stops": round(reading.plate_light.contrast_stops(), 4),
                "plate_screen": reading.screen,
                "subject_position_m": [round(float(value), 4) for value in reading.subject],
                "shadow": self._casts(reading.first),
                "sampled_frames": list(reading.sampled),
            }
        )

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        """Answers `answered`; each depends on itself and on the two frames of the shot on either side of it."""
        held = {inputs.frame: inputs for inputs in window}
        for frame in answered:
            around = self._around(frame, held)
            potentials = self._memory.potentials([held[near] for near in around])
            mixed = normals.average(potentials, list(around.values()), self._stability)
            yield self._answer(held[frame], mixed, [held[near] for near in around])

    def _around(self, frame: int, held: Mapping[int, FrameInputs]) -> dict[int, int]:
        """The frame and its neighbours in the shot that the window holds, each with its offset."""
        assert self._shot is not None, "prepare() comes before relight()"
        i, frames = self._places[frame], self._shot.frames
        offsets = range(-normals.CONTEXT_FRAMES, normals.CONTEXT_FRAMES + 1)
        near = {frames[i + k]: k for k in offsets if 0 <= i + k < len(frames)}
        return {f: k for f, k in near.items() if f in held and held[f].matte.shape == held[frame].matte.shape}

    def _answer(self, inputs: FrameInputs, potential: Array, around: Sequence[FrameInputs]) -> Answer:
        assert self._change is not None, "prepare() comes before relight()"
        h, w = int(inputs.matte.shape[1]), int(inputs.matte.shape[2])
        # Inflated normals are smooth over several pixels: half size costs a quarter and the eye sees no difference.
        size = (h, w) if inputs.normal is not None else ((h + 1) // 2, (w + 1) // 2)
        facing = world_normals(inputs, potential, *size)
        source = self._change.source(inputs, self._probes.background(inputs))
        gain = self._change.gain(source, self._probes.plate(inputs), facing)
        gain = self._change.anchored(gain, _sized(to_hwc(inputs.plate), size), _sized(matte_of(inputs), size))
        confidence = self._change.confidence(gain)[..., None]
        return Answer(
            inputs.frame,
            LightChange(_planar(gain, h, w), torch.zeros(3, h, w), _planar(confidence, h, w)),
            shadow=self._shadow(inputs, source, around),
            normal=_planar(facing @ light.rotation(inputs.camera), h, w),
        )

    def _casts(self, inputs: FrameInputs) -> bool:
        """Whether there is all that a shadow needs."""
        assert self._shot is not None and self._change is not None
        known = self._shot.ground is not None and inputs.camera is not None and inputs.background is not None
        return bool(self.options["shadow"]) and known and self._change.reading.stands

    def _shadow(
        self, inputs: FrameInputs, source: Surroundings | None, around: Sequence[FrameInputs]
    ) -> torch.Tensor | None:
        """(1, h, w), 1 = no shadow; the foot's place in the world is averaged over the frames around."""
        if source is None or not self._casts(inputs):
            return None
        assert self._shot is not None and self._shot.ground is not None and self._change is not None
        assert inputs.camera is not None
        ground, distance_m = self._shot.ground, float(self.options["subject_distance_m"])
        stands = []
        for near in around:
            matte = matte_of(near)
            foot, (h, w) = shadow.find_foot(matte), matte.shape
            if foot is not None and near.camera is not None:
                stands.append(shadow.stand_on(foot, near.camera, ground, h, w, distance_m))
        matte = matte_of(inputs)
        foot = shadow.find_foot(matte)
        found = [stand for stand in stands if stand is not None]
        left = None
        if foot is not None and found:
            stand = f32(np.mean(found, 0))
            left = shadow.cast(matte, foot, stand, inputs.camera, ground, source, self._change.luminance)
        return torch.from_numpy(np.ones(matte.shape, np.float32) if left is None else left)[None]


def _planar(picture: Array, height: int, width: int) -> torch.Tensor:
    """(h, w, C) at any size to torch (C, height, width)."""
    if picture.shape[:2] != (height, width):
        picture = f32(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)).reshape(height, width, -1)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(picture, -1, 0)))


def _sized(picture: Array, size: tuple[int, int]) -> Array:
    """(H, W[, C]) brought to a smaller size by area."""
    return f32(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA))
