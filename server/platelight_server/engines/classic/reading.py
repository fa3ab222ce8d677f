"""What the classic engine learns from a clip before it answers a frame: the light, the level, the subject's place.

Owns the pass over at most `MOST_SAMPLES` frames. What it finds holds for the whole clip, so the light is constant
unless the lights themselves move, and any chunking of the work gives the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from platelight.errors import RecipeError
from platelight.frames import sample_frames
from platelight.lights import LightFrame
from platelight_server.engines.classic import light, shadow, sphere
from platelight_server.engines.classic.level import PlateLight
from platelight_server.engines.classic.light import Surroundings
from platelight_server.engines.classic.seen import Memory, to_hwc
from platelight_server.engines.classic.sphere import Array
from platelight_server.engines.interface import FrameInputs, Shot

MOST_SAMPLES = 8
DEFAULT_DISTANCE_M = 4.0
# The inflated normals of the dev subjects are 31 to 37 degrees off. What of this is finer than a limb averages over
# it: light is evaluated for normals that spread this far. Between 0 and 30 degrees the dev figures move by 0.1 dB.
NORMAL_SPREAD_DEG = 20.0


@dataclass(frozen=True)
class Reading:
    """What holds for the whole clip.

    picture         the new light guessed from the background; `None` without a background
    plate_light     the plate's own light, read off the foreground
    new_mean_stops  mean over the foreground of log2 luminance of the new light's irradiance
    plate_mean_stops  the same of the plate's probe
    surround_stops  change of the surroundings' log2 luminance, old to new; `None` where it says nothing
    background_stops mean log2 luminance of the background plate
    card            (3,) the grey card's colour in the plate
    subject         (3,) world metres; stands: whether the foot is seen on most frames
    first           the first frame, from which is told what inputs the clip has
    """

    picture: Surroundings | None
    plate_light: PlateLight
    new_mean_stops: float
    plate_mean_stops: float
    surround_stops: float | None
    background_stops: float | None
    screen: bool
    card: Array | None
    subject: Array
    stands: bool
    first: FrameInputs
    sampled: tuple[int, ...] = field(default=())


class Probes:
    """Probes as surroundings. A still is the same tensor on every frame, so the last one of each kind is remembered."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[object, Surroundings]] = {}

    def background(self, inputs: FrameInputs) -> Surroundings | None:
        """The probe of the new scene."""
        return self._of("background", inputs.probe_background)

    def plate(self, inputs: FrameInputs) -> Surroundings | None:
        """The probe of the plate."""
        return self._of("plate", inputs.probe_plate)

    def _of(self, kind: str, probe: object | None) -> Surroundings | None:
        if probe is None:
            return None
        held = self._last.get(kind)
        if held is None or held[0] is not probe:
            held = self._last[kind] = (probe, light.from_latlong(to_hwc(probe)))
        return held[1]


def read(shot: Shot, memory: Memory, probes: Probes, distance_m: float, grey_card: tuple[float, ...]) -> Reading:
    """Reads the clip. Raises RecipeError for a grey card that is not on the plate."""
    luminance = np.array(shot.luminance, np.float32)
    sampled = tuple(shot.sampled(MOST_SAMPLES))
    seen = memory.seen(sampled, luminance)
    plate_light, picture_light = memory.lights(seen)
    standing = [(inputs, one.foot) for inputs, one in zip(sampled, seen, strict=True) if one.foot is not None]
    places = [_place(inputs, shot, foot, distance_m) for inputs, foot in standing]
    feet = [not foot.cut for _, foot in standing]
    subject = np.mean(places, 0).astype(np.float32) if places else np.zeros(3, np.float32)
    old = [one.old_stops for one in seen if one.old_stops is not None]
    new = [one.new_stops for one in seen if one.new_stops is not None]
    screen = sum(one.screen for one in seen) > len(old) / 2
    told = bool(old) and bool(new) and not screen
    # Every seventh normal of the foreground stands for the others.
    facing = [one.facing[::7] for one in seen]
    lit = [new_light(probes.background(inputs), inputs.lights, picture_light, subject) for inputs in sampled]
    return Reading(
        picture=picture_light,
        plate_light=plate_light,
        new_mean_stops=_mean_stops(zip(lit, facing, strict=True), luminance),
        plate_mean_stops=_mean_stops(zip((probes.plate(inputs) for inputs in sampled), facing, strict=True), luminance),
        surround_stops=float(np.mean(new) - np.mean(old)) if told else None,
        background_stops=float(np.mean(new)) if new else None,
        screen=screen,
        card=_card(shot, grey_card),
        subject=subject,
        stands=bool(feet) and (sum(feet) > len(feet) / 2 or distance_m > 0),
        first=sampled[0] if sampled else shot.inputs(shot.frames[0]),
        sampled=tuple(inputs.frame for inputs in sampled),
    )


