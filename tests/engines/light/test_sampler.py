from __future__ import annotations

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler

from platelight.errors import RecipeError
from platelight_server.engines.light.sampler import Row, Run, ratios, sample
from platelight_server.engines.noise import keyed_noise
from platelight_server.engines.presets import PRESETS

ROWS = (Row("the anchor (frame 7)", "anchor"), Row("frame 8"), Row("frame 9"))
ROUNDING = 1e-4  # of latents of size 1, over twenty float32 steps
TRAINED = DPMSolverMultistepScheduler(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    algorithm_type="sde-dpmsolver++",
    use_karras_sigmas=True,
    steps_offset=1,
)  # as IC-Light's authors construct it


def start(rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, 4, 6, 8, generator=torch.Generator().manual_seed(1))


def prior(noisy: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    """The ideal network for latents that are standard normal: the expected noise in x is sigma x."""
    return float(TRAINED.sigma_t[int(timestep)]) * noisy


def test_levels_are_those_of_iclights_sampler() -> None:
    TRAINED.set_timesteps(20)
    assert ratios(20) == tuple(1 / float(sigma) for sigma in TRAINED.sigmas[:-1])


def test_steps_are_those_of_diffusers_one_row_at_a_time() -> None:
    run = Run(20, PRESETS["strong"].light, 3, "light text")
    clean = start()
    together = sample(prior, clean, ROWS, run)
    for index, row in enumerate(ROWS):
        solver = DPMSolverMultistepScheduler.from_config(TRAINED.config)
        solver.set_timesteps(20)
        solver.set_begin_index(6)  # 0.7 of 20 steps are left

        def drawn(step: int | str, row: Row = row) -> torch.Tensor:
            return keyed_noise((4, 6, 8), 3, "light text", row.noise, step)[None]

        x = solver.add_noise(clean[index : index + 1], drawn("start"), solver.timesteps[6:7])
        for step in range(6, 20):
            t = solver.timesteps[step]
            x = solver.step(prior(x, t), t, x, variance_noise=drawn(step), return_dict=False)[0]
        assert torch.equal(x[0], together[index])


def test_a_network_that_knows_the_answer_gives_it() -> None:
    clean = start()

    def knows(noisy: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        signal, noise = TRAINED.alpha_t[int(timestep)], TRAINED.sigma_t[int(timestep)]
        return (noisy - signal * clean) / noise

    found = sample(knows, torch.zeros_like(clean), ROWS, Run(20, 0.0, 3, "light image"))
    torch.testing.assert_close(found, clean, atol=0.02, rtol=0)  # Karras' levels lie between the trained ones


def test_presets_start_where_the_papers_shares_do() -> None:
    assert Run(20, PRESETS["strong"].light, 0, "").count == 14
    assert Run(20, PRESETS["weak"].light, 0, "").count == 8


def test_more_noise_changes_more() -> None:
    clean = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    wanted = (float("inf"), 10.0, PRESETS["weak"].light, 0.5, PRESETS["strong"].light, 0.0)
    changes = [
        float((sample(prior, clean, ROWS[1:2], Run(20, ratio, 0, "x")) - clean).square().mean()) for ratio in wanted
    ]
    assert changes[0] == 0
    assert changes == sorted(changes)


def test_frames_share_their_noise_and_the_anchor_has_its_own() -> None:
    same = start(1).expand(3, -1, -1, -1).contiguous()
    found = sample(prior, same, ROWS, Run(6, 0.0, 3, "light image"))
    assert torch.equal(found[1], found[2])
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("other", [Run(6, 0.0, 4, "light image"), Run(6, 0.0, 3, "light text")])
def test_seed_and_purpose_draw_other_noise(other: Run) -> None:
    assert not torch.equal(
        sample(prior, start(), ROWS, Run(6, 0.0, 3, "light image")), sample(prior, start(), ROWS, other)
    )


def test_answers_that_are_no_numbers_are_named() -> None:
    def breaks(noisy: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        answer = prior(noisy, timestep)
        if timestep < 500:
            answer[2, 0, 0, 0] = float("nan")
        return answer

    with pytest.raises(RecipeError, match=r"NaN or infinity at frame 9, light image, step 10 of 20"):
        sample(breaks, start(), ROWS, Run(20, 0.0, 3, "light image"))
