"""Lights as a recipe holds them, and as an engine gets them."""

from __future__ import annotations

import pytest

from platelight.errors import RecipeError
from platelight.lights import Light, LightFrame
from platelight.matrices import IDENTITY, Matrix4

MOVED: Matrix4 = ((1.0, 0.0, 0.0, 2.0), *IDENTITY[1:])


def test_light_that_stands_still_is_the_same_on_every_frame() -> None:
    light = Light("area", 10.0, color=(1.0, 0.5, 0.25), exposure_stops=2.0, size_x_m=3.0, transform=IDENTITY)
    expected = LightFrame("area", IDENTITY, (1.0, 0.5, 0.25), 40.0, 0.0, 0.526, 3.0, 1.0)
    assert light.at(1001) == light.at(5) == expected


def test_light_that_moves_is_where_its_frame_says() -> None:
    light = Light("point", 1.0, name="torch", transforms={1001: IDENTITY, 1002: MOVED})
    assert (light.at(1001).transform, light.at(1002).transform) == (IDENTITY, MOVED)
    with pytest.raises(RecipeError, match=r"lights\.torch\.transforms: expected a transform for frame 1003"):
        light.at(1003)


def test_light_needs_one_kind_of_transform() -> None:
    for given, found in (({}, "none"), ({"transform": IDENTITY, "transforms": {1: IDENTITY}}, "both")):
        with pytest.raises(RecipeError, match=f"either transform or transforms .*got {found}"):
            Light("sun", 1.0, **given)  # type: ignore[arg-type]


def test_light_refuses_a_scaled_transform() -> None:
    scaled: Matrix4 = ((2.0, 0.0, 0.0, 0.0), *IDENTITY[1:])
    with pytest.raises(RecipeError, match=r"transforms\.7: expected a rotation with a translation"):
        Light("area", 1.0, transforms={7: scaled})
