"""Lights as a recipe holds them, and as an engine gets them."""

from __future__ import annotations

from math import cos, pi, radians, sin

import pytest

from platelight.errors import RecipeError
from platelight.lights import Light, LightFrame, Probe, ProbeFrame
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


def test_light_that_changes_has_a_power_and_a_colour_by_frame() -> None:
    light = Light("sun", 1.0, exposure_stops=1.0, transform=IDENTITY, powers={7: 3.0}, colors={8: (1.0, 0.0, 0.0)})
    assert (light.at(7).power, light.at(7).color) == (6.0, (1.0, 1.0, 1.0))
    assert (light.at(8).power, light.at(8).color) == (2.0, (1.0, 0.0, 0.0))


def test_only_a_spot_has_a_cone() -> None:
    spot = Light("spot", 1.0, transform=IDENTITY, cone_deg=30.0)
    assert (spot.at(1).cone_deg, spot.at(1).cone_blend) == (30.0, 0.15)
    with pytest.raises(RecipeError, match="cone_deg: expected no cone but for a spot, got kind point"):
        Light("point", 1.0, transform=IDENTITY, cone_deg=30.0)


def test_irradiance_follows_the_square_of_the_distance() -> None:
    below = (0.0, 0.0, -2.0)  # lights shine along their -Z
    sun = Light("sun", 3.0, color=(1.0, 0.5, 0.0), transform=IDENTITY)
    assert sun.at(1).irradiance_facing(below) == (3.0, 1.5, 0.0)
    for kind, expected in (("point", 100 / (16 * pi)), ("spot", 100 / (16 * pi)), ("area", 100 / (4 * pi))):
        assert Light(kind, 100.0, transform=IDENTITY).at(1).irradiance_facing(below)[0] == pytest.approx(expected)  # type: ignore[arg-type]
    assert Light("area", 100.0, transform=IDENTITY).at(1).irradiance_facing((0.0, 0.0, 2.0))[0] == 0.0


@pytest.mark.parametrize(("off_axis_deg", "share"), [(5, 1.0), (12, 0.8053), (13, 0.4934), (14, 0.1638), (16, 0.0)])
def test_spot_fades_as_measured_in_cycles(off_axis_deg: int, share: float) -> None:
    spot = Light("spot", 4 * pi, transform=IDENTITY, cone_deg=30.0, cone_blend=0.5).at(1)
    a = radians(off_axis_deg)
    assert spot.irradiance_facing((sin(a), 0.0, -cos(a)))[0] == pytest.approx(share, abs=1e-3)


def test_probe_that_changes_has_its_values_by_frame() -> None:
    probe = Probe("env.exr", exposure_stops=1.0, rotation_deg=10.0, rotations_deg={7: 20.0}, exposures_stops={8: -1.0})
    assert [probe.at(frame) for frame in (6, 7, 8)] == [
        ProbeFrame(10.0, 1.0), ProbeFrame(20.0, 1.0), ProbeFrame(10.0, -1.0)
    ]  # fmt: skip


def test_probe_of_a_colour_may_change_it() -> None:
    probe = Probe(color=(1.0, 0.5, 0.0), colors={7: (0.0, 0.0, 1.0)})
    assert (probe.at(6).color, probe.at(7).color) == ((1.0, 0.5, 0.0), (0.0, 0.0, 1.0))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "path: expected either path or color, got none"),
        ({"path": "a.exr", "color": (1.0, 1.0, 1.0)}, "path: expected either path or color, got both"),
        ({"path": "a.exr", "colors": {1: (1.0, 1.0, 1.0)}}, "colors: expected color beside it, and no path, got path"),
        ({"color": (1.0, 1.0, 1.0), "colorspace": "ACEScg"}, "colorspace: expected auto where a color is given"),
    ],
)
def test_probe_is_a_picture_or_a_colour(given: dict[str, object], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        Probe(**given)  # type: ignore[arg-type]
