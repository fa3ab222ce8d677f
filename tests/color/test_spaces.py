"""Conversions between spaces, against OpenColorIO's own studio config and against the primaries' definitions."""

from __future__ import annotations

import itertools

import numpy as np
import PyOpenColorIO as Ocio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platelight.errors import ColorError
from platelight_server.color import spaces
from platelight_server.color.spaces import (
    Space,
    convert,
    from_chromaticities,
    luminance_weights,
    matrix,
    named,
    primaries,
)

STUDIO = "ocio://studio-config-latest"
# Our name -> the studio config's.
LINEAR = {
    "ACEScg": "ACEScg",
    "ACES2065-1": "ACES2065-1",
    "Linear Rec.709": "Linear Rec.709 (sRGB)",
    "Linear Rec.2020": "Linear Rec.2020",
    "Linear DCI-P3 D65": "Linear P3-D65",
    "Linear AdobeRGB": "Linear AdobeRGB",
}
CHROMATICITIES = {
    "ACEScg": (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767),
    "ACES2065-1": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),
    "Linear Rec.709": (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329),
    "Linear Rec.2020": (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329),
    "Linear DCI-P3 D65": (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329),
    "Linear AdobeRGB": (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.329),
}
CAMERA = (0.73, 0.28, 0.14, 0.855, 0.1, -0.05, 0.3127, 0.329)
VALUES = (0.0, -0.25, 0.18, 1.0, 16.0, 65504.0)
# Of the largest component: the studio config's matrices are written with seven to nine digits, and pixels are float32.
CLOSE = 1e-6
PAIRS = list(itertools.permutations(LINEAR, 2))


def colors() -> np.ndarray:
    """(3, 1, N) float32: every mixture of the values."""
    return np.array(list(itertools.product(VALUES, repeat=3)), np.float32).T.reshape(3, 1, -1)


