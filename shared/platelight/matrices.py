"""4x4 matrices as plain tuples: rigid transforms of cameras and lights, without numpy.

Convention: column vectors, `p_to = M · p_from`; rows are listed first, so the translation stands in the last column.
World space is right-handed, Y-up, in metres. What is not a rigid transform is refused by those who need one; nothing
here orthonormalizes an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import cos, isfinite, radians, sin
from typing import SupportsFloat

Vector3 = tuple[float, float, float]
Row4 = tuple[float, float, float, float]
Matrix4 = tuple[Row4, Row4, Row4, Row4]

IDENTITY: Matrix4 = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))

RIGID_TOLERANCE = 1e-3  # of RᵀR - 1: solves travel as float32 and as text with 4 to 8 decimals


def matrix4(rows: Iterable[object]) -> Matrix4:
    """A matrix from 4 rows of 4 numbers, or from 16 numbers row by row. Raises ValueError for another shape."""
    held = list(rows)
    nested = [list(row) for row in held if isinstance(row, Iterable)]
    shaped = all(len(row) == 4 for row in nested) if nested else len(held) == 16
    if not shaped or (nested and not len(nested) == len(held) == 4):
        raise ValueError(f"expected 4 rows of 4 numbers or 16 numbers, got {len(held)} items")
    a = [_number(value) for value in (sum(nested, []) if nested else held)]
    return (
        (a[0], a[1], a[2], a[3]),
        (a[4], a[5], a[6], a[7]),
        (a[8], a[9], a[10], a[11]),
        (a[12], a[13], a[14], a[15]),
    )


def _number(value: object) -> float:
    if not isinstance(value, SupportsFloat):
        raise ValueError(f"expected a number, got {type(value).__name__}")
    return float(value)


def multiply(a: Matrix4, b: Matrix4) -> Matrix4:
    """`a · b`: applies `b` first."""
    return matrix4([[sum(a[i][k] * b[k][j] for k in range(4)) for j in range(4)] for i in range(4)])


def transpose(m: Matrix4) -> Matrix4:
    """Rows become columns: the step between OpenEXR's row-vector matrices and ours."""
    return matrix4([[m[j][i] for j in range(4)] for i in range(4)])


def rigid_inverse(m: Matrix4) -> Matrix4:
    """The inverse of a rotation with a translation; exact only for those (`rigid_problem` returns None)."""
    rotation = [[m[j][i] for j in range(3)] for i in range(3)]
    moved = [-sum(rotation[i][k] * m[k][3] for k in range(3)) for i in range(3)]
    return matrix4([[*rotation[i], moved[i]] for i in range(3)] + [[0.0, 0.0, 0.0, 1.0]])


def transform_point(m: Matrix4, point: Sequence[float]) -> Vector3:
    """`m · (x, y, z, 1)`, without a division: for rigid and affine matrices."""
    x, y, z = (m[i][0] * point[0] + m[i][1] * point[1] + m[i][2] * point[2] + m[i][3] for i in range(3))
    return (x, y, z)


def determinant3(m: Matrix4) -> float:
    """Determinant of the upper-left 3x3: 1 for a rotation, -1 where the handedness changes."""
    (a, b, c, _), (d, e, f, _), (g, h, i, _), _ = m
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def rigid_problem(m: Matrix4) -> str | None:
    """Why `m` is not a rotation with a translation, in words, or None if it is one."""
    if _is_rigid(m):
        return None
    if not all(isfinite(value) for row in m for value in row):
        return "a value is not a finite number"
    if any(abs(got - want) > RIGID_TOLERANCE for got, want in zip(m[3], IDENTITY[3], strict=True)):
        return f"last row is {list(m[3])}, expected [0, 0, 0, 1]"
    columns = [[m[i][j] for i in range(3)] for j in range(3)]
    worst = max(
        abs(sum(a * b for a, b in zip(columns[i], columns[j], strict=True)) - (i == j))
        for i in range(3)
        for j in range(3)
    )
    if not worst <= RIGID_TOLERANCE:
        lengths = ", ".join(f"{sum(v * v for v in column) ** 0.5:.4g}" for column in columns)
        return f"rotation is not orthonormal (axis lengths {lengths}; off by {worst:.3g}, allowed {RIGID_TOLERANCE:g})"
    if determinant3(m) < 0:
        return "rotation mirrors (determinant -1): the axes are left-handed"
    return None


def _is_rigid(m: Matrix4) -> bool:
    """The same test written out: solves bring a thousand matrices while an artist waits. NaN fails every comparison."""
    (a, b, c, x), (d, e, f, y), (g, h, i, z), (p, q, r, s) = m
    t = RIGID_TOLERANCE
    return (
        -t <= p <= t and -t <= q <= t and -t <= r <= t and -t <= s - 1 <= t
        and -t <= a * a + d * d + g * g - 1 <= t
        and -t <= b * b + e * e + h * h - 1 <= t
        and -t <= c * c + f * f + i * i - 1 <= t
        and -t <= a * b + d * e + g * h <= t
        and -t <= a * c + d * f + g * i <= t
        and -t <= b * c + e * f + h * i <= t
        and a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) > 0
        and isfinite(x + y + z)
    )  # fmt: skip


def rotation_zxy(x_deg: float, y_deg: float, z_deg: float) -> Matrix4:
    """Nuke's default rotation order ZXY: `R = Ry · Rx · Rz`, so Z turns first. Degrees, right-handed."""
    (sx, cx), (sy, cy), (sz, cz) = ((sin(radians(d)), cos(radians(d))) for d in (x_deg, y_deg, z_deg))
    about_x = matrix4([[1, 0, 0, 0], [0, cx, -sx, 0], [0, sx, cx, 0], [0, 0, 0, 1]])
    about_y = matrix4([[cy, 0, sy, 0], [0, 1, 0, 0], [-sy, 0, cy, 0], [0, 0, 0, 1]])
    about_z = matrix4([[cz, -sz, 0, 0], [sz, cz, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return multiply(about_y, multiply(about_x, about_z))
