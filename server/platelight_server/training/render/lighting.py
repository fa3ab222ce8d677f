"""Lightings of a basis: suns that stand or move, key lights, ambient light and HDRIs, as weights of the lamps.

A weight is the irradiance (R, G, B) that a lamp gives the centre, facing it; the ambient one a radiance. A standing sun
is its nearest lamp, a moving one is shared between the lamps around it (normalised spherical Gaussians, which keep its
energy). An HDRI is shared in the same way by solid angle, its darkest direction as ambient light; with a ground, what
comes from below the horizon is left out, for there the set is. What the lamps shine is the truth: `probe` draws it.
"""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from platelight.document import closest, decode, entry
from platelight.errors import RecipeError

from ...engines.classic.sphere import finite, latlong_directions
from ...plates import picture_io
from ...plates.geometry import check_probe
from .basis import Array
from .spec import Basis, direction

Color = tuple[float, float, float]

FALL = 4.0  # a Gaussian has fallen to exp(-4) at the distance of the next lamp


@dataclass(frozen=True)
class Sun:
    """A distant light; with `to_...` it moves there over the clip, at an even rate in both angles."""

    irradiance: Color = entry("facing it, R, G, B")
    azimuth_degrees: float = entry("0 behind the camera, 90 to its right", minimum=-360, maximum=360)
    elevation_degrees: float = entry("above the horizon", minimum=-90, maximum=90)
    to_azimuth_degrees: float | None = entry("at the last frame", default=None, minimum=-720, maximum=720)
    to_elevation_degrees: float | None = entry("at the last frame", default=None, minimum=-90, maximum=90)

    @property
    def moves(self) -> bool:
        """Whether it is elsewhere at the end."""
        return self.to_azimuth_degrees is not None or self.to_elevation_degrees is not None

    def direction_at(self, share: float) -> Array:
        """Unit vector towards it, Y-up, at `share` (0..1) of the clip."""
        azimuth, elevation = self.azimuth_degrees, self.elevation_degrees
        azimuth += share * ((azimuth if self.to_azimuth_degrees is None else self.to_azimuth_degrees) - azimuth)
        elevation += share * (
            (elevation if self.to_elevation_degrees is None else self.to_elevation_degrees) - elevation
        )
        return np.asarray(direction(azimuth, elevation), np.float32)


@dataclass(frozen=True)
class Hdri:
    """A lat-long probe: centre is world -Z, what the camera looks at; right is +X."""

    path: str = entry("a lat-long picture, scene-linear Rec.709", is_path=True)
    exposure_stops: float = entry("of the probe", default=0.0, minimum=-30, maximum=30)
    turn_degrees: float = entry("turned to the right", default=0.0, minimum=-3600, maximum=3600)
    to_turn_degrees: float | None = entry("at the last frame", default=None, minimum=-3600, maximum=3600)


@dataclass(frozen=True)
class Lighting:
    """All lights at once; each part adds to the others."""

    ambient: Color = entry("radiance from everywhere, R, G, B", default=(0.0, 0.0, 0.0))
    suns: tuple[Sun, ...] = entry("distant lights", default=())
    keys: tuple[Color, ...] = entry("irradiance of the key lights, camera left and right", default=())
    hdri: Hdri | None = entry("a probe", default=None)

    def __post_init__(self) -> None:
        for color in (self.ambient, *self.keys, *(sun.irradiance for sun in self.suns)):
            if min(color) < 0:
                raise RecipeError("", "light of 0 or more", str(color))

    @property
    def moves(self) -> bool:
        """Whether it changes over the clip."""
        turning = self.hdri is not None and self.hdri.to_turn_degrees is not None
        return turning or any(sun.moves for sun in self.suns)


PRESETS = {
    "studio": Lighting(
        ambient=(0.1, 0.1, 0.1), keys=((2.6, 2.5, 2.3), (0.7, 0.75, 0.85)), suns=(Sun((1.2, 1.2, 1.3), 150, 45),)
    ),
    "overcast": Lighting(ambient=(0.5, 0.54, 0.6), suns=(Sun((0.35, 0.36, 0.38), 30, 75),)),
    "noon": Lighting(ambient=(0.14, 0.2, 0.3), suns=(Sun((3.6, 3.4, 3.0), 50, 62),)),
    "dusk": Lighting(ambient=(0.05, 0.07, 0.13), suns=(Sun((3.4, 1.5, 0.55), -80, 12),)),
    "neon": Lighting(ambient=(0.02, 0.02, 0.035), suns=(Sun((1.9, 0.15, 1.3), -85, 22), Sun((0.1, 1.2, 1.6), 100, 28))),
    "orbit": Lighting(ambient=(0.09, 0.1, 0.12), suns=(Sun((2.8, 2.5, 2.0), -100, 35, 60),)),
}


