"""The light probe of a combination: the lamps as discs of their radiance, the ambient light, and the set's bounce."""

from __future__ import annotations

import numpy as np

from ...engines.classic.sphere import latlong_directions
from .basis import Array, BasisFolder
from .spec import Lamp

HEIGHT, FINE = 64, 8  # lines of a probe, and how much finer discs are drawn before they are brought down


def draw(folder: BasisFolder, weights: Array) -> Array:
    """Radiance around the centre under the lamps' weights (L, 3): (64, 128, 3); centre -Z, right +X, up +Y.

    The foreground is not in it, nor is the backdrop, which lights nothing.
    """
    bounce, cover = folder.bounce
    found = np.tensordot(weights.T, bounce, axes=(1, 0))[np.arange(3), np.arange(3)].transpose(1, 2, 0)
    for lamp, weight in zip(folder.basis.lamps, weights, strict=True):
        if lamp.kind == "ambient":
            found = found + (1 - cover)[..., None] * weight
        else:
            found = found + disc(lamp)[..., None] * weight
    return np.asarray(found, np.float32)


def disc(lamp: Lamp) -> Array:
    """A lamp of weight 1 in a probe, (64, 128): radiance 1 / (pi sin²) of its half angle, over its disc.

    Scaled so that the drawn pixels give the irradiance 1 to a surface that faces the lamp, at any angle across.
    """
    fine, _ = latlong_directions(HEIGHT * FINE, 2 * HEIGHT * FINE)
    inside = fine @ np.asarray(lamp.direction, np.float32) >= np.cos(np.deg2rad(lamp.angle_degrees / 2))
    cover = inside.reshape(HEIGHT, FINE, 2 * HEIGHT, FINE).mean((1, 3))
    coarse, solid = latlong_directions(HEIGHT, 2 * HEIGHT)
    facing = (coarse @ np.asarray(lamp.direction, np.float32)).clip(0) * solid
    return np.asarray(cover / (cover * facing).sum(), np.float32)
