"""The shadow that a subject casts on a given ground, from its matte, the camera and the new light.

Owns the geometry of an upright cut-out that stands where the matte ends at the bottom, with the same outline from all
sides. It invents nothing: without a ground, a camera and a visible foot there is no shadow. Each light of the
surroundings is blocked by the cut-out on its own, so a sun gives a cast shadow and a sky gives a contact shadow.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from platelight.camera import CameraFrame
from platelight.recipe import Ground
from platelight_server.engines.classic.light import Surroundings, rotation
from platelight_server.engines.classic.sphere import Array, f32

SOFT_LINES, KEY_LINES = 68, 180  # lines that ambient and key lights are cast at
KEY_SHARE = 0.15  # of the ground's irradiance, from which a light is cast at `KEY_LINES`
MOST_LIGHTS = 40
FOOT_SHARE = 0.004  # of the matte's mass that may lie below the foot: a quantile does not jitter as a last row does
CELL_SPREAD_DEG = 9.0  # half the extent of a light gathered from a probe
THICKNESS = 0.25  # planes of the cut-out stand this share of its width before and behind the foot
DARKEST = 0.05
CUT_SHARE = 0.7  # of the subject's mean width on the frame's last row: feet are narrower, a cut through a body is not


@dataclass(frozen=True)
class Foot:
    """Where the subject stands, in pixels of a picture of the given size, and how large it is there, pixels."""

    x: float
    y: float
    width: float
    height: float
    cut: bool  # the matte runs out of the frame at the bottom: the foot is not seen


def find_foot(matte: Array) -> Foot | None:
    """The foot of a matte (h, w) float32 0..1; `None` where the matte is empty."""
    rows = matte.sum(1, dtype=np.float64)
    mass = rows.sum()
    if mass < 1:
        return None
    h = matte.shape[0]
    below = np.cumsum(rows[::-1])[::-1] / mass
    y = _crossing(below, FOOT_SHARE)
    top = h - _crossing(np.cumsum(rows)[::-1] / mass, FOOT_SHARE)
    low = matte * (below < 0.1)[:, None]
    columns = low.sum(0, dtype=np.float64)
    x = float((columns * (np.arange(len(columns)) + 0.5)).sum() / max(columns.sum(), 1e-9))
    height = max(y - top, 1.0)
    cut = bool(rows[-1] > CUT_SHARE * mass / height)
    return Foot(x, y, float(mass / height), height, cut)


def _crossing(falling: npt.NDArray[np.float64], share: float) -> float:
    """The place, in rows with fractions, where a falling profile (its value at each row's far edge) crosses `share`."""
    profile = np.append(falling, 0.0)
    i = max(int(np.searchsorted(-profile, -share)), 1)
    a, b = float(profile[i - 1]), float(profile[i])
    return i - 1 + (a - share) / max(a - b, 1e-12)


def stand_on(
    foot: Foot, camera: CameraFrame, ground: Ground, height: int, width: int, distance_m: float = 0.0
) -> Array | None:
    """The foot's place on the ground (3,), world metres; `None` where its ray does not meet the ground ahead.

    With a distance along the camera's axis, what is below the foot's column at that distance.
    """
    ray = _rays(camera, np.array([[foot.x / width, foot.y / height]], np.float32))[0]
    origin = np.array(camera.position, np.float32)
    point, normal = _plane(ground)
    if distance_m:
        place = origin + np.float32(distance_m) * ray
        return f32(place + normal * ((point - place) @ normal))
    slope = float(ray @ normal)
    reach = float((point - origin) @ normal) / slope if abs(slope) > 1e-6 else -1.0
    return f32(origin + reach * ray) if reach > 0 else None


def cast(
    matte: Array, foot: Foot, stand: Array, camera: CameraFrame, ground: Ground, light: Surroundings, luminance: Array
) -> Array | None:
    """What remains of the light on the ground, (h, w) float32, 1 = no shadow, `DARKEST` at the least.

    matte (h, w) float32 0..1; stand (3,) where the foot is, world metres. `None` where no light reaches the ground.
    """
    h, w = matte.shape
    point, normal = _plane(ground)
    power = np.maximum(light.directions @ normal, 0) * (light.powers @ luminance)
    total = float(power.sum())
    if total <= 0:
        return None
    order = np.argsort(-power, kind="stable")[:MOST_LIGHTS]
    share = power[order] / total
    lost = np.zeros((h, w), np.float32)
    for lines, chosen in ((SOFT_LINES, share < KEY_SHARE), (KEY_LINES, share >= KEY_SHARE)):
        if not (chosen & (share > 1e-3)).any():
            continue
        gh = min(lines, h)
        gw = max(round(w * gh / h), 1)
        small = f32(cv2.resize(matte, (gw, gh), interpolation=cv2.INTER_AREA))
        scene = _Scene.of(small, foot, camera, stand, point, normal, h, w)
        blocked = np.zeros((gh, gw), np.float32)
        for k in np.flatnonzero(chosen & (share > 1e-3)):
            blocked += np.float32(share[k]) * scene.blocks(light.directions[order[k]])
        lost += cv2.resize(blocked, (w, h), interpolation=cv2.INTER_LINEAR)
    return np.maximum(1 - lost, DARKEST).astype(np.float32)


@dataclass(frozen=True)
class _Scene:
    """The cut-out and the ground at one grid size; metres, world."""

    matte: Array
    places: Array  # (gh, gw, 3) relative to the foot
    seen: npt.NDArray[np.bool_]  # (gh, gw): the pixel shows ground
    normal: Array
    right: Array
    pixels_per_metre: float
    foot_x: float
    foot_y: float
    width_m: float
    height_m: float

    @classmethod
    def of(
        cls, matte: Array, foot: Foot, camera: CameraFrame, stand: Array, point: Array, normal: Array, h: int, w: int
    ) -> _Scene:
        gh, gw = matte.shape
        x, y = np.meshgrid((np.arange(gw) + 0.5) / gw, (np.arange(gh) + 0.5) / gh)
        rays = _rays(camera, np.stack([x, y], -1).astype(np.float32))
        origin = np.array(camera.position, np.float32)
        slope = rays @ normal
        reach = np.float32((point - origin) @ normal) / np.where(np.abs(slope) > 1e-6, slope, np.float32(1e-6))
        seen = (reach > 0) & (np.abs(slope) > 1e-6)
        places = origin + np.where(seen, reach, 0)[..., None] * rays - stand
        turn = rotation(camera)
        right = turn[:, 0] - normal * float(turn[:, 0] @ normal)
        right /= max(float(np.linalg.norm(right)), 1e-6)
        depth = max(float(-((stand - origin) @ turn[:, 2])), 1e-3)
        scale = camera.focal_px_y / camera.height_px * gh / depth
        to_grid = gh / h
        return cls(
            matte, places.astype(np.float32), seen, normal, right.astype(np.float32), scale,
            foot.x * gw / w, foot.y * to_grid, foot.width * to_grid / scale, foot.height * to_grid / scale,
        )  # fmt: skip

    def blocks(self, towards: Array) -> Array:
        """How much of a light in the unit direction `towards` the cut-out blocks at each pixel's ground, (gh, gw)."""
        sine = float(towards @ self.normal)
        level = towards - sine * self.normal
        cosine = max(float(np.linalg.norm(level)), 1e-3)
        ahead = (level / cosine).astype(np.float32)
        across = np.cross(self.normal, ahead).astype(np.float32)
        across = across if float(across @ self.right) >= 0 else -across
        climb = sine / cosine
        way, aside = -(self.places @ ahead), self.places @ across
        # A light's size blurs its shadow in proportion to the way; the way to half the subject's height stands for all.
        blur_m = np.tan(np.deg2rad(CELL_SPREAD_DEG)) * min(0.5 * self.height_m / max(sine, 0.1), 2 * self.height_m)
        outline = cv2.GaussianBlur(
            self.matte, (0, 0), max(0.5 * blur_m * self.pixels_per_metre, 0.5), borderType=cv2.BORDER_CONSTANT
        )
        column = (self.foot_x - 0.5 + aside * self.pixels_per_metre).astype(np.float32)
        out = np.zeros(self.matte.shape, np.float32)
        for offset in (-THICKNESS * self.width_m, THICKNESS * self.width_m):
            climbed = (way + offset) * climb
            row = (self.foot_y - 0.5 - climbed * self.pixels_per_metre).astype(np.float32)
            hit = cv2.remap(outline, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
            out = f32(np.maximum(out, np.where(self.seen & (climbed >= 0), hit, 0)))
        return out


def _plane(ground: Ground) -> tuple[Array, Array]:
    normal = np.array(ground.normal, np.float32)
    return np.array(ground.point, np.float32), normal / np.linalg.norm(normal)


def _rays(camera: CameraFrame, at: Array) -> Array:
    """World directions (..., 3) through places (..., 2) of the picture, given as shares of its width and height."""
    x = (at[..., 0] * camera.width_px - camera.principal_x) / camera.focal_px_x
    y = (at[..., 1] * camera.height_px - camera.principal_y) / camera.focal_px_y
    local = np.stack([x, -y, -np.ones_like(x)], -1)
    return (local @ rotation(camera).T).astype(np.float32)
