"""Lights and probes: what lights the new scene, and what lit the plate, as values with stated units.

World space as in `camera`: right-handed, Y-up, metres. A light shines along its own -Z. Colours are scene-linear
Rec.709, whatever the plate's primaries; the engine converts them. Power is Blender's: a sun has an irradiance in W/m²,
point, spot and area lights have radiant watts. What such a light does to a surface is measured, see `LightFrame`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, pi, radians, sqrt
from typing import Literal

from .document import entry
from .errors import RecipeError
from .matrices import Matrix4, Vector3, rigid_problem

LightKind = Literal["sun", "point", "area", "spot"]
Color = tuple[float, float, float]


@dataclass(frozen=True)
class LightFrame:
    """A light on one frame. `power` has the exposure in it (W/m² for a sun, W else); `transform` is light-to-world.

    Irradiance on a small surface that faces the light, d metres away, a being the angle off the light's axis:

        sun    power
        point  power / (4 pi d²)
        spot   power / (4 pi d²) smoothstep((cos a - cos(cone / 2)) / (blend (1 - cos(cone / 2))))
        area   power cos a / (pi d²), nothing behind it; the size cancels where it is small against d

    Measured in Cycles 4.2, 5.0 and 5.2 to 0.2 % (tests/blender/test_lamps.py).
    """

    kind: LightKind
    transform: Matrix4
    color: Color
    power: float
    radius_m: float
    angle_deg: float
    size_x_m: float
    size_y_m: float
    cone_deg: float = 180.0
    cone_blend: float = 0.0

    def irradiance_facing(self, point: Vector3) -> Vector3:
        """What reaches a surface at `point` (world metres) that faces the light, W/m² in Rec.709. Not for d = 0."""
        if self.kind == "sun":
            return self._colored(self.power)
        m = self.transform
        away = [point[i] - m[i][3] for i in range(3)]
        square = sum(value * value for value in away)
        axis_length = sqrt(sum(m[i][2] ** 2 for i in range(3)))
        cosine = -sum(away[i] * m[i][2] for i in range(3)) / sqrt(square) / axis_length
        if self.kind == "area":
            return self._colored(self.power * max(cosine, 0.0) / (pi * square))
        share = _cone_share(cosine, self.cone_deg, self.cone_blend) if self.kind == "spot" else 1.0
        return self._colored(self.power * share / (4 * pi * square))

    def _colored(self, irradiance: float) -> Vector3:
        red, green, blue = self.color
        return (red * irradiance, green * irradiance, blue * irradiance)


def _cone_share(cosine: float, cone_deg: float, blend: float) -> float:
    """What a spot lets through `cosine` off its axis: Cycles' smoothstep from the edge of the cone inwards."""
    edge = cos(radians(cone_deg / 2))
    inside = (cosine - edge) / max((1 - edge) * blend, 1e-3)
    clamped = min(max(inside, 0.0), 1.0)
    return clamped * clamped * (3 - 2 * clamped)


