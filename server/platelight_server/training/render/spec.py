"""What a light basis is: the figure and its motion, the lamps, sizes; and the document that lies beside the frames.

    basis.json                 this module's `Basis`
    light.####.exr             half: `fg_NAME`, `set_NAME` (R,G,B) for each lamp, their sum as Cycles has it, `alpha`
    data.####.exr              float: depth, normal, albedo, vector of the foreground
    clean.####.exr             half: `clean_NAME`, the set without the foreground; one frame where the camera is locked
    probe.exr                  what the set sends back to the centre, per lamp; lat-long
    cameras.json tracks.json   per frame

Lamps have unit weight: irradiance 1 at the centre on a surface that faces the lamp; the ambient one has radiance 1.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from platelight.document import decode, encode, entry
from platelight.errors import FrameError, RecipeError

DOCUMENT = "basis.json"
VERSION = 1
CENTER = (0.0, 1.0, 0.0)  # Y-up metres: where figures stand, and what lamps and probes refer to
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
KEYS = ((-50.0, 30.0), (50.0, 30.0))  # azimuth to the right of the camera's view, elevation, degrees
KEY_DISTANCE_M, KEY_RADIUS_M = 2.5, 0.4

Figure = Literal["bust", "figure"]
Motion = Literal["turn", "walk", "wave"]


@dataclass(frozen=True)
class Spec:
    """What to render. Equal specs give equal frames with one version of Blender on one kind of processor, but for a few
    values' last bit: Cycles itself repeats a frame no better.
    """

    figure: Figure = entry("the foreground", default="figure")
    motion: Motion = entry("how it moves", default="wave")
    seed: int = entry("of colours, materials, hair, set and noise", default=1, minimum=0, maximum=2**31 - 1)
    camera: Literal["locked", "push"] = entry("how the camera moves", default="locked")
    set: Literal["ground", "none"] = entry("floor, backdrop and props, or nothing at all", default="ground")
    first: int = entry("first frame", default=1001, minimum=1)
    frames: int = entry("how many", default=12, minimum=1, maximum=100_000)
    width: int = entry("of the pictures", default=320, minimum=16, maximum=8192, unit="px")
    height: int = entry("of the pictures", default=180, minimum=16, maximum=8192, unit="px")
    samples: int = entry("paths per pixel", default=64, minimum=1, maximum=65536)
    suns: int = entry("on the sphere, or on its upper half above a ground", default=24, minimum=1, maximum=512)
    sun_angle_degrees: float = entry("across a sun", default=25.0, minimum=0.5, maximum=120.0)
    denoise: bool = entry("denoise every lamp's picture (OpenImageDenoise)", default=True)


@dataclass(frozen=True)
class Lamp:
    """One lamp of a basis; `direction` points towards it, Y-up."""

    name: str
    kind: Literal["sun", "area", "ambient"]
    direction: tuple[float, float, float] = (0.0, 1.0, 0.0)
    angle_degrees: float = 0.0  # across, seen from the centre; 0 for the ambient lamp


@dataclass(frozen=True)
class Basis:
    """A rendered basis, or one under way."""

    spec: Spec
    lamps: tuple[Lamp, ...]
    blender: str = entry("version that rendered it", default="")
    licence: str = entry("of the pictures", default="CC0-1.0")
    version: int = field(default=VERSION)


def lamps_of(spec: Spec) -> tuple[Lamp, ...]:
    """Suns on a Fibonacci lattice (equal solid angles), two discs of area light, the ambient world."""
    suns = [
        Lamp(f"sun{i:02d}", "sun", _lattice(i, spec.suns, spec.set == "ground"), spec.sun_angle_degrees)
        for i in range(spec.suns)
    ]
    across = 2 * math.degrees(math.atan2(KEY_RADIUS_M, KEY_DISTANCE_M))
    keys = [Lamp(f"key{i}", "area", direction(*angles), across) for i, angles in enumerate(KEYS)]
    return (*suns, *keys, Lamp("ambient", "ambient"))


def direction(azimuth_degrees: float, elevation_degrees: float) -> tuple[float, float, float]:
    """Unit vector, Y-up. Azimuth 0 is behind the camera (+Z), 90 to its right (+X)."""
    a, e = math.radians(azimuth_degrees), math.radians(elevation_degrees)
    return (math.cos(e) * math.sin(a), math.sin(e), math.cos(e) * math.cos(a))


def _lattice(index: int, count: int, upper: bool) -> tuple[float, float, float]:
    up = 1 - (index + 0.5) / count if upper else 1 - (2 * index + 1) / count
    across, turn = math.sqrt(1 - up * up), index * GOLDEN_ANGLE
    return (across * math.sin(turn), up, across * math.cos(turn))


def job_of(basis: Basis, folder: Path, threads: int, weights: dict[str, list[float]] | None = None) -> dict[str, Any]:
    """What Blender is told. With `weights` it renders that one lighting directly, as a check of the basis."""
    lamps: list[dict[str, Any]] = [
        {"name": lamp.name, "kind": lamp.kind, "direction": lamp.direction} for lamp in basis.lamps
    ]
    for told, lamp in zip(lamps, basis.lamps, strict=True):
        if lamp.kind == "area":
            told.update({"distance_m": KEY_DISTANCE_M, "radius_m": KEY_RADIUS_M, "center": CENTER})
        elif lamp.kind == "sun":
            told["angle_degrees"] = lamp.angle_degrees
    held = {"folder": str(folder), "center": CENTER, "probe_samples": 32, "threads": threads, "weights": weights}
    return {**encode(basis.spec), **held, "lamps": lamps}


def read_basis(folder: Path) -> Basis:
    """The document of a basis folder. Raises FrameError where there is none, RecipeError where it is wrong."""
    path = folder / DOCUMENT
    try:
        basis = decode(Basis, json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise FrameError(
            f"{folder}: expected a light basis with {DOCUMENT}; make one: platelight data render"
        ) from None
    except (OSError, ValueError) as error:
        raise FrameError(f"{path}: expected a light basis's document, {error}") from None
    except RecipeError as error:
        raise RecipeError(f"{path}: {error.path}", error.expected, error.found) from None
    if basis.version != VERSION:
        raise FrameError(f"{path}: expected version {VERSION}, got {basis.version}; render it with this Platelight")
    return basis
