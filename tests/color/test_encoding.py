"""Model encodings: the inverse is the inverse, and the policy for light that does not fit holds."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from platelight_server.color.encoding import Encoding, Shoulder, Srgb, srgb_decode, srgb_encode

# float32 through log1p and expm1; measured 1.6e-6 over 0..128 (facts/color-and-exr.md §4).
ROUND_TRIP = 4e-6
# A code of float32 near 1 holds 6e-8; the shoulder's slope at 128 turns it into this relative light.
EXACT_CODE = 2e-6
# Two neighbouring steps of 1e-3 differ by the curve's own bend at the knee; a kink would be tens of per cent.
CURVATURE = 0.02

SHOULDERS = [Shoulder(), Shoulder(0.5, 128.0), Shoulder(0.5, 16.0)]


def _through(encoding: Encoding, light: float) -> float:
    return float(encoding.decode(encoding.encode(torch.tensor([light])))[0])


@pytest.mark.parametrize("encoding", SHOULDERS, ids=str)
@pytest.mark.parametrize(
    ("light", "expected"), [(0.0, 0.0), (-0.5, 0.0), (0.18, 0.18), (1.0, 1.0), (16.0, 16.0), (65504.0, None)]
)
def test_shoulder_round_trip(encoding: Shoulder, light: float, expected: float | None) -> None:
    wanted = encoding.xmax if expected is None else expected
    assert _through(encoding, light) == pytest.approx(wanted, rel=ROUND_TRIP * 4, abs=1e-7)


@pytest.mark.parametrize(
    ("light", "expected"), [(0.0, 0.0), (-0.5, 0.0), (0.18, 0.18), (1.0, 1.0), (16.0, 1.0), (65504.0, 1.0)]
)
def test_srgb_round_trip_clips_above_one(light: float, expected: float) -> None:
    assert _through(Srgb(), light) == pytest.approx(expected, rel=ROUND_TRIP, abs=1e-7)


@given(st.floats(0.0, 128.0, width=32), st.sampled_from(SHOULDERS))
def test_shoulder_round_trips_any_light(light: float, encoding: Shoulder) -> None:
    light = min(light, encoding.xmax)
    assert _through(encoding, light) == pytest.approx(light, rel=ROUND_TRIP * 4, abs=1e-7)


@given(st.floats(0.0, 1.0, width=32))
def test_srgb_round_trips_any_code(code: float) -> None:
    assert float(srgb_encode(srgb_decode(torch.tensor(code)))) == pytest.approx(code, abs=EXACT_CODE)


def test_shoulder_is_srgb_below_the_knee() -> None:
    light = torch.linspace(0, 0.18, 500)
    assert torch.equal(srgb_encode(light), Shoulder().encode(light))


def test_srgb_is_the_piecewise_curve() -> None:
    expected = torch.tensor([12.92 * 0.002, 1.055 * 0.18 ** (1 / 2.4) - 0.055])
    assert torch.allclose(expected, srgb_encode(torch.tensor([0.002, 0.18])), atol=1e-7)


@pytest.mark.parametrize("encoding", SHOULDERS, ids=str)
def test_shoulder_is_monotone_and_smooth_at_the_knee(encoding: Shoulder) -> None:
    light = torch.linspace(0, encoding.xmax, 100_001, dtype=torch.float32)
    assert bool((encoding.encode(light).diff() > 0).all())
    step = 1e-3
    around = encoding.encode(torch.tensor([encoding.knee - step, encoding.knee, encoding.knee + step]))
    below, above = float(around[1] - around[0]), float(around[2] - around[1])
    assert below == pytest.approx(above, rel=CURVATURE)


def test_codes_and_light_that_are_not_numbers_have_a_policy() -> None:
    shoulder = Shoulder()
    assert shoulder.encode(torch.tensor([math.nan, -math.inf, math.inf])).tolist() == [0.0, 0.0, 1.0]
    assert shoulder.decode(torch.tensor([math.nan, -0.2]))[:2].tolist() == [0.0, 0.0]
    assert float(shoulder.decode(torch.tensor([1.2]))) == pytest.approx(128.0, rel=ROUND_TRIP * 4)


def test_half_input_is_computed_in_float32() -> None:
    assert Shoulder().encode(torch.tensor([0.5], dtype=torch.float16)).dtype == torch.float32


def test_a_shoulder_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="knee"):
        Shoulder(knee=2.0)
