"""Blender's world and cameras in the recipe's terms: Z-up to Y-up, units to metres, sensors to focal lengths.

Blender: right-handed, Z-up; cameras and lights look along their own -Z. The recipe: right-handed, Y-up, metres, the
same own axes. So a point (x, y, z) becomes (x, z, -y), and a matrix is turned from the left. Pure: no `bpy`, no numpy;
matrices come as four rows and are computed in double precision, because a solve in single precision is told to
1e-4 px only if nothing is lost here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from ..core import CameraFrame, LensModel, Matrix4, Vector3

Rows = Sequence[Sequence[float]]

# Colours of lights are in Blender's working space; a recipe's are in Rec.709. Those of ACES are Bradford-adapted, from
# D60 to D65. The last three are no working space of Blender's: plates have them.
TO_REC709 = {
    "Linear Rec.709": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "Linear Rec.2020": (
        (1.66049100, -0.58764114, -0.07284986),
        (-0.12455047, 1.13289990, -0.00834942),
        (-0.01815076, -0.10057890, 1.11872966),
    ),
    "ACEScg": (
        (1.70505099, -0.62179212, -0.08325887),
        (-0.13025642, 1.14080474, -0.01054832),
        (-0.02400336, -0.12896898, 1.15297233),
    ),
    "ACES2065-1": (
        (2.52168619, -1.13413099, -0.38755520),
        (-0.27647991, 1.37271909, -0.09623917),
        (-0.01537806, -0.15297534, 1.16835340),
    ),
    "Linear DCI-P3 D65": (
        (1.22494018, -0.22494018, 0.0),
        (-0.04205695, 1.04205695, 0.0),
        (-0.01963755, -0.07863605, 1.09827360),
    ),
    "Linear AdobeRGB": ((1.39835574, -0.39835574, 0.0), (0.0, 1.0, 0.0), (0.0, -0.04292898, 1.04292898)),
}
KNOWN_PRIMARIES = frozenset(TO_REC709)


def point_y_up(point: Sequence[float], unit_m: float = 1.0) -> Vector3:
    """A point of Blender's world (units) in the recipe's (metres)."""
    return (point[0] * unit_m, point[2] * unit_m, -point[1] * unit_m)


def direction_y_up(direction: Sequence[float]) -> Vector3:
    """A direction of Blender's world in the recipe's."""
    return (direction[0], direction[2], -direction[1])


def pose_y_up(matrix: Rows, unit_m: float = 1.0) -> Matrix4:
    """A matrix to Blender's world as a rotation with a translation to the recipe's: the scale of each axis is dropped.

    Shear and mirroring stay, so that whoever needs a rigid matrix can refuse it. Raises ValueError for an axis of
    length 0.
    """
    u, v, w = axis_lengths(matrix)
    if min(u, v, w) < 1e-12:
        raise ValueError("an axis of the matrix has no length")
    (a, b, c, x), (d, e, f, y), (g, h, i, z) = matrix[0], matrix[1], matrix[2]
    return (
        (a / u, b / v, c / w, x * unit_m),
        (g / u, h / v, i / w, z * unit_m),
        (-d / u, -e / v, -f / w, -y * unit_m),
        (0.0, 0.0, 0.0, 1.0),
    )


def axis_lengths(matrix: Rows) -> Vector3:
    """The scale of a matrix along its own x, y and z."""
    (a, b, c, _), (d, e, f, _), (g, h, i, _) = matrix[0], matrix[1], matrix[2]
    return (sqrt(a * a + d * d + g * g), sqrt(b * b + e * e + h * h), sqrt(c * c + f * f + i * i))


def rec709(color: Sequence[float], working_space: str) -> Vector3:
    """A light's colour in Rec.709; what lies outside of it has its negative part cut off, because lights cannot."""
    rows = TO_REC709.get(working_space, TO_REC709["Linear Rec.709"])
    if rows is TO_REC709["Linear Rec.709"]:
        return (color[0], color[1], color[2])
    red, green, blue = (max(sum(row[i] * color[i] for i in range(3)), 0.0) for row in rows)
    return (red, green, blue)


def from_rec709(color: Sequence[float], working_space: str) -> Vector3:
    """A colour of Rec.709 in Blender's working space, by Cramer's rule."""
    a, b, c = TO_REC709.get(working_space, TO_REC709["Linear Rec.709"])
    whole = _determinant(a, b, c)
    columns = []
    for i in range(3):
        one, two, three = ([*row[:i], value, *row[i + 1 :]] for row, value in zip((a, b, c), color, strict=True))
        columns.append(_determinant(one, two, three) / whole)
    red, green, blue = columns
    return (red, green, blue)