def read_lighting(text: str) -> Lighting:
    """A preset's name, `random:SEED`, an HDRI's path, or a TOML file with a `Lighting`. Raises RecipeError."""
    if text in PRESETS:
        return PRESETS[text]
    kind, _, rest = text.partition(":")
    if kind == "random" and rest.isdigit():
        return random_lighting(int(rest))
    path = Path(text)
    if path.suffix.lower() in (".exr", ".hdr"):
        return Lighting(hdri=Hdri(text))
    if path.suffix.lower() != ".toml":
        raise RecipeError(
            "lighting", f"{closest(text, PRESETS)}, random:SEED, an .exr or .hdr probe, or a .toml", repr(text)
        )
    try:
        document = tomllib.loads(path.read_text("utf-8"))
        return decode(Lighting, document)
    except (OSError, ValueError) as error:
        raise RecipeError(str(path), "a lighting in TOML", str(error)) from None
    except RecipeError as error:
        raise RecipeError(f"{path}: {error.path}", error.expected, error.found) from None


def random_lighting(seed: int) -> Lighting:
    """One to three coloured suns, some of them moving, keys and ambient light; equal seeds, equal lightings."""
    rng = random.Random(f"lighting/{seed}")

    def color(most: float) -> Color:
        level = most * rng.uniform(0.1, 1.0)
        red, green, blue = (level * rng.uniform(0.5, 1.5) for _ in range(3))
        return red, green, blue

    suns = []
    for _ in range(rng.randint(1, 3)):
        azimuth = rng.uniform(-180, 180)
        goal = azimuth + rng.uniform(-150, 150) if rng.random() < 0.3 else None
        suns.append(Sun(color(3.5), azimuth, rng.uniform(5, 80), goal))
    return Lighting(color(0.2), tuple(suns), (color(1.2), color(1.2)) if rng.random() < 0.4 else ())


def weights_at(lighting: Lighting, basis: Basis, share: float) -> Array:
    """The lamps' weights at `share` (0..1) of the clip: (L, 3), in the order of `basis.lamps`."""
    found = np.zeros((len(basis.lamps), 3), np.float32)
    kinds = np.array([lamp.kind for lamp in basis.lamps])
    towards = np.array([lamp.direction for lamp in basis.lamps if lamp.kind == "sun"], np.float32)
    suns, keys, ambient = (np.flatnonzero(kinds == kind) for kind in ("sun", "area", "ambient"))
    found[ambient] += np.asarray(lighting.ambient, np.float32)
    if len(lighting.keys) > len(keys):
        raise RecipeError("keys", f"at most {len(keys)}", str(len(lighting.keys)))
    for index, color in zip(keys, lighting.keys, strict=False):
        found[index] += np.asarray(color, np.float32)
    for sun in lighting.suns:
        at = sun.direction_at(share)
        nearest = np.eye(len(suns), dtype=np.float32)[np.argmax(towards @ at)]
        parts = shares(at[None], towards)[0] if sun.moves else nearest
        found[suns] += parts[:, None] * np.asarray(sun.irradiance, np.float32)
    if lighting.hdri is not None:
        power, rest = project(_probe(lighting.hdri, share), towards, upper=basis.spec.set == "ground")
        found[suns] += power
        found[ambient] += rest
    return found


def shares(directions: Array, lamps: Array) -> Array:
    """How unit directions (N, 3) are shared between lamps (L, 3): (N, L), each row sums to 1."""
    cosine = lamps @ lamps.T - 2 * np.eye(len(lamps), dtype=np.float32)
    spacing = float(np.median(1 - cosine.max(1))) if len(lamps) > 1 else 1.0
    value = FALL / spacing * (directions @ lamps.T)
    value = np.exp(value - value.max(1, keepdims=True))
    return np.asarray(value / value.sum(1, keepdims=True), np.float32)


def project(probe: Array, lamps: Array, upper: bool) -> tuple[Array, Array]:
    """A lat-long probe (H, W, 3) as the lamps' irradiance (L, 3) and an ambient radiance (3,).

    Without `upper` sum(irradiance) + 4 pi ambient is the probe's power, channel by channel; with it that of its upper
    half (2 pi ambient).
    """
    directions, solid = latlong_directions(*probe.shape[:2])
    kept = solid.ravel() * ((directions[..., 1].ravel() > 0) if upper else 1.0)
    parts = shares(directions.reshape(-1, 3), lamps) * kept[:, None]
    power, area = parts.T @ probe.reshape(-1, 3), parts.sum(0)[:, None]
    ambient = (power / area).min(0)
    return np.asarray(power - ambient * area, np.float32), np.asarray(ambient, np.float32)


def _probe(hdri: Hdri, share: float) -> Array:
    path = Path(hdri.path)
    info = picture_io.read_info(path)
    check_probe(path, info.display.width, info.display.height)
    pixels = finite(picture_io.read(path, ("R", "G", "B")).pixels)
    goal = hdri.turn_degrees if hdri.to_turn_degrees is None else hdri.to_turn_degrees
    turn = hdri.turn_degrees + share * (goal - hdri.turn_degrees)
    columns = pixels.shape[2]
    at = (np.arange(columns) - turn / 360 * columns) % columns
    left, part = np.floor(at).astype(int) % columns, (at % 1).astype(np.float32)
    turned = pixels[..., left] * (1 - part) + pixels[..., (left + 1) % columns] * part
    return np.asarray(np.maximum(turned, 0).transpose(1, 2, 0) * 2.0**hdri.exposure_stops, np.float32)
