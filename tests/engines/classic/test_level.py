"""The plate's light from its shading, and the cautious exposure."""

from __future__ import annotations

import numpy as np
import pytest

from platelight_server.engines.classic import level
from platelight_server.engines.classic.level import ShadingReader

from .scenes import ball_matte, ball_normals

AGREE = 0.9  # cosine of the angle to the true direction


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (-1.0, None, -0.25),
        (-1.0, -0.4, -0.2),
        (1.0, -1.0, 0.0),
        (0.0, 3.0, 0.0),
        (-8.0, -6.0, -1.0),
        (9.0, None, 1.0),
    ],
)
def test_the_exposure_guess_is_cautious(first: float, second: float | None, expected: float) -> None:
    assert level.cautious(first, second) == pytest.approx(expected)


def read(towards: tuple[float, float, float], noise_stops: float = 0.3) -> level.PlateLight:
    facing = ball_normals()[ball_matte(28) > 0.99]
    patterns = np.random.default_rng(5).standard_normal(len(facing)) * noise_stops
    stops = np.log2(np.maximum(1 + 0.7 * facing @ np.array(towards), 0.05)) + patterns - 3
    reader = ShadingReader()
    reader.add(facing, stops.astype(np.float32))
    return reader.read()


@pytest.mark.parametrize("towards", [(1.0, 0.0, 0.0), (-0.8, 0.6, 0.0), (0.0, 1.0, 0.0)])
def test_the_direction_of_the_light_is_read_off_a_ball(towards: tuple[float, float, float]) -> None:
    assert float(np.dot(read(towards).towards(), towards)) > AGREE


def test_predicted_shading_has_no_mean() -> None:
    facing = ball_normals()[ball_matte(28) > 0.99]
    assert float(read((1.0, 0.0, 0.0)).shading_stops(facing).mean()) == pytest.approx(0, abs=1e-3)


def test_too_few_pixels_show_no_direction() -> None:
    reader = ShadingReader()
    reader.add(np.zeros((3, 3), np.float32), np.zeros(3, np.float32))
    assert reader.read().towards() == (0.0, 0.0, 0.0)
    assert ShadingReader().read().pixels == 0


@pytest.mark.parametrize(
    ("colour", "expected"), [((0.05, 0.4, 0.1), True), ((0.05, 0.1, 0.5), True), ((0.3, 0.3, 0.3), False)]
)
def test_a_keyed_screen_is_told_from_surroundings(colour: tuple[float, float, float], expected: bool) -> None:
    assert level.is_screen(np.tile(np.array(colour, np.float32), (500, 1))) is expected
