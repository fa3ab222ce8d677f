"""The light change read from a model's pictures."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from platelight_server.engines.interface import Pictures
from platelight_server.finish.change import GAIN_LIMIT_STOPS, estimate_change
from platelight_server.finish.drift import Drift, measure_drift, undo_drift
from platelight_server.finish.upsample import Enlarged
from tests.finish.finish_scenes import LUMINANCE, Scene, down, hdr_scene, model_pictures, shifted

# What the issue asks of the synthetic relight (facts/color-and-exr.md §5, §7.3).
INTERIOR_STOPS, EDGE_STOPS, HIGHLIGHT_STOPS, DETAIL_ERROR = 0.15, 0.30, 0.20, 0.04
# float32 sums over a pyramid of seven levels, values of a few stops.
ROUNDING_STOPS = 2e-5
# Texture down to single pixels aliases; 0.1 px of error costs less than bilinear enlargement does.
SHIFT_PX = 0.1
SCALE = 4


@pytest.fixture(scope="module")
def scene() -> Scene:
    return hdr_scene()


def _pictures(scene: Scene, codes_rms: float, drift: str, premultiplied: bool) -> Pictures:
    if premultiplied:
        plate = scene.plate - (1 - scene.matte) * scene.background
        truth = plate * scene.gain.exp2()
    else:
        plate, behind = scene.plate, 2.0**-0.7
        truth = plate * torch.lerp(torch.full_like(scene.gain, behind), scene.gain.exp2(), scene.matte)
    return model_pictures(down(plate, SCALE), down(truth, SCALE), codes_rms, drift, 1, premultiplied)


def _gain(scene: Scene, pictures: Pictures) -> torch.Tensor:
    change = estimate_change(pictures, down(scene.matte, SCALE), LUMINANCE)
    height, width = scene.plate.shape[1:]
    return Enlarged(change.gain, height, width, keep_means=True).rows(0, height)


def _rms(error: torch.Tensor, where: torch.Tensor) -> float:
    return float(error[:, where].square().mean().sqrt())


def _detail(light: torch.Tensor) -> torch.Tensor:
    log = ((light * torch.tensor(LUMINANCE).view(3, 1, 1)).sum(0) + 1e-4).log2()
    return log - F.avg_pool2d(F.pad(log[None, None], (4, 4, 4, 4), mode="replicate"), 9, 1)[0, 0]


@pytest.mark.parametrize("premultiplied", [True, False], ids=["over black", "over a background"])
@pytest.mark.parametrize("codes_rms", [0.0, 1.0, 2.0, 3.0])
def test_synthetic_relight_is_carried(scene: Scene, codes_rms: float, premultiplied: bool) -> None:
    gain = _gain(scene, _pictures(scene, codes_rms, "", premultiplied))
    error, matte = gain - scene.gain, scene.matte[0]
    inside, edge = matte > 0.95, (matte > 0.05) & (matte < 0.95)
    assert _rms(error, inside) <= INTERIOR_STOPS
    assert _rms(error, edge) <= EDGE_STOPS
    assert _rms(error, inside & (scene.plate.amax(0) > 2)) <= HIGHLIGHT_STOPS
    truth = _detail(scene.plate * scene.gain.exp2())[inside]
    found = _detail(scene.plate * gain.exp2())[inside]
    assert float((found - truth).norm() / truth.norm()) <= DETAIL_ERROR


@pytest.mark.parametrize("drift", ["relit", "both"])
def test_synthetic_relight_survives_half_a_pixel_of_drift(scene: Scene, drift: str) -> None:
    error = _gain(scene, _pictures(scene, 1.0, drift, True)) - scene.gain
    matte = scene.matte[0]
    assert _rms(error, matte > 0.95) <= INTERIOR_STOPS
    assert _rms(error, (matte > 0.05) & (matte < 0.95)) <= EDGE_STOPS


@pytest.mark.parametrize("premultiplied", [True, False])
def test_a_model_that_changes_nothing_gives_exactly_nothing(scene: Scene, premultiplied: bool) -> None:
    seen = _pictures(scene, 4.0, "both", premultiplied)
    change = estimate_change(
        Pictures(seen.source, seen.roundtrip, seen.roundtrip.clone(), premultiplied), down(scene.matte, 4), LUMINANCE
    )
    assert not change.gain.any()
    assert not change.fill.any()


def test_a_perfect_round_trip_is_not_blurred(scene: Scene) -> None:
    plate = down(scene.plate, SCALE).clamp_min(0.05)
    gain = torch.randn(plate.shape, generator=torch.Generator().manual_seed(5))
    change = estimate_change(Pictures(plate, plate, plate * gain.exp2()), torch.ones(1, *plate.shape[1:]), LUMINANCE)
    # The floor of the ratio (5e-4 of light) bends a gain of 4 stops on light of 0.05 by about a hundredth of a stop.
    assert torch.allclose(gain.clamp(-4, 4), change.gain.clamp(-4, 4), atol=0.15)
    assert float((gain - change.gain).abs().mean()) < 0.01


def test_error_of_the_round_trip_smooths_only_where_it_is(scene: Scene) -> None:
    plate = down(scene.plate, SCALE).clamp_min(0.05)
    generator = torch.Generator().manual_seed(6)
    gain = 0.3 * torch.randn(plate.shape, generator=generator)
    wrong = torch.zeros_like(plate)
    wrong[:, :, :64] = 0.5 * torch.randn(3, plate.shape[1], 64, generator=generator)
    pictures = Pictures(plate, plate * wrong.exp2(), plate * gain.exp2())
    found = estimate_change(pictures, torch.ones(1, *plate.shape[1:]), LUMINANCE).gain
    rough = (found - F.avg_pool2d(found[None], 5, 1, 2)[0]).square().mean((0, 1))
    assert float(rough[:48].mean()) < 0.7 * float(rough[80:].mean())


def test_noise_lowers_confidence(scene: Scene) -> None:
    matte = down(scene.matte, SCALE)
    clean, noisy = (
        estimate_change(_pictures(scene, rms, "", True), matte, LUMINANCE).confidence[matte > 0.9].mean()
        for rms in (0.0, 8.0)
    )
    assert float(clean) == 1.0
    assert float(noisy) < 0.99


def test_gain_reaches_outside_the_matte(scene: Scene) -> None:
    matte = torch.zeros(1, 64, 64)
    matte[:, 20:40, 20:40] = 1
    plate = torch.full((3, 64, 64), 0.3)
    relit = torch.where(matte > 0, plate * 4, plate * 0.1)
    change = estimate_change(Pictures(plate, plate, relit), matte, LUMINANCE)
    assert torch.allclose(torch.full_like(change.gain, 2.0), change.gain, atol=0.01)


def test_gain_is_limited_and_fill_takes_the_rest() -> None:
    plate, truth = torch.zeros(3, 32, 32), torch.full((3, 32, 32), 0.5)
    change = estimate_change(Pictures(plate, plate, truth), torch.ones(1, 32, 32), LUMINANCE)
    assert float(change.gain.max()) == GAIN_LIMIT_STOPS
    assert torch.allclose(truth, plate * change.gain.exp2() + change.fill, rtol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 129)])
def test_any_size_is_taken(size: tuple[int, int]) -> None:
    plate = torch.full((3, *size), 0.2)
    change = estimate_change(Pictures(plate, plate, plate * 2), torch.ones(1, *size), LUMINANCE)
    assert torch.allclose(torch.ones(3, *size), change.gain, atol=5e-3)


def test_an_empty_matte_gives_no_change() -> None:
    plate = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(1))
    change = estimate_change(Pictures(plate, plate, plate * 2, True), torch.zeros(1, 40, 40), LUMINANCE)
    assert float(change.gain.abs().max()) <= ROUNDING_STOPS
    assert not change.fill.any()


def test_values_that_are_not_numbers_stay_where_they_are() -> None:
    plate = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(1)) + 0.1
    relit = plate * 2
    relit[:, 3, 3] = float("nan")
    relit[:, 30, 30] = float("inf")
    change = estimate_change(Pictures(plate, plate, relit), torch.ones(1, 40, 40), LUMINANCE)
    for field in (change.gain, change.fill, change.confidence):
        assert bool(torch.isfinite(field).all())
    assert float((change.gain[:, 10:20, 10:20] - 1).abs().max()) < 0.01


def test_drift_is_measured_and_undone(scene: Scene) -> None:
    plate = down(scene.plate, 2)
    moved = shifted(plate.clamp_min(0), 0.4, 0.3)
    drift = measure_drift(plate, moved, torch.ones(1, *plate.shape[1:]), LUMINANCE)
    assert drift.field is not None
    assert drift.field.mean((1, 2)).tolist() == pytest.approx([-0.4, -0.3], abs=SHIFT_PX)
    back = undo_drift(moved, drift)
    assert float((back - plate).abs().median()) < 0.6 * float((moved - plate).abs().median())


def test_relighting_alone_is_not_taken_for_drift(scene: Scene) -> None:
    plate = down(scene.plate, SCALE)
    relit = plate * down(scene.gain, SCALE).exp2()
    assert measure_drift(plate, relit, down(scene.matte, SCALE), LUMINANCE) == Drift()
    assert measure_drift(plate, plate.clone(), down(scene.matte, SCALE), LUMINANCE) == Drift()