def irradiance_stops(source: Surroundings, facing: Array) -> Array:
    """log2 irradiance (..., 3) at unit world normals (..., 3) that are known to `NORMAL_SPREAD_DEG`."""
    return np.log2(sphere.irradiance(sphere.blur(source.harmonics, NORMAL_SPREAD_DEG), facing))


def new_light(
    probe: Surroundings | None, lights: tuple[LightFrame, ...], picture: Surroundings | None, subject: Array
) -> Surroundings | None:
    """The light of the new scene: the probe, else the picture; and the lights. `None` where there is none."""
    parts = [probe or picture] if probe or picture else []
    if lights:
        parts.append(light.from_lights(lights, subject))
    return light.together(*[part for part in parts if part]) if parts else None


def _mean_stops(lit: Iterable[tuple[Surroundings | None, Array]], luminance: Array) -> float:
    """Mean over the foreground's normals of log2 luminance of the irradiance; 0 where there is no light or normal."""
    total, count = 0.0, 0
    for source, facing in lit:
        if source is not None and len(facing):
            value = np.exp2(irradiance_stops(source, facing)) @ luminance
            total, count = total + float(np.log2(value).sum(dtype=np.float64)), count + len(facing)
    return total / max(count, 1)


def _place(inputs: FrameInputs, shot: Shot, foot: shadow.Foot, distance_m: float) -> Array:
    """Where the middle of the subject is, world metres: over its foot where ground and foot are seen, else ahead."""
    h, w = int(inputs.matte.shape[1]), int(inputs.matte.shape[2])
    turn = light.rotation(inputs.camera)
    origin = np.array(inputs.camera.position if inputs.camera else (0.0, 0.0, 0.0), np.float32)
    if inputs.camera and shot.ground and (distance_m or not foot.cut):
        stand = shadow.stand_on(foot, inputs.camera, shot.ground, h, w, distance_m)
        if stand is not None:
            depth = float(-((stand - origin) @ turn[:, 2]))
            metres = foot.height / h * inputs.camera.height_px / inputs.camera.focal_px_y * depth
            up = np.array(shot.ground.normal, np.float32)
            return (stand + up / np.linalg.norm(up) * np.float32(metres / 2)).astype(np.float32)
    return (origin - turn[:, 2] * np.float32(distance_m or DEFAULT_DISTANCE_M)).astype(np.float32)


def _card(shot: Shot, grey_card: tuple[float, ...]) -> Array | None:
    """The median colour (3,) of the grey card: (frame, x, y, size), its centre and side as shares of the picture."""
    if not grey_card:
        return None
    path = "engine.options.grey_card"
    if len(grey_card) != 4:
        raise RecipeError(path, "four numbers: frame, x, y, size (shares of the picture)", f"{len(grey_card)} numbers")
    frame, x, y, size = int(grey_card[0]), *grey_card[1:]
    if frame not in shot.frames:
        raise RecipeError(path, f"a frame of the shot ({shot.frames[0]}-{shot.frames[-1]})", str(frame))
    looked = sorted({*sample_frames(shot.frames, MOST_SAMPLES)} - shot.skipped)
    if frame not in looked:
        raise RecipeError(path, f"one of the frames that are looked at ({', '.join(map(str, looked))})", str(frame))
    plate = to_hwc(shot.inputs(frame).plate)
    h, w = plate.shape[:2]
    half = size * w / 2
    patch = plate[max(int(y * h - half), 0) : int(y * h + half) + 1, max(int(x * w - half), 0) : int(x * w + half) + 1]
    colour = np.median(np.nan_to_num(patch.reshape(-1, 3)), 0) if patch.size else np.zeros(3)
    if not (colour > 1e-4).all():
        raise RecipeError(path, "a card that is lit and inside the picture", f"median colour {colour.tolist()}")
    return colour.astype(np.float32)
