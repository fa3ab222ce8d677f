"""What the pixels say about the light of the plate and its exposure: direction from shading, level as a cautious guess.

Owns the statistics of a clip. It refuses to be bold: the albedo of the subject is not known, so brightness alone cannot
tell a dark coat in bright light from a white one in the dark (facts/data-and-evaluation.md §0.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from platelight_server.engines.classic import sphere
from platelight_server.engines.classic.sphere import Array, f32, finite

LOG_FLOOR = 0.005  # added before every logarithm of luminance: below it is noise
# Albedo is the noise of this regression, and it comes in few independent patches: with 25 patches of the variance that
# the luminance shows, and slopes that spread by 1.4 stops per harmonic, the posterior mean has this ridge per variance.
RIDGE_PER_VARIANCE = 0.02
# What is expected before looking: half an overcast sky's tilt (see `light.SKY_TILT`), 0.5 stops up to down. It stops a
# face over a black coat from being read as light from below.
EXPECTED_SLOPE = (1.0, 0.0, 0.0)
OUTLIER_STOPS = 2.5  # speculars and holes pull the regression no further than this
LEAST_PIXELS = 200
GREY = 0.18
# How far to believe two observations of the change of exposure that agree, and a single one. With a spread of about a
# stop in the subject's albedo and in how plates are exposed, least squares believes a single one between a quarter and
# a half; the lower end is taken, because doing nothing is what an artist expects from a tool that does not know.
BELIEVE_TWO, BELIEVE_ONE = 0.5, 0.25
MOST_STOPS = 1.0
SCREEN_RATIO, SCREEN_SHARE = 1.4, 0.6


def log_luminance(pixels: Array, weights: Array) -> Array:
    """(..., 3) linear -> (...) stops."""
    return f32(np.log2(np.maximum(finite(pixels) @ weights, 0) + np.float32(LOG_FLOOR)))


@dataclass(frozen=True)
class PlateLight:
    """The plate's own light as read off the foreground.

    slope (3,) stops per first-order harmonic (y, z, x); centre (3,) the harmonics' mean over the foreground
    median_stops: log2 luminance of the foreground; pixels: how many were read
    """

    slope: Array
    centre: Array
    median_stops: float
    pixels: int

    def shading_stops(self, normals: Array) -> Array:
        """Predicted shading at unit world normals (..., 3), stops, 0 on the foreground's mean."""
        return f32((sphere.basis(normals)[..., 1:4] - self.centre) @ self.slope)

    def towards(self) -> tuple[float, float, float]:
        """Unit direction towards the light, world (x, y, z); zeros where the plate shows none."""
        x, y, z = float(self.slope[2]), float(self.slope[0]), float(self.slope[1])
        length = (x * x + y * y + z * z) ** 0.5
        return (x / length, y / length, z / length) if length > 1e-6 else (0.0, 0.0, 0.0)

    def contrast_stops(self) -> float:
        """From the side that faces the light to the side that does not, half of it: stops."""
        return float(np.linalg.norm(self.slope)) * 0.48860252


@dataclass
class ShadingReader:
    """Reads the plate's light direction: ridge regression of log luminance on first-order harmonics of the normals.

    Clothes and hair have patterns; over a whole clip they average out where they do not follow the normal. What is
    returned is the posterior mean of Bayesian linear regression (Bishop, "Pattern Recognition and Machine Learning",
    3.3), which stays near what is expected where the normals do not show a direction, or albedo varies much.
    """

    _harmonics: list[Array] = field(default_factory=list)
    _stops: list[Array] = field(default_factory=list)

    def add(self, normals: Array, stops: Array) -> None:
        """Opaque foreground pixels of one frame: unit world normals (n, 3) and log2 luminance (n,)."""
        self._harmonics.append(sphere.basis(normals)[:, 1:4])
        self._stops.append(stops)

    def read(self) -> PlateLight:
        """The light of the clip; no direction where fewer than `LEAST_PIXELS` were seen."""
        x: npt.NDArray[np.float64] = np.concatenate([np.zeros((0, 3)), *self._harmonics]).astype(np.float64)
        y: npt.NDArray[np.float64] = np.concatenate([np.zeros(0), *self._stops]).astype(np.float64)
        if len(y) < LEAST_PIXELS:
            zero = np.zeros(3, np.float32)
            return PlateLight(zero, zero, float(np.median(y)) if len(y) else float(np.log2(GREY)), len(y))
        centre, median = x.mean(0), float(np.median(y))
        x = x - centre
        y = np.clip(y - median, -OUTLIER_STOPS, OUTLIER_STOPS)
        y -= y.mean()
        ridge = max(RIDGE_PER_VARIANCE * float(y.var()), 1e-4)
        expected = ridge * np.array(EXPECTED_SLOPE)
        slope = np.linalg.solve(x.T @ x / len(y) + ridge * np.eye(3), x.T @ y / len(y) + expected)
        return PlateLight(slope.astype(np.float32), centre.astype(np.float32), median, len(y))


def is_screen(surroundings: Array) -> bool:
    """Whether pixels (n, 3), linear, are a green or blue screen: its level and colour say nothing about the light."""
    if len(surroundings) < LEAST_PIXELS:
        return False
    r, g, b = (np.maximum(surroundings[:, i], 0) + 1e-4 for i in range(3))
    green = (g > SCREEN_RATIO * np.maximum(r, b)).mean()
    blue = (b > SCREEN_RATIO * np.maximum(r, g)).mean()
    return bool(max(green, blue) > SCREEN_SHARE)


def cautious(first: float, second: float | None = None) -> float:
    """Stops of exposure to change by, from one or two observations of the change.

    Two that disagree in sign mean no change; two that agree, half of the smaller; a lone one, a quarter. At most
    `MOST_STOPS`.
    """
    if second is None:
        guess = BELIEVE_ONE * first
    elif first * second <= 0:
        guess = 0.0
    else:
        guess = BELIEVE_TWO * min(first, second, key=abs)
    return float(np.clip(guess, -MOST_STOPS, MOST_STOPS))
