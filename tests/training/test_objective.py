"""What is learnt agrees with the published scheduler, and with how the sampler solves it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler
from diffusers.training_utils import EMAModel

from platelight_server.models.video.interface import NoiseLevel
from platelight_server.models.video.schedule import solve_velocity
from platelight_server.training.config import OptimiserPart
from platelight_server.training.objective import Objective, min_snr_weight
from platelight_server.training.rates import rate_at

ROUNDING = 1e-6  # float32, of numbers about 1


@pytest.fixture
def scheduler(base: Path) -> CogVideoXDDIMScheduler:
    return CogVideoXDDIMScheduler.from_pretrained(base / "scheduler")


def test_velocity_and_noising_are_the_schedulers(scheduler: CogVideoXDDIMScheduler) -> None:
    objective = Objective(dict(scheduler.config), 0.0)
    clean, noise = torch.randn(3, 2, 16, 4, 6), torch.randn(3, 2, 16, 4, 6)
    times = torch.tensor([0, 501, 999])
    velocity = scheduler.get_velocity(clean, noise, times)
    torch.testing.assert_close(objective.velocity(clean, noise, times), velocity, atol=ROUNDING, rtol=ROUNDING)
    noisy = scheduler.add_noise(clean, noise, times)
    torch.testing.assert_close(objective.noisy(clean, noise, times), noisy, atol=ROUNDING, rtol=ROUNDING)


def test_the_noisiest_level_has_no_signal_and_still_counts(scheduler: CogVideoXDDIMScheduler) -> None:
    objective = Objective(dict(scheduler.config), 5.0)
    clean, noise = torch.randn(1, 2, 16, 4, 6), torch.randn(1, 2, 16, 4, 6)
    last = torch.tensor([999])
    assert torch.equal(objective.noisy(clean, noise, last), noise)
    assert torch.equal(objective.velocity(clean, noise, last), -clean)
    assert objective.loss(torch.zeros_like(clean), -clean, last) > 0


def test_what_is_learnt_is_what_the_sampler_solves(scheduler: CogVideoXDDIMScheduler) -> None:
    objective = Objective(dict(scheduler.config), 0.0)
    clean, noise, time = torch.randn(1, 2, 16, 4, 6), torch.randn(1, 2, 16, 4, 6), torch.tensor([700])
    kept = float(scheduler.alphas_cumprod[700])
    level = NoiseLevel(700, math.sqrt(kept), math.sqrt(1 - kept))
    noisy, velocity = objective.noisy(clean, noise, time), objective.velocity(clean, noise, time)
    solved = solve_velocity(noisy[0], velocity[0], level)
    torch.testing.assert_close(solved.clean, clean[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(solved.noise, noise[0], atol=1e-5, rtol=0)


def test_min_snr_keeps_noisy_levels_and_lowers_clean_ones() -> None:
    snr = torch.tensor([0.0, 1.0, 4.0, 9.0], dtype=torch.float64)
    weight = min_snr_weight(snr / (1 + snr), 5.0)
    torch.testing.assert_close(weight, torch.tensor([1.0, 1.0, 1.0, 0.5], dtype=torch.float64))
    assert torch.equal(min_snr_weight(snr / (1 + snr), 0.0), torch.ones_like(snr))


def test_the_running_mean_is_the_documented_one() -> None:
    weight = torch.nn.Parameter(torch.tensor([0.0]))
    ema, expected = EMAModel([weight], decay=0.9), 0.0
    for step in range(1, 30):
        weight.data.fill_(float(step))
        ema.step([weight])
        decay = 0.0 if step == 1 else min(0.9, step / (9 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(ema.shadow_params[0]) == pytest.approx(expected, rel=ROUNDING)


def test_rates_warm_up_and_fall_to_the_end() -> None:
    part = OptimiserPart(rate=1.0, warmup=4)
    assert [rate_at(step, 104, part) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert rate_at(54, 104, part) == pytest.approx(0.5)
    assert rate_at(104, 104, part) == pytest.approx(0.0)
    assert rate_at(54, 104, OptimiserPart(rate=1.0, warmup=4, schedule="constant")) == 1.0
    assert rate_at(54, 104, OptimiserPart(rate=1.0, warmup=4, schedule="linear")) == 0.5
