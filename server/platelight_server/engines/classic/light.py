"""The light at the subject as harmonics: from a probe, from lights, or guessed from pictures of the surroundings.

Owns the physics of Blender's lights and the geometry of a background plate. What it returns are radiance harmonics
(9, 3), world, working primaries (see `sphere`). It refuses to guess exposure: that is `level`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from platelight.camera import CameraFrame
from platelight.lights import LightFrame
from platelight_server.engines.classic import sphere
from platelight_server.engines.classic.sphere import Array, f32, finite

PICTURE_SIZE = (18, 32)  # a background is read at this size: what it says about light is no finer
PICTURE_MAP = (32, 64)  # lat-long that it is spread over
# A picture shows the part of the surroundings in front of the camera; the light comes mostly from above it. Half the
# tilt of an overcast sky, (1 + 2 sin(elevation)) / 3 (Moon and Spencer 1942), over a ground of albedo 0.2, whose first
# vertical harmonic is 0.65 of its constant one.
SKY_TILT = 0.33


@dataclass(frozen=True)
class Surroundings:
    """What lights the subject: harmonics (9, 3) for a Lambertian surface, and directions to cast shadows from.

    directions (N, 3) unit, world, towards the light; powers (N, 3) radiance times solid angle, working primaries
    """

    harmonics: Array
    directions: Array
    powers: Array


def rotation(camera: CameraFrame | None) -> Array:
    """Camera to world, (3, 3) float32; without a camera the two are one."""
    if camera is None:
        return np.eye(3, dtype=np.float32)
    return np.array([row[:3] for row in camera.camera_to_world[:3]], np.float32)


def from_latlong(probe: Array) -> Surroundings:
    """Surroundings from a lat-long picture (H, W, 3) float32, scene-linear radiance, world (see `sphere`)."""
    probe = np.maximum(finite(probe), 0)
    directions, powers = _gathered(probe)
    return Surroundings(sphere.project_latlong(probe), directions, powers)


def from_pictures(pictures: Iterable[tuple[Array, CameraFrame | None]]) -> Surroundings:
    """Surroundings guessed from background plates (h, w, 3), scene-linear, each with its camera: one light per clip.

    The picture is spread over the hemisphere in front of the camera and mirrored to the one behind; frames are
    averaged in the world, so that a moving camera sees more of it and the light never moves with the camera. Half a
    sky's tilt is added, because what lights a subject from above is seldom in the frame.
    """
    directions, _ = sphere.latlong_directions(*PICTURE_MAP)
    spread = [_spread(picture, directions @ rotation(camera)) for picture, camera in pictures]
    light = from_latlong(f32(np.mean(spread, 0)))
    harmonics = light.harmonics.copy()
    harmonics[1] += SKY_TILT * harmonics[0]
    return Surroundings(harmonics, light.directions, light.powers)


def from_lights(lights: Sequence[LightFrame], subject: Array) -> Surroundings:
    """Surroundings from suns, points, spots and areas at `subject` (3,), world metres.

    The irradiance face on is `LightFrame.irradiance_facing`, measured in Cycles. Nearer than its own size a light grows
    no brighter.
    """
    directions, powers = np.zeros((len(lights), 3), np.float32), np.zeros((len(lights), 3), np.float32)
    for i, light in enumerate(lights):
        matrix = np.array(light.transform, np.float64)
        back = matrix[:3, 2] / max(float(np.linalg.norm(matrix[:3, 2])), 1e-12)
        offset = matrix[:3, 3] - subject
        length = float(np.linalg.norm(offset))
        towards = back if light.kind == "sun" or length == 0 else offset / length
        distance = max(length, _size(light), 1e-2)
        x, y, z = (float(value) for value in matrix[:3, 3] - towards * distance)
        directions[i], powers[i] = towards, light.irradiance_facing((x, y, z))
    harmonics = np.zeros((9, 3), np.float32)
    for direction, power in zip(directions, powers, strict=True):
        harmonics += sphere.project_direction(direction, power)
    return Surroundings(harmonics, directions, powers)


def together(*parts: Surroundings) -> Surroundings:
    """The sum of lights."""
    return Surroundings(
        sum((part.harmonics for part in parts), np.zeros((9, 3), np.float32)),
        np.concatenate([part.directions for part in parts]),
        np.concatenate([part.powers for part in parts]),
    )


def _size(light: LightFrame) -> float:
    """Half the extent of a light, metres: nearer than that, the inverse square no longer holds."""
    return max(light.size_x_m, light.size_y_m) / 2 if light.kind == "area" else light.radius_m


def _spread(picture: Array, directions: Array) -> Array:
    """A picture (h, w, 3) over all `directions` (H, W, 3) of the camera: its angles span half a turn both ways."""
    gh, gw = PICTURE_SIZE
    small = np.maximum(cv2.resize(finite(picture), (gw, gh), interpolation=cv2.INTER_AREA), 0)
    azimuth = np.arctan2(directions[..., 0], np.abs(directions[..., 2]))
    elevation = np.arcsin(np.clip(directions[..., 1], -1, 1))
    u = f32((azimuth / np.pi + 0.5) * gw - 0.5)
    v = f32((0.5 - elevation / np.pi) * gh - 0.5)
    return f32(cv2.remap(small, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _gathered(probe: Array) -> tuple[Array, Array]:
    """A probe as 8 x 16 lights, each in the centre of its cell's light: directions (128, 3), powers (128, 3)."""
    height, width = 32, 64
    probe = f32(cv2.resize(probe, (width, height), interpolation=cv2.INTER_AREA))
    directions, solid = sphere.latlong_directions(height, width)
    powers = (probe * solid[..., None]).reshape(8, 4, 16, 4, 3)
    weight = powers.sum(-1, keepdims=True) + 1e-12
    centre = (directions.reshape(8, 4, 16, 4, 3) * weight).sum((1, 3)).reshape(-1, 3)
    centre /= np.maximum(np.linalg.norm(centre, axis=-1, keepdims=True), 1e-12)
    return f32(centre), f32(powers.sum((1, 3)).reshape(-1, 3))
