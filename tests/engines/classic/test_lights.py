"""Blender's lights and background plates as surroundings of the subject."""

from __future__ import annotations

import numpy as np
import pytest

from platelight.lights import LightFrame
from platelight.matrices import IDENTITY, Matrix4
from platelight_server.engines.classic import light, sphere
from platelight_server.engines.classic.sphere import Array

from .scenes import camera

ORIGIN = np.zeros(3, np.float32)
DOWN: Matrix4 = ((1, 0, 0, 0), (0, 0, 1, 2.0), (0, -1, 0, 0), (0, 0, 0, 1))  # 2 m up, -Z turned to -Y


def lamp(kind: str, transform: Matrix4 = DOWN, power: float = 10.0) -> LightFrame:
    return LightFrame(kind, transform, (1.0, 0.5, 0.25), power, 0.1, 0.5, 0.2, 0.2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "irradiance"),
    [("sun", 10.0), ("point", 10 / (4 * np.pi * 4)), ("area", 10 / (np.pi * 4))],
)
def test_a_light_above_has_blenders_irradiance(kind: str, irradiance: float) -> None:
    actual = light.from_lights([lamp(kind)], ORIGIN)
    np.testing.assert_allclose(actual.directions[0], (0, 1, 0), atol=1e-6)
    np.testing.assert_allclose(actual.powers[0], np.array([1, 0.5, 0.25]) * irradiance, rtol=1e-5)


def test_an_area_light_does_not_shine_backwards() -> None:
    up: Matrix4 = ((1, 0, 0, 0), (0, 0, -1, 2.0), (0, 1, 0, 0), (0, 0, 0, 1))
    np.testing.assert_array_equal(light.from_lights([lamp("area", up)], ORIGIN).powers, 0)


def test_a_light_at_the_subject_stays_finite() -> None:
    assert np.isfinite(light.from_lights([lamp("point", IDENTITY)], ORIGIN).powers).all()


def test_lights_add_up() -> None:
    one, two = light.from_lights([lamp("sun")], ORIGIN), light.from_lights([lamp("point")], ORIGIN)
    both = light.together(one, two)
    np.testing.assert_allclose(both.harmonics, one.harmonics + two.harmonics, rtol=1e-6)
    assert both.directions.shape == (2, 3)


def left_lit() -> Array:
    picture = np.full((90, 160, 3), 0.05, np.float32)
    picture[:, :60] = 1.0
    return picture


def test_a_picture_that_is_bright_on_the_left_lights_from_the_left() -> None:
    harmonics = light.from_pictures([(left_lit(), None)]).harmonics
    sides = sphere.irradiance(harmonics, np.array([[-1, 0, 0], [1, 0, 0]], np.float32))[:, 0]
    assert sides[0] > 1.3 * sides[1]


def test_a_picture_turns_with_its_camera() -> None:
    harmonics = light.from_pictures([(left_lit(), camera(yaw_deg=90))]).harmonics
    # Looking along world -X, the camera's left is world +Z.
    sides = sphere.irradiance(harmonics, np.array([[0, 0, 1], [0, 0, -1]], np.float32))[:, 0]
    assert sides[0] > 1.3 * sides[1]


def test_a_plain_picture_lights_a_little_from_above() -> None:
    harmonics = light.from_pictures([(np.full((90, 160, 3), 0.2, np.float32), None)]).harmonics
    poles = sphere.irradiance(harmonics, np.array([[0, 1, 0], [0, -1, 0]], np.float32))[:, 0]
    assert 1.2 < poles[0] / poles[1] < 2.5


def test_a_spot_lights_inside_its_cone_only() -> None:
    spot = LightFrame("spot", DOWN, (1.0, 1.0, 1.0), 10.0, 0.1, 0.5, 0.2, 0.2, cone_deg=40.0, cone_blend=0.0)
    inside = light.from_lights([spot], np.zeros(3)).powers[0]
    outside = light.from_lights([spot], np.array([2.0, 0.0, 0.0])).powers[0]
    np.testing.assert_allclose(inside, 10 / (4 * np.pi * 4), rtol=1e-5)
    np.testing.assert_array_equal(outside, 0)
