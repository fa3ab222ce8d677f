"""Presets are noise levels: the same light on every schedule."""

from __future__ import annotations

import math

import pytest
from diffusers import CogVideoXDDIMScheduler

from platelight_server.engines.presets import PRESETS, first_step, ratio_of_share


def ratios(snr_shift_scale: float, steps: int) -> list[float]:
    scheduler = CogVideoXDDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=True,
        prediction_type="v_prediction", timestep_spacing="trailing", rescale_betas_zero_snr=True,
        snr_shift_scale=snr_shift_scale,
    )  # fmt: skip
    scheduler.set_timesteps(steps)
    signal = scheduler.alphas_cumprod[scheduler.timesteps]
    return [float(value) for value in (signal / (1 - signal)).sqrt()]


@pytest.mark.parametrize(("preset", "steps"), [("strong", 14), ("weak", 8)])
def test_on_the_papers_backbone_a_preset_runs_the_papers_steps(preset: str, steps: int) -> None:
    assert 20 - first_step(ratios(1.0, 20), PRESETS[preset].consistency) == steps


def test_on_a_noisier_schedule_the_same_preset_starts_at_the_same_noise() -> None:
    wanted = PRESETS["strong"].consistency
    noisier = ratios(3.0, 200)
    assert noisier[first_step(noisier, wanted)] == pytest.approx(wanted, rel=0.05)
    assert first_step(noisier, wanted) > first_step(ratios(1.0, 200), wanted)


def test_no_noise_leaves_the_stage_out_and_all_noise_starts_at_the_top() -> None:
    assert first_step(ratios(1.0, 20), math.inf) == 20
    assert first_step(ratios(1.0, 20), 0.0) == 0


@pytest.mark.parametrize("stage", ["light", "consistency"])
def test_shares_give_the_presets_and_fall_from_no_noise_to_all(stage: str) -> None:
    assert ratio_of_share(0.7, stage) == pytest.approx(getattr(PRESETS["strong"], stage), rel=1e-3)
    assert ratio_of_share(0.4, stage) == pytest.approx(getattr(PRESETS["weak"], stage), rel=1e-3)
    values = [ratio_of_share(share / 20, stage) for share in range(21)]
    assert values[0] == math.inf and values[-1] == 0.0
    assert values == sorted(values, reverse=True)
