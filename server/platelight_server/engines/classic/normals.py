"""Normals of a foreground from its matte alone, or from the user's layer: camera space, +X right, +Y up, +Z to camera.

Owns the inflation and its steadiness in time. It refuses to know about light. The matte is inflated by a Poisson
problem, laplace(u) = -1 inside and u = 0 on the outline, whose potential is a soft, global measure of local thickness:
a limb of half width w has u = (w^2 - x^2)/2, a ball of radius r has u = (r^2 - d^2)/4, so that

    normal ~ (-du/dx, -du/dy, sqrt(c u)),  c = 2

is exactly a cylinder for a limb, a little flatter than a ball for a ball, and free of the singular outline of a height
field (inflation by a Poisson equation: Nealen et al., "FiberMesh", SIGGRAPH 2007, and the silhouette inflation of
Johnston, "Lumo", NPAR 2002; the normal in closed form is ours). Noise on the outline dies out with the distance from
it, and because the problem is linear, potentials of neighbouring frames may be averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from platelight_server.engines.classic.sphere import Array, f32, finite

GRID_LINES = 68  # lines of the grid that is solved on; light on a matte-inflated shape has nothing finer
CYLINDER = 2.0  # c above
SWEEPS = 12  # Jacobi sweeps per level; more change the normals of the dev shots by less than 1 degree
COARSEST_SWEEPS = 60
HOLE_SHARE = 0.02  # holes up to this share of the matte are faults of the matte; twice as large are gaps
TIME_WEIGHTS = (4.0, 3.0, 2.0)  # of the frame itself, its neighbours, theirs
CONTEXT_FRAMES = len(TIME_WEIGHTS) - 1


def close_holes(matte: Array) -> Array:
    """(h, w) float32 0..1 -> the same with small enclosed holes filled; the filling fades with the hole's size."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((matte < 0.5).astype(np.uint8), connectivity=4)
    h, w = matte.shape
    x, y, width, height, area = (stats[:, i] for i in range(5))
    enclosed = (x > 0) & (y > 0) & (x + width < w) & (y + height < h)
    enclosed[0] = False
    if count < 2 or not enclosed.any():
        return matte
    weight = np.where(enclosed, np.clip(2 - area / max(HOLE_SHARE * float(matte.sum()), 1e-6), 0, 1), 0)
    filling = weight.astype(np.float32)[labels]
    # Half a hole's soft rim lies outside its label: grow the filling by the rim.
    return f32(np.maximum(matte, cv2.dilate(filling, np.ones((5, 5), np.uint8))))


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Size (gh, gw) of the grid for a picture: `GRID_LINES` on its short side, never larger than the picture."""
    scale = max(min(height, width) / GRID_LINES, 1.0)
    return max(round(height / scale), 1), max(round(width / scale), 1)


def potential(matte: Array) -> Array:
    """The Poisson potential (gh, gw) float32, in squared grid pixels, of a matte (h, w) float32 0..1.

    The frame's border reflects: a subject cut by the frame goes on outside it. Full multigrid of Jacobi sweeps, a fixed
    number of them, so that equal mattes give equal bits.
    """
    gh, gw = grid_size(*matte.shape)
    closed = close_holes(np.clip(finite(matte), 0, 1))
    pyramid = [f32(cv2.resize(closed, (gw, gh), interpolation=cv2.INTER_AREA))]
    while min(pyramid[-1].shape) > 8:
        fine = pyramid[-1]
        half = ((fine.shape[1] + 1) // 2, (fine.shape[0] + 1) // 2)
        pyramid.append(f32(cv2.resize(fine, half, interpolation=cv2.INTER_AREA)))
    u = np.zeros_like(pyramid[-1])
    for level in reversed(range(len(pyramid))):
        inside, cell = pyramid[level], np.float32(4.0**level)
        if u.shape != inside.shape:
            u = f32(cv2.resize(u, inside.shape[::-1], interpolation=cv2.INTER_LINEAR))
        source = cell * inside
        weight = 1 / (4 + 4 * cell * (1 - inside) ** 2)  # outside, u decays over one grid pixel
        for _ in range(COARSEST_SWEEPS if level == len(pyramid) - 1 else SWEEPS):
            p = cv2.copyMakeBorder(u, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
            u = f32((p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] + source) * weight)
    return np.ascontiguousarray(u, np.float32)


def average(potentials: Sequence[Array], offsets: Sequence[int], stability: float = 1.0) -> Array:
    """One potential from those of a frame and its neighbours, `offsets` frames away (at shot ends there are fewer).

    `stability` from 1, the neighbours' full weight, to 0, the frame alone.
    """
    weights = f32([TIME_WEIGHTS[abs(o)] * (1.0 if o == 0 else stability) for o in offsets])
    return f32(np.tensordot(weights / weights.sum(), np.stack(potentials), 1))


def from_potential(u: Array, height: int, width: int) -> Array:
    """Unit normals (height, width, 3) float32, camera space, from a potential (gh, gw); where u is 0 they face us."""
    u = f32(cv2.GaussianBlur(u, (0, 0), 1.0))
    right = cv2.Sobel(u, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Sobel(u, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REPLICATE)
    normals = _unit(f32(np.stack([-right, down, np.sqrt(CYLINDER * np.maximum(u, 0)) + 1e-4], -1)))
    if normals.shape[:2] != (height, width):
        normals = _unit(f32(cv2.resize(normals, (width, height), interpolation=cv2.INTER_LINEAR)))
    return normals


def from_layer(layer: Array, fallback: Array) -> Array:
    """The user's normals (h, w, 3), camera space, made unit length; `fallback` where the layer is empty."""
    layer = finite(layer)
    known = np.linalg.norm(layer, axis=-1, keepdims=True) > 0.1
    return f32(np.where(known, _unit(layer), fallback))


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return f32(vectors / np.maximum(length, 1e-8))