@dataclass(frozen=True)
class Light:
    """A light as a recipe holds it: either one `transform`, or `transforms` by frame for a light that moves.

    `powers` and `colors` by frame are for a light whose power or colour changes; `power` and `color` are then those of
    frames that they do not hold. Raises RecipeError when it has both or no transforms, when a transform is not a
    rotation with a translation (the size of an area light belongs in `size_x_m` and `size_y_m`, not in a scale).
    """

    kind: LightKind = entry("what kind of light", choices=("sun", "point", "area", "spot"))
    power: float = entry("irradiance in W/m2 of a sun, watts of other lights, as in Blender", minimum=0)
    name: str = entry("for messages and panels", default="light")
    color: Color = entry("scene-linear Rec.709", default=(1.0, 1.0, 1.0), minimum=0)
    exposure_stops: float = entry("multiplies the power by 2^x", default=0.0, minimum=-20, maximum=20, unit="stops")
    radius_m: float = entry("radius of a point light", default=0.0, minimum=0, unit="m")
    angle_deg: float = entry("angular diameter of a sun", default=0.526, minimum=0, maximum=180, unit="degrees")
    size_x_m: float = entry("width of an area light", default=1.0, minimum=0, unit="m")
    size_y_m: float = entry("height of an area light", default=1.0, minimum=0, unit="m")
    transform: Matrix4 | None = entry("light-to-world, rows first; the light shines along its -Z", default=None)
    transforms: Mapping[int, Matrix4] | None = entry("light-to-world by frame, for a light that moves", default=None)
    powers: Mapping[int, float] | None = entry("power by frame, for a light that changes", default=None, minimum=0)
    colors: Mapping[int, Color] | None = entry("color by frame, for a light that changes", default=None, minimum=0)
    cone_deg: float | None = entry(
        "full angle of a spot's cone (absent = 45)", default=None, minimum=0, maximum=180, unit="degrees"
    )
    cone_blend: float | None = entry(
        "share of a spot's cone over which it fades (absent = 0.15)", default=None, minimum=0, maximum=1
    )

    def __post_init__(self) -> None:
        if self.kind != "spot" and (self.cone_deg, self.cone_blend) != (None, None):
            raise RecipeError("cone_deg", "no cone but for a spot", f"kind {self.kind}")
        if (self.transform is None) == (not self.transforms):
            found = "none" if self.transform is None else "both"
            raise RecipeError("transform", "either transform or transforms (by frame)", found)
        if self.transform is not None:
            _refuse_unless_rigid("transform", self.transform)
        for frame, matrix in (self.transforms or {}).items():
            _refuse_unless_rigid(f"transforms.{frame}", matrix)

    def at(self, frame: int) -> LightFrame:
        """The light on `frame`. Raises RecipeError when it moves and has no transform there."""
        matrix = self.transform if self.transforms is None else self.transforms.get(frame)
        if matrix is None:
            raise RecipeError(f"lights.{self.name}.transforms", f"a transform for frame {frame}", "none")
        return LightFrame(
            kind=self.kind,
            transform=matrix,
            color=(self.colors or {}).get(frame, self.color),
            power=(self.powers or {}).get(frame, self.power) * 2.0**self.exposure_stops,
            radius_m=self.radius_m,
            angle_deg=self.angle_deg,
            size_x_m=self.size_x_m,
            size_y_m=self.size_y_m,
            cone_deg=180.0 if self.kind != "spot" else 45.0 if self.cone_deg is None else self.cone_deg,
            cone_blend=0.0 if self.kind != "spot" else 0.15 if self.cone_blend is None else self.cone_blend,
        )


@dataclass(frozen=True)
class ProbeFrame:
    """A probe on one frame: how its surroundings are turned and exposed; their colour where they have no picture."""

    rotation_deg: float
    exposure_stops: float
    color: Color | None = None


@dataclass(frozen=True)
class Probe:
    """The light at the subject: a lat-long picture of radiance, a still or a sequence by frame; or one `color`.

    The picture's centre is world -Z, right is +X, up is +Y. `rotation_deg` turns the surroundings about +Y by the right
    hand: seen from above, anticlockwise. A `color` is the radiance from all around, so it gives every surface the
    irradiance pi times the colour. What changes over time stands by frame in `rotations_deg`, `exposures_stops` and
    `colors`; the constant one beside it is then that of frames that they do not hold.

    Raises RecipeError when it has both a path and a color, or neither, or something that only the other kind has.
    """

    path: str | None = entry("lat-long HDRI, a still or a sequence", default=None, is_path=True)
    colorspace: str = entry("colour space of the file, or auto", default="auto")
    exposure_stops: float = entry(
        "multiplies the light by 2^x; by frame in exposures_stops", default=0.0, minimum=-20, maximum=20, unit="stops"
    )
    rotation_deg: float = entry(
        "turns the surroundings about +Y, anticlockwise from above; by frame in rotations_deg",
        default=0.0,
        unit="degrees",
    )
    color: Color | None = entry(
        "instead of a path: one radiance from all around, scene-linear Rec.709", default=None, minimum=0
    )
    exposures_stops: Mapping[int, float] | None = entry(
        "exposure_stops by frame, for light that changes", default=None, minimum=-20, maximum=20, unit="stops"
    )
    rotations_deg: Mapping[int, float] | None = entry(
        "rotation_deg by frame, for surroundings that turn", default=None, unit="degrees"
    )
    colors: Mapping[int, Color] | None = entry("color by frame, for light that changes", default=None, minimum=0)

    def __post_init__(self) -> None:
        if (self.path is None) == (self.color is None):
            found = "none" if self.path is None else "both"
            raise RecipeError("path", "either path or color", found)
        if self.path is not None and self.colors is not None:
            raise RecipeError("colors", "color beside it, and no path", "path")
        if self.color is not None and self.colorspace != "auto":
            raise RecipeError("colorspace", "auto where a color is given", repr(self.colorspace))

    def at(self, frame: int) -> ProbeFrame:
        """The probe on `frame`."""
        return ProbeFrame(
            (self.rotations_deg or {}).get(frame, self.rotation_deg),
            (self.exposures_stops or {}).get(frame, self.exposure_stops),
            (self.colors or {}).get(frame, self.color),
        )


def _refuse_unless_rigid(path: str, matrix: Matrix4) -> None:
    problem = rigid_problem(matrix)
    if problem:
        raise RecipeError(path, "a rotation with a translation", problem)
