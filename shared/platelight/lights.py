"""Lights and probes: what lights the new scene, and what lit the plate, as values with stated units.

World space as in `camera`: right-handed, Y-up, metres. A light shines along its own -Z. Colours are scene-linear
Rec.709, whatever the plate's primaries; the engine converts them. Power is Blender's: a sun has an irradiance in W/m²,
point and area lights have radiant watts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .document import entry
from .errors import RecipeError
from .matrices import Matrix4, rigid_problem

LightKind = Literal["sun", "point", "area"]
Color = tuple[float, float, float]


@dataclass(frozen=True)
class LightFrame:
    """A light on one frame. `power` has the exposure in it (W/m² for a sun, W else); `transform` is light-to-world."""

    kind: LightKind
    transform: Matrix4
    color: Color
    power: float
    radius_m: float
    angle_deg: float
    size_x_m: float
    size_y_m: float


@dataclass(frozen=True)
class Light:
    """A light as a recipe holds it: either one `transform`, or `transforms` by frame for a light that moves.

    Raises RecipeError when it has both or none, or when a transform is not a rotation with a translation (the size of
    an area light belongs in `size_x_m` and `size_y_m`, not in a scale).
    """

    kind: LightKind = entry("what kind of light", choices=("sun", "point", "area"))
    power: float = entry("irradiance in W/m2 of a sun, watts of a point or area light, as in Blender", minimum=0)
    name: str = entry("for messages and panels", default="light")
    color: Color = entry("scene-linear Rec.709", default=(1.0, 1.0, 1.0), minimum=0)
    exposure_stops: float = entry("multiplies the power by 2^x", default=0.0, minimum=-20, maximum=20, unit="stops")
    radius_m: float = entry("radius of a point light", default=0.0, minimum=0, unit="m")
    angle_deg: float = entry("angular diameter of a sun", default=0.526, minimum=0, maximum=180, unit="degrees")
    size_x_m: float = entry("width of an area light", default=1.0, minimum=0, unit="m")
    size_y_m: float = entry("height of an area light", default=1.0, minimum=0, unit="m")
    transform: Matrix4 | None = entry("light-to-world, rows first; the light shines along its -Z", default=None)
    transforms: Mapping[int, Matrix4] | None = entry("light-to-world by frame, for a light that moves", default=None)

    def __post_init__(self) -> None:
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
            color=self.color,
            power=self.power * 2.0**self.exposure_stops,
            radius_m=self.radius_m,
            angle_deg=self.angle_deg,
            size_x_m=self.size_x_m,
            size_y_m=self.size_y_m,
        )


@dataclass(frozen=True)
class Probe:
    """The light at the subject as a lat-long picture of radiance: a still, or a sequence by frame.

    The picture's centre is world -Z, right is +X, up is +Y. `rotation_deg` turns the surroundings about +Y by the right
    hand: seen from above, anticlockwise.
    """

    path: str = entry("lat-long HDRI, a still or a sequence", is_path=True)
    colorspace: str = entry("colour space of the file, or auto", default="auto")
    exposure_stops: float = entry("multiplies the light by 2^x", default=0.0, minimum=-20, maximum=20, unit="stops")
    rotation_deg: float = entry(
        "turns the surroundings about +Y, anticlockwise from above", default=0.0, unit="degrees"
    )


def _refuse_unless_rigid(path: str, matrix: Matrix4) -> None:
    problem = rigid_problem(matrix)
    if problem:
        raise RecipeError(path, "a rotation with a translation", problem)
