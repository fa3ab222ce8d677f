"""Blender's lights in the recipe's units, measured in Cycles 4.2, 5.0 and 5.2. No `bpy` here.

Power as Blender has it (`platelight.lights` says what it does to a surface), with these folded in:

    exposure       power 2^exposure
    not normalized the power is per size: times the area (area), 4 pi r² (point, spot), pi sin²(angle / 2) (sun)
    scale          an area light's sizes are scaled with its object, the power is not; nothing else is scaled
    units          positions in metres: power of all but suns times (metres per unit)², which keeps every irradiance
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import degrees, pi, sin, sqrt

from ..core import FrameRange, Light, Matrix4, Vector3
from .space import axis_lengths

Rows = Sequence[Sequence[float]]
KINDS: Mapping[str, str] = {"SUN": "sun", "POINT": "point", "AREA": "area", "SPOT": "spot"}


@dataclass(frozen=True)
class Lamp:
    """A light of Blender's on one frame, in Blender's terms: units, radians, Z-up; the colour already in Rec.709.

    `size` and `size_y` are an area light's before its object's scale; `energy` has exposure and nodes in it.
    """

    kind: str
    matrix: Rows
    energy: float
    color: Vector3
    normalized: bool = True
    radius: float = 0.0
    angle: float = 0.0
    shape: str = "SQUARE"
    size: float = 1.0
    size_y: float = 1.0
    cone: float = pi / 4
    blend: float = 0.15


def light_pose(matrix: Rows, unit_m: float = 1.0) -> Matrix4:
    """A light's matrix as a rotation with a translation, Y-up: its axis is exact, scale, shear and mirroring go.

    A light knows its axis, and an area light the direction of its width; nothing else of a matrix shows.
    """
    u, _, w = axis_lengths(matrix)
    if min(u, w) < 1e-12:
        raise ValueError("an axis of the light has no length")
    (a, _, c, px), (d, _, f, py), (g, _, i, pz) = matrix[0], matrix[1], matrix[2]
    zx, zy, zz = c / w, f / w, i / w
    along = (a * zx + d * zy + g * zz) / u
    xx, xy, xz = a / u - along * zx, d / u - along * zy, g / u - along * zz
    length = sqrt(xx * xx + xy * xy + xz * xz)
    if length < 1e-12:
        raise ValueError("two axes of the light are one")
    xx, xy, xz = xx / length, xy / length, xz / length
    yx, yy, yz = zy * xz - zz * xy, zz * xx - zx * xz, zx * xy - zy * xx
    return (
        (xx, yx, zx, px * unit_m),
        (xz, yz, zz, pz * unit_m),
        (-xy, -yy, -zy, -py * unit_m),
        (0.0, 0.0, 0.0, 1.0),
    )


def area_sizes(lamp: Lamp) -> tuple[float, float]:
    """Width and height of an area light in units, its object's scale in them. Only two shapes have a second size."""
    across, down, _ = axis_lengths(lamp.matrix)
    second = lamp.size_y if lamp.shape in {"RECTANGLE", "ELLIPSE"} else lamp.size
    return lamp.size * across, second * down


def power(lamp: Lamp, unit_m: float = 1.0) -> float:
    """W/m² of a sun, W of the others, as the recipe has them."""
    in_metres = 1.0 if lamp.kind == "SUN" else unit_m * unit_m
    return lamp.energy * (1.0 if lamp.normalized else _extent(lamp)) * in_metres


def _extent(lamp: Lamp) -> float:
    """What the power of a light that is not normalized is multiplied by."""
    if lamp.kind == "SUN":
        return pi * sin(lamp.angle / 2) ** 2
    if lamp.kind == "AREA":
        across, down = area_sizes(lamp)
        return across * down * (pi / 4 if lamp.shape in {"DISK", "ELLIPSE"} else 1.0)
    return 4 * pi * lamp.radius**2


def to_light(name: str, lamps: Sequence[Lamp], frames: FrameRange, unit_m: float = 1.0) -> Light:
    """A light of the recipe from a lamp on each of `frames`; what stays the same is said once.

    Sizes and cones are those of the first frame: a recipe has one of each.
    """
    first = lamps[0]
    poses = [light_pose(lamp.matrix, unit_m) for lamp in _steady([lamp.matrix for lamp in lamps], lamps)]
    powers = [power(lamp, unit_m) for lamp in lamps]
    colors = [lamp.color for lamp in lamps]
    moves, changes, tints = (any(one != held[0] for one in held) for held in (poses, powers, colors))
    across, down = area_sizes(first)
    spot, area = first.kind == "SPOT", first.kind == "AREA"
    return Light(
        kind=KINDS[first.kind],  # type: ignore[arg-type]
        power=powers[0],
        name=name,
        color=colors[0],
        radius_m=first.radius * unit_m if first.kind in {"POINT", "SPOT"} else 0.0,
        angle_deg=min(degrees(first.angle), 180.0) if first.kind == "SUN" else 0.526,
        size_x_m=across * unit_m if area else 1.0,
        size_y_m=down * unit_m if area else 1.0,
        transform=None if moves else poses[0],
        transforms=dict(zip(frames, poses, strict=True)) if moves else None,
        powers=dict(zip(frames, powers, strict=True)) if changes else None,
        colors=dict(zip(frames, colors, strict=True)) if tints else None,
        cone_deg=min(degrees(first.cone), 180.0) if spot else None,
        cone_blend=min(max(first.blend, 0.0), 1.0) if spot else None,
    )


def _steady(matrices: Sequence[Rows], lamps: Sequence[Lamp]) -> Sequence[Lamp]:
    """The lamps to take poses from: one stands for all where none of them moves, at a thousandth of the work."""
    return lamps[:1] if all(one == matrices[0] for one in matrices) else lamps
