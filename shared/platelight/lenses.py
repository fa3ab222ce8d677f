"""Lens models applied: where a real lens puts what an ideal camera sees, in Blender's formulas (`camera.LensModel`).

Pixels have their origin at the top-left corner, as everywhere; the formulas have y up, which is turned here.
"""

from __future__ import annotations

from .camera import CameraFrame, LensModel

ITERATIONS_MOST = 200  # of the fixed point that inverts Nuke's model; 20 are enough for lenses that exist
CONVERGED = 1e-14


def bent(lens: LensModel, camera: CameraFrame, x_px: float, y_px: float) -> tuple[float, float]:
    """Ideal pixel to the pixel of the filmed plate, for a picture of the camera's own size.

    `CameraFrame.project` gives ideal pixels. The pixel aspect is that of the two focal lengths (y / x).
    """
    x = (x_px - camera.principal_x) / camera.focal_px_x
    y = -(y_px - camera.principal_y) / camera.focal_px_y
    xd, yd = _bent_normalised(lens, camera, x, y)
    return camera.principal_x + xd * camera.focal_px_x, camera.principal_y - yd * camera.focal_px_y


def _bent_normalised(lens: LensModel, camera: CameraFrame, x: float, y: float) -> tuple[float, float]:
    c = (*lens.coefficients, *[0.0] * 6)
    square = x * x + y * y
    if lens.kind == "polynomial":
        scale = 1 + square * (c[0] + square * (c[1] + square * c[2]))
        return x * scale, y * scale
    if lens.kind == "brown":
        scale = 1 + square * (c[0] + square * (c[1] + square * (c[2] + square * c[3])))
        return (
            x * scale + c[4] * (square + 2 * x * x) + 2 * c[5] * x * y,
            y * scale + c[5] * (square + 2 * y * y) + 2 * c[4] * x * y,
        )
    if lens.kind == "division":
        scale = 1 / (1 + square * (c[0] + square * c[1]))
        return x * scale, y * scale
    return _bent_nuke(c, camera, x, y) if lens.kind == "nuke" else (x, y)


def _bent_nuke(c: tuple[float, ...], camera: CameraFrame, x: float, y: float) -> tuple[float, float]:
    """Nuke's model says how to straighten; the inverse is the fixed point of xd = xu (1 + ...(xd, yd))."""
    pixel_aspect = camera.focal_px_y / camera.focal_px_x
    half = max(camera.width_px, camera.height_px / pixel_aspect) / 2
    to_half = camera.focal_px_x / half
    xu, yu = x * to_half, y * to_half
    xd, yd = xu, yu
    for _ in range(ITERATIONS_MOST):
        square = xd * xd + yd * yd
        radial = 1 + square * (c[0] + square * c[1])
        before = xd, yd
        xd, yd = xu * (radial + c[2] * yd * yd), yu * (radial + c[3] * xd * xd)
        if abs(xd - before[0]) + abs(yd - before[1]) < CONVERGED:
            break
    return xd / to_half, yd / to_half