def worst(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference of a colour, as a fraction of its largest component (of at least 1e-3)."""
    scale = np.maximum(np.abs(expected).max(0), 1e-3)
    return float((np.abs(found.astype(np.float64) - expected).max(0) / scale).max())


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_conversion_is_that_of_the_studio_config(source: str, target: str) -> None:
    apply = (
        Ocio.Config.CreateFromFile(STUDIO)
        .getProcessor(LINEAR[source], LINEAR[target])
        .getDefaultCPUProcessor()
        .applyRGB
    )
    rows = np.array([apply(row.tolist()) for row in np.eye(3)]).T
    expected = (rows @ colors().reshape(3, -1).astype(np.float64)).reshape(3, 1, -1)
    assert worst(convert(colors(), named(source), named(target)), expected) <= 2 * CLOSE


@pytest.mark.parametrize("name", sorted(LINEAR))
def test_matrix_of_our_config_is_the_one_of_its_primaries(name: str) -> None:
    derived = spaces._primaries_to_xyz(CHROMATICITIES[name])
    assert np.abs(spaces.to_xyz(named(name)) - derived).max() <= CLOSE


@pytest.mark.parametrize("name", sorted(LINEAR))
def test_chromaticities_of_a_known_space_are_that_space(name: str) -> None:
    assert from_chromaticities(CHROMATICITIES[name]).name == name


def test_chromaticities_within_a_thousandth_are_the_known_space() -> None:
    nearly = tuple(v + 0.0009 for v in CHROMATICITIES["Linear Rec.709"])
    assert from_chromaticities(nearly).name == "Linear Rec.709"  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(LINEAR))
def test_own_primaries_convert_exactly(name: str) -> None:
    camera = from_chromaticities(CAMERA)
    expected = np.linalg.inv(spaces._primaries_to_xyz(CHROMATICITIES[name])) @ spaces._primaries_to_xyz(CAMERA)
    moved = convert(colors(), camera, named(name))
    assert worst(moved, (expected @ colors().reshape(3, -1).astype(np.float64)).reshape(3, 1, -1)) <= 2 * CLOSE


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_there_and_back_is_the_same_colour(source: str, target: str) -> None:
    back = convert(convert(colors(), named(source), named(target)), named(target), named(source))
    assert worst(back, colors()) <= 4 * CLOSE


@pytest.mark.parametrize("value", VALUES[:5])
@pytest.mark.parametrize("encoded", ["sRGB", "ACEScct"])
def test_light_survives_an_encoding_and_back(encoded: str, value: float) -> None:
    light = np.full((3, 1, 1), value, np.float32)
    back = convert(convert(light, named("ACEScg"), named(encoded)), named(encoded), named("ACEScg"))
    # A step of float32 in a log or power encoding is up to 20 steps of the light it stands for.
    assert back.ravel().tolist() == pytest.approx([value] * 3, rel=1e-5, abs=1e-6)


@given(st.tuples(*[st.floats(-100, 65504, width=32)] * 3), st.sampled_from(PAIRS))
def test_any_colour_survives_there_and_back(color: tuple[float, float, float], pair: tuple[str, str]) -> None:
    start = np.array(color, np.float32).reshape(3, 1, 1)
    back = convert(convert(start, named(pair[0]), named(pair[1])), named(pair[1]), named(pair[0]))
    # A saturated colour may be several times as large on the way, hence float32's 6e-8 per step times that.
    assert np.abs(back - start).max() <= 1e-5 * max(1.0, float(np.abs(start).max()))


@pytest.mark.parametrize(("encoded", "linear"), [(0.0, 0.0), (0.5, 0.21404114), (1.0, 1.0), (0.04, 0.04 / 12.92)])
def test_srgb_is_the_piecewise_curve(encoded: float, linear: float) -> None:
    grey = np.full((3, 1, 1), encoded, np.float32)
    assert float(convert(grey, named("sRGB"), named("Linear Rec.709"))[1, 0, 0]) == pytest.approx(linear, abs=1e-6)


def test_encoded_picture_converts_into_own_primaries() -> None:
    camera, grey = from_chromaticities(CAMERA), np.full((3, 1, 1), 0.5, np.float32)
    assert convert(grey, named("sRGB"), camera).ravel().tolist() == pytest.approx([0.21404114] * 3, abs=1e-6)


def test_same_space_hands_back_the_same_array() -> None:
    picture = colors()
    assert convert(picture, named("ACEScg"), named("lin_ap1_scene")) is picture


def test_data_is_never_converted() -> None:
    picture = colors()
    assert convert(picture, named("Non-Color"), named("ACEScg")) is picture


def test_input_is_not_changed_by_conversion() -> None:
    picture = colors()
    convert(picture, named("sRGB"), named("ACEScg"))
    assert np.array_equal(picture, colors())


def test_matrix_of_an_encoded_space_is_refused() -> None:
    with pytest.raises(ColorError, match="sRGB: expected a scene-linear space"):
        matrix(named("sRGB"), named("ACEScg"))


def test_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(ColorError, match=r"colour space 'Linear Rec709': .*such as Linear Rec\.709"):
        named("Linear Rec709")


@pytest.mark.parametrize("name", sorted(LINEAR))
def test_luminance_weights_sum_to_one(name: str) -> None:
    assert sum(luminance_weights(named(name))) == pytest.approx(1, abs=1e-12)


def test_luminance_of_rec709_is_the_standards() -> None:
    assert luminance_weights(named("Linear Rec.709")) == pytest.approx((0.2126, 0.7152, 0.0722), abs=1e-4)


@pytest.mark.parametrize("name", ["Linear Rec.709", "Linear Rec.2020", "Linear DCI-P3 D65"])
def test_primaries_of_a_named_space_are_its_chromaticities(name: str) -> None:
    assert primaries(named(name)) == pytest.approx(CHROMATICITIES[name], abs=1e-6)


def test_users_config_and_ours_convert_into_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """AgX Log is a name that only a user's config could have; the studio config's camera spaces are such names."""
    monkeypatch.setenv("OCIO", STUDIO)
    there = convert(colors(), named("Linear ARRI Wide Gamut 4"), Space("Linear DCI-P3 D65", "lin_p3d65_scene"))
    assert worst(convert(there, named("Linear P3-D65"), named("Linear ARRI Wide Gamut 4")), colors()) <= 4 * CLOSE
