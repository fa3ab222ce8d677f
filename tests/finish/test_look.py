"""The look's dials on a change of light, and bringing it up to plate size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from platelight_server.engines.interface import LightChange
from platelight_server.finish.look import shape_change
from platelight_server.finish.upsample import Enlarged
from tests.finish.finish_scenes import LUMINANCE, down

# float32 sums of three weighted stops.
ROUNDING = 1e-5
# One step of prefiltering leaves a third of the error of white noise, its worst case.
LEFT_OF_NOISE = 0.4


@dataclass(frozen=True)
class Look:
    strength: float = 1.0
    preserve_detail: float = 0.0
    exposure_stops: float = 0.0
    direction: float = 1.0
    colour: float = 1.0
    contrast: float = 1.0


def _change() -> LightChange:
    generator = torch.Generator().manual_seed(1)
    return LightChange(
        torch.randn(3, 20, 30, generator=generator), torch.rand(3, 20, 30, generator=generator), torch.ones(1, 20, 30)
    )


PLATE, MATTE = torch.full((3, 20, 30), 0.18), torch.ones(1, 20, 30)


def _shaped(look: Look) -> LightChange:
    return shape_change(_change(), PLATE, MATTE, look, LUMINANCE)


def _grey(x: torch.Tensor) -> torch.Tensor:
    return (x * torch.tensor(LUMINANCE).view(3, 1, 1)).sum(0)


def test_a_neutral_look_returns_the_change_itself() -> None:
    change = _change()
    assert shape_change(change, PLATE, MATTE, Look(), LUMINANCE) is change


def test_strength_scales_gain_and_fill() -> None:
    shaped = _shaped(Look(strength=0.5))
    assert torch.allclose(_change().gain * 0.5, shaped.gain, atol=ROUNDING)
    assert torch.allclose(_change().fill * 0.5, shaped.fill, atol=ROUNDING)


def test_no_strength_is_no_change() -> None:
    shaped = _shaped(Look(strength=0.0))
    assert not shaped.gain.any() and not shaped.fill.any()


@pytest.mark.parametrize(("amount", "left"), [(0.5, 0.5), (1.0, 0.0)])
def test_preserved_detail_is_not_relit_and_broad_light_stays(amount: float, left: float) -> None:
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    fine = ((rows + columns) % 2 - 0.5).expand(3, 96, 128)
    broad = (columns / 128).expand(3, 96, 128)
    change = LightChange(broad + fine, torch.zeros(3, 96, 128), torch.ones(1, 96, 128))
    plate, matte = torch.full((3, 96, 128), 0.18), torch.ones(1, 96, 128)
    shaped = shape_change(change, plate, matte, Look(preserve_detail=amount), LUMINANCE)
    inner = (slice(None), slice(24, 72), slice(24, 104))  # the smoothing leans on what lies beyond a border
    assert torch.allclose(broad[inner] + left * fine[inner], shaped.gain[inner], atol=0.01)


def test_preserving_detail_does_not_lean_on_what_lies_outside_the_matte() -> None:
    matte = torch.zeros(1, 96, 128)
    matte[..., 64:] = 1
    gain = torch.where(matte > 0, 1.0, 6.0).expand(3, 96, 128)
    change = LightChange(gain, torch.zeros(3, 96, 128), torch.ones(1, 96, 128))
    plate = torch.full((3, 96, 128), 0.18)
    shaped = shape_change(change, plate, matte, Look(preserve_detail=1.0), LUMINANCE)
    # The weight outside is 1e-4 of that inside.
    assert torch.allclose(torch.ones(3, 96, 64), shaped.gain[..., 64:], atol=0.01)


def test_exposure_is_added_and_scales_the_fill_alike() -> None:
    shaped = _shaped(Look(exposure_stops=1.0))
    assert torch.allclose(_change().gain + 1, shaped.gain, atol=ROUNDING)
    assert torch.allclose(_change().fill * 2, shaped.fill, atol=ROUNDING)


def test_no_colour_keeps_the_amount_of_light() -> None:
    shaped = _shaped(Look(colour=0.0))
    assert torch.allclose(shaped.gain[0], shaped.gain[1], atol=ROUNDING)
    assert torch.allclose(_grey(_change().gain), _grey(shaped.gain), atol=ROUNDING)


def test_no_direction_is_one_grade_of_the_mean() -> None:
    grey = _grey(_shaped(Look(direction=0.0)).gain)
    assert torch.allclose(_grey(_change().gain).mean().expand_as(grey), grey, atol=ROUNDING)


def test_direction_keeps_colour() -> None:
    shaped, change = _shaped(Look(direction=1.5)), _change()
    assert torch.allclose(change.gain[0] - change.gain[1], shaped.gain[0] - shaped.gain[1], atol=ROUNDING)


@pytest.mark.parametrize(("level", "expected"), [(0.18, 0.0), (0.72, 1.0), (0.045, -1.0)])
def test_contrast_turns_about_mid_grey(level: float, expected: float) -> None:
    nothing = LightChange(torch.zeros(3, 20, 30), torch.zeros(3, 20, 30), torch.ones(1, 20, 30))
    shaped = shape_change(nothing, torch.full((3, 20, 30), level), MATTE, Look(contrast=1.5), LUMINANCE)
    # A floor of 1e-3 of light keeps black finite and bends these by a hundredth of a stop.
    assert torch.allclose(torch.full_like(shaped.gain, expected), shaped.gain, atol=0.02)


def test_gain_stays_within_six_stops() -> None:
    assert float(_shaped(replace(Look(), exposure_stops=9.0)).gain.max()) == 6.0


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_enlarging_keeps_the_means(factor: int) -> None:
    field = torch.randn(1, 24, 32, generator=torch.Generator().manual_seed(2))
    plain = Enlarged(field, 24 * factor, 32 * factor).rows(0, 24 * factor)
    kept = Enlarged(field, 24 * factor, 32 * factor, keep_means=True).rows(0, 24 * factor)
    error_plain, error_kept = ((down(x, factor) - field).square().mean() for x in (plain, kept))
    assert float(error_kept) < LEFT_OF_NOISE * float(error_plain)


@pytest.mark.parametrize("size", [(24, 32), (25, 37), (96, 100)])
def test_enlarged_constants_stay_and_zero_is_exact(size: tuple[int, int]) -> None:
    constant = Enlarged(torch.full((1, 24, 32), 0.7), *size, keep_means=True).rows(0, size[0])
    assert torch.allclose(torch.full((1, *size), 0.7), constant, atol=ROUNDING)
    zero = Enlarged(torch.zeros(1, 24, 32), *size, keep_means=True)
    assert zero.is_zero
    assert not zero.rows(0, size[0]).any()


def test_a_field_at_plate_size_is_not_touched() -> None:
    field = torch.randn(2, 24, 32, generator=torch.Generator().manual_seed(2))
    assert torch.equal(field, Enlarged(field, 24, 32, keep_means=True).rows(0, 24))
