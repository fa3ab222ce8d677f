"""The depth of a set that is known at some solved points: a smooth surface over the reference view. Pure.

What is smooth is nearness (1 / depth along the camera's axis): over a plane it is linear in the picture, so that
grounds and walls come out exactly. Between the points it is a thin-plate spline (Duchon 1977) with an affine part,
fitted by iteratively reweighted least squares (Holland and Welsch 1977), so that a few wrong points do not bend it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from platelight.camera import CameraFrame
from platelight.errors import CameraError
from platelight.matrices import Vector3

POINTS_LEAST, POINTS_MOST = 4, 400
# Points further out than this, in sizes of the picture, say nothing about it.
OUTSIDE_MOST = 1.0
# Bending is paid for as this share of the residual: nearness of solved points is good to some percent.
STIFFNESS = 1e-3
FITS = 5
# The surface over the picture and as much again on every side, at the knots of a grid this fine.
KNOTS = 129


@dataclass(frozen=True)
class Surface:
    """Nearness over the reference view and its surroundings: `knots` (n, n), 1 / metres, from one picture's size left
    of and above it to one right of and below it; `width_px`, `height_px` are the picture's."""

    width_px: int
    height_px: int
    knots: np.ndarray = field(repr=False)

    def nearness(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """1 / metres at pixels of the reference view, any shape; bilinear, held beyond the grid."""
        last = self.knots.shape[0] - 1
        column = np.clip((u / self.width_px + 1) / 3, 0, 1) * last
        row = np.clip((v / self.height_px + 1) / 3, 0, 1) * last
        left, top = np.minimum(column.astype(int), last - 1), np.minimum(row.astype(int), last - 1)
        across, down = column - left, row - top
        above = self.knots[top, left] * (1 - across) + self.knots[top, left + 1] * across
        below = self.knots[top + 1, left] * (1 - across) + self.knots[top + 1, left + 1] * across
        return np.asarray(above * (1 - down) + below * down)


def surface_through(reference: CameraFrame, points: Sequence[Vector3]) -> Surface:
    """The surface through solved points (world, metres), as the reference camera sees them.

    Raises `CameraError` for fewer than four in and around its view.
    """
    seen, near = _seen(reference, points)
    if len(near) < POINTS_LEAST:
        raise CameraError(
            f"camera.points: expected {POINTS_LEAST} or more in the view of frame {reference.frame}, got {len(near)} of"
            f" {len(points)}; solve more points of the set, or choose background.depth = 'ground' or 'distance'"
        )
    weights = _fitted(seen, near)
    axis = np.linspace(-1, 2, KNOTS)
    at = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    knots = (_terms(at, seen) @ weights).reshape(KNOTS, KNOTS)
    # Beyond the outermost points a spline may leave the set behind the camera, or run into it.
    return Surface(reference.width_px, reference.height_px, np.clip(knots, 0, 4 * float(near.max())))


def _seen(reference: CameraFrame, points: Sequence[Vector3]) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) where points in and around the picture lie, in its sizes, and (N,) their nearness."""
    size = np.array([reference.width_px, reference.height_px])
    found = []
    for point in points:
        try:
            x, y, depth = reference.project(point)
        except ZeroDivisionError:
            continue
        if depth > 0 and np.all(np.abs(np.array([x, y]) / size - 0.5) < 0.5 + OUTSIDE_MOST):
            found.append((x / size[0], y / size[1], 1 / depth))
    held = np.array(found[:: -(-len(found) // POINTS_MOST) or 1]).reshape(-1, 3)
    return held[:, :2], held[:, 2]


def _terms(at: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(M, N + 3): the thin plate r² log r of every centre, and the affine part."""
    square = ((at[:, None] - centres[None]) ** 2).sum(-1)
    plate = 0.5 * square * np.log(np.maximum(square, 1e-30))
    return np.concatenate([plate, np.ones((len(at), 1)), at], 1)


def _fitted(seen: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(N + 3,) weights of the smoothing spline, refitted with less trust in points that the others do not expect.

    A spline bends to every point, so each is held against the fit without it (residual / (1 - influence), Allen 1974).
    """
    count, trust = len(near), np.ones(len(near))
    terms = _terms(seen, seen)
    weights = np.zeros(count + 3)
    for _ in range(FITS):
        system = np.zeros((count + 3, count + 3))
        system[:count] = terms
        system[np.arange(count), np.arange(count)] += STIFFNESS / trust
        system[count:, :count] = terms[:, count:].T
        system[range(count, count + 3), range(count, count + 3)] = -1e-9  # points in a row leave the slope open
        solved = np.linalg.solve(system, np.eye(count + 3, count))
        weights = solved @ near
        influence = (terms * solved.T).sum(1)
        off = np.abs(terms @ weights - near) / np.maximum(1 - influence, 1e-3)
        usual = 1.4826 * float(np.median(off)) + 1e-3 * float(np.median(near))
        trust = np.maximum(np.minimum(1.0, 1.5 * usual / np.maximum(off, 1e-12)) ** 2, 1e-6)
    return weights