def between(color: Sequence[float], source: str, target: str) -> Vector3:
    """A colour of one linear space in another, both of `KNOWN_PRIMARIES`; not clamped, may be < 0 outside of it."""
    if source == target:
        return (color[0], color[1], color[2])
    red, green, blue = (sum(row[i] * color[i] for i in range(3)) for row in TO_REC709[source])
    return from_rec709((red, green, blue), target)


def _determinant(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> float:
    return a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])


@dataclass(frozen=True)
class Picture:
    """The plate's size, and its pixel aspect as Blender's render settings have it (x, y; anamorphic 2 is (2, 1))."""

    width_px: int
    height_px: int
    aspect: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Optics:
    """A camera's lens as Blender has it: millimetres, and shifts in parts of the larger side."""

    focal_mm: float
    sensor_width_mm: float
    sensor_height_mm: float
    sensor_fit: str = "AUTO"
    shift_x: float = 0.0
    shift_y: float = 0.0


def object_camera_frame(frame: int, matrix: Rows, optics: Optics, picture: Picture, unit_m: float = 1.0) -> CameraFrame:
    """A camera object as the recipe has cameras, by Blender's rules of sensor fit (`BKE_camera_params`).

    AUTO fits the sensor's width to the larger side, in square pixels. The shift moves the picture, so the principal
    point moves the other way. Raises CameraError for a matrix that is not rigid.
    """
    width, height = picture.width_px, picture.height_px
    tall = picture.aspect[1] / picture.aspect[0]
    across = optics.sensor_fit == "HORIZONTAL" or (optics.sensor_fit == "AUTO" and width >= height * tall)
    sensor = optics.sensor_height_mm if optics.sensor_fit == "VERTICAL" else optics.sensor_width_mm
    side = width if across else height * tall
    focal_px = optics.focal_mm / sensor * side
    return CameraFrame(
        frame,
        pose_y_up(matrix, unit_m),
        focal_px,
        focal_px / tall,
        width / 2 - optics.shift_x * side,
        height / 2 + optics.shift_y * side / tall,
        width,
        height,
    )


@dataclass(frozen=True)
class SolveOptics:
    """A clip's camera: pixels of the picture, the principal point from the bottom-left corner, y up.

    `clip_px` is what Blender calls the clip's picture, its data window: left, top, width, height in the display window.
    """

    focal_px: float
    principal_px: tuple[float, float]
    pixel_aspect: float
    width_px: int
    height_px: int
    clip_px: tuple[int, int, int, int]


def solve_camera_frame(frame: int, matrix: Rows, optics: SolveOptics, unit_m: float = 1.0) -> CameraFrame:
    """A solved camera as the recipe has cameras. Rows of a clip's picture are `pixel_aspect` times as dense."""
    return CameraFrame(
        frame,
        pose_y_up(matrix, unit_m),
        optics.focal_px,
        optics.focal_px * optics.pixel_aspect,
        optics.principal_px[0],
        optics.height_px - optics.principal_px[1],
        optics.width_px,
        optics.height_px,
    )


def solved_pose(one: CameraFrame, unit_m: float = 1.0) -> tuple[list[list[float]], float, float, float]:
    """A recipe's camera as a Blender camera has it, the inverse of `object_camera_frame` for a sensor that fits across.

    -> camera-to-world as rows (Z-up, units), the focal length in sensor widths, shift x, shift y
    """
    x, y, z, _ = one.camera_to_world
    rows = [[*x[:3], x[3] / unit_m], [-value for value in z[:3]] + [-z[3] / unit_m], [*y[:3], y[3] / unit_m]]
    tall = one.focal_px_x / one.focal_px_y
    shift_x = (one.width_px / 2 - one.principal_x) / one.width_px
    shift_y = (one.principal_y - one.height_px / 2) * tall / one.width_px
    return [*rows, [0.0, 0.0, 0.0, 1.0]], one.focal_px_x / one.width_px, shift_x, shift_y


_LENS_KEYS = {
    "POLYNOMIAL": ("polynomial", ("k1", "k2", "k3")),
    "BROWN": ("brown", ("brown_k1", "brown_k2", "brown_k3", "brown_k4", "brown_p1", "brown_p2")),
    "DIVISION": ("division", ("division_k1", "division_k2")),
    "NUKE": ("nuke", ("nuke_k1", "nuke_k2", "nuke_p1", "nuke_p2")),
}


def lens_model(camera: object) -> LensModel | None:
    """The lens of a clip's camera (anything with Blender's property names); None where it bends nothing.

    Before 5.1 Nuke's model has no tangential part.
    """
    kind, keys = _LENS_KEYS[getattr(camera, "distortion_model")]  # noqa: B009
    coefficients = [float(getattr(camera, key, 0.0)) for key in keys]
    while coefficients and coefficients[-1] == 0.0:
        coefficients.pop()
    return LensModel(kind, tuple(coefficients)) if coefficients else None  # type: ignore[arg-type]
