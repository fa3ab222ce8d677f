"""Light on the sphere as spherical harmonics of order 2: from a lat-long probe or a direction to irradiance.

Owns the lat-long convention (centre is world -Z, right is +X, up is +Y) and the nine real harmonics. It refuses to
know about cameras, mattes or exposure. Nine coefficients carry a Lambertian surface's irradiance to within about 1 %
(Ramamoorthi and Hanrahan, "An Efficient Representation for Irradiance Environment Maps", SIGGRAPH 2001).
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float32]

COSINE_LOBE = np.array([np.pi] + [2 * np.pi / 3] * 3 + [np.pi / 4] * 5, np.float32)  # Ramamoorthi 2001, eq. 9
BAND = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2], np.float32)
MEAN_OF_BASIS = 0.28209479177387814  # the constant harmonic, 1 / (2 sqrt(pi))
PROBE_HEIGHT = 64  # order 2 needs no more; larger probes are brought down by area first


def f32(values: npt.ArrayLike) -> Array:
    """As float32; no copy where it is."""
    return np.asarray(values, np.float32)


def finite(values: npt.ArrayLike) -> Array:
    """As float32, with NaN and both infinities as 0."""
    return f32(np.nan_to_num(f32(values), nan=0.0, posinf=0.0, neginf=0.0))


def latlong_directions(height: int, width: int) -> tuple[Array, Array]:
    """World directions (H, W, 3) of a lat-long picture's pixel centres, and their solid angles (H, W), sr."""
    polar = (np.arange(height, dtype=np.float32) + 0.5) / height * np.float32(np.pi)
    azimuth = ((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5) * np.float32(2 * np.pi)
    sine = np.sin(polar)[:, None]
    directions = np.stack(
        np.broadcast_arrays(sine * np.sin(azimuth), np.cos(polar)[:, None], -sine * np.cos(azimuth)), -1
    )
    edges = np.cos(np.arange(height + 1) / height * np.pi)
    solid = np.repeat(((edges[:-1] - edges[1:]) * 2 * np.pi / width)[:, None], width, 1)
    return directions.astype(np.float32), solid.astype(np.float32)


def basis(directions: Array) -> Array:
    """The nine real harmonics of order 0..2 at unit directions: (..., 3) -> (..., 9), orthonormal on the sphere."""
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    out = np.empty((*x.shape, 9), np.float32)
    out[..., 0] = MEAN_OF_BASIS
    out[..., 1], out[..., 2], out[..., 3] = 0.48860252 * y, 0.48860252 * z, 0.48860252 * x
    out[..., 4], out[..., 5], out[..., 7] = 1.09254843 * x * y, 1.09254843 * y * z, 1.09254843 * x * z
    out[..., 6] = 0.31539157 * (3 * z * z - 1)
    out[..., 8] = 0.54627421 * (x * x - y * y)
    return out


def project_latlong(probe: Array) -> Array:
    """Radiance harmonics (9, 3) of a lat-long probe (H, W, 3) float32, scene-linear; NaN, Inf and <0 count as 0."""
    probe = np.maximum(finite(probe), 0)
    if probe.shape[0] > PROBE_HEIGHT:
        probe = f32(cv2.resize(probe, (2 * PROBE_HEIGHT, PROBE_HEIGHT), interpolation=cv2.INTER_AREA))
    directions, solid = latlong_directions(*probe.shape[:2])
    return f32((basis(directions) * solid[..., None]).reshape(-1, 9).T @ probe.reshape(-1, 3))


def project_direction(direction: Array, radiance_times_sr: Array) -> Array:
    """Radiance harmonics (9, 3) of a distant light: unit `direction` (3,) towards it, its irradiance (3,) face on."""
    return f32(basis(direction)[:, None] * radiance_times_sr[None, :])


def blur(harmonics: Array, spread_deg: float) -> Array:
    """Harmonics (9, C) averaged over normals that are known only to `spread_deg` (heat kernel on the sphere)."""
    spread = np.float32(np.deg2rad(spread_deg))
    return f32(harmonics * np.exp(-BAND * (BAND + 1) * spread**2 / 4)[:, None])


def irradiance(harmonics: Array, normals: Array, floor: float = 0.05) -> Array:
    """Irradiance (..., C) at unit world normals (..., 3) under radiance harmonics (9, C).

    Not below `floor` of its mean over all normals: order 2 rings below zero under a single strong light, and a real
    subject is never lit by one light alone.
    """
    value = basis(normals) @ (harmonics * COSINE_LOBE[:, None])
    mean = mean_irradiance(harmonics)
    return f32(np.maximum(value, np.maximum(floor * mean, 1e-8)))


def mean_irradiance(harmonics: Array) -> Array:
    """Irradiance (C,) averaged over all normals."""
    return f32(harmonics[0] * COSINE_LOBE[0] * MEAN_OF_BASIS)
