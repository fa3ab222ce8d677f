"""What the classic engine sees on a frame whatever lights the new scene: normals, tones, surroundings, the foot.

Owns what is remembered of it, so that a shot whose lights or probes have changed is read again at no cost. It is
remembered by the tensors themselves: the same objects show the same, others are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from platelight.camera import CameraFrame
from platelight_server.engines.classic import level, light, normals, shadow
from platelight_server.engines.classic.level import PlateLight
from platelight_server.engines.classic.light import Surroundings
from platelight_server.engines.classic.sphere import Array, f32, finite
from platelight_server.engines.interface import FrameInputs

OPAQUE, CLEAR = 0.95, 0.05


@dataclass(frozen=True)
class Seen:
    """One sampled frame. `of` is what it was read from.

    facing, stops   unit world normals (n, 3) and log2 luminance (n,) of the opaque foreground
    old_stops       mean log2 luminance of the surroundings, `screen` whether they are one; `None` where none are seen
    new_stops       the same of the new background, `picture` the background itself, small, with its camera
    """

    of: FrameInputs
    facing: Array
    stops: Array
    old_stops: float | None
    screen: bool
    new_stops: float | None
    picture: tuple[Array, CameraFrame | None] | None
    foot: shadow.Foot | None


class Memory:
    """What an engine remembers of the frames that it has looked at: the last shot's sampled ones, and potentials."""

    def __init__(self) -> None:
        self._seen: dict[int, Seen] = {}
        self._luminance: Array | None = None
        self._lights: tuple[tuple[Seen, ...], PlateLight, Surroundings | None] | None = None
        self._potentials: dict[int, tuple[object, Array]] = {}

    def seen(self, frames: Sequence[FrameInputs], luminance: Array) -> tuple[Seen, ...]:
        """What these frames show; frames that were there the last time are not looked at again."""
        if self._luminance is None or not np.array_equal(self._luminance, luminance):
            self._seen, self._luminance = {}, luminance
        kept = {}
        for inputs in frames:
            held = self._seen.get(inputs.frame)
            kept[inputs.frame] = held if held is not None and _same(held.of, inputs) else _look(inputs, luminance)
        self._seen = kept
        return tuple(kept.values())

    def lights(self, seen: tuple[Seen, ...]) -> tuple[PlateLight, Surroundings | None]:
        """The plate's own light and the new one guessed from the backgrounds, both read off all sampled frames."""
        if self._lights is None or not _are(self._lights[0], seen):
            reader = level.ShadingReader()
            for one in seen:
                reader.add(one.facing, one.stops)
            pictures = [one.picture for one in seen if one.picture is not None]
            self._lights = (seen, reader.read(), light.from_pictures(pictures) if pictures else None)
        return self._lights[1], self._lights[2]

    def potentials(self, around: Sequence[FrameInputs]) -> list[Array]:
        """Potentials of a frame and its neighbours. Windows overlap by their context: what the last one solved is kept,
        what this one does not need is dropped."""
        kept = {}
        for inputs in around:
            held = self._potentials.get(inputs.frame)
            known = held is not None and held[0] is inputs.matte
            kept[inputs.frame] = held if held and known else (inputs.matte, normals.potential(matte_of(inputs)))
        self._potentials = kept
        return [found for _, found in kept.values()]


def to_hwc(tensor: object) -> Array:
    """A torch (C, h, w) as (h, w, C) float32, contiguous."""
    return np.ascontiguousarray(np.moveaxis(np.asarray(tensor, np.float32), 0, -1))


def matte_of(inputs: FrameInputs) -> Array:
    """The matte as (h, w) float32, finite."""
    return finite(to_hwc(inputs.matte)[..., 0])


def world_normals(inputs: FrameInputs, potential: Array, height: int = 0, width: int = 0) -> Array:
    """Unit world normals (height, width, 3), at the frame's size by default, from the user's layer or a potential."""
    h, w = height or int(inputs.matte.shape[1]), width or int(inputs.matte.shape[2])
    facing = normals.from_potential(potential, h, w)
    if inputs.normal is not None:
        facing = normals.from_layer(to_hwc(inputs.normal), facing)
    return (facing @ light.rotation(inputs.camera).T).astype(np.float32)


def small_picture(picture: Array) -> Array:
    """A background (h, w, 3) at the size that it is remembered in."""
    gh, gw = light.PICTURE_SIZE
    return f32(cv2.resize(np.nan_to_num(picture), (gw * 2, gh * 2), interpolation=cv2.INTER_AREA))


def _look(inputs: FrameInputs, luminance: Array) -> Seen:
    plate, matte = to_hwc(inputs.plate), matte_of(inputs)
    stops = level.log_luminance(plate, luminance)
    facing = world_normals(inputs, normals.potential(matte))
    opaque, clear = matte > OPAQUE, matte < CLEAR
    behind = None if inputs.background is None else to_hwc(inputs.background)
    return Seen(
        inputs,
        facing[opaque],
        stops[opaque],
        float(stops[clear].mean()) if clear.any() else None,
        level.is_screen(plate[clear]) if clear.any() else False,
        None if behind is None else float(level.log_luminance(behind, luminance).mean()),
        None if behind is None else (small_picture(behind), inputs.camera),
        shadow.find_foot(matte),
    )


def _same(one: FrameInputs, other: FrameInputs) -> bool:
    """Whether two frames show the same, lights and probes aside."""
    pictures = ((one.plate, other.plate), (one.matte, other.matte), (one.background, other.background))
    return all(a is b for a, b in (*pictures, (one.normal, other.normal))) and one.camera == other.camera


def _are(one: Sequence[object], other: Sequence[object]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
