"""IC-Light's sampler: DPM-Solver++ (2M, SDE) on Karras' noise levels, from noise or, as SDEdit, from a picture.

Owns the schedule, the noise and the solver's state. The network is a `Predictor`, so the same sampler runs frames that
look at an anchor, frames alone, and the released scripts' pairs. As in those, all frames share one noise and the anchor
has another. Every tensor operation here is elementwise: a frame's result does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from diffusers import DPMSolverMultistepScheduler

from platelight.errors import RecipeError
from platelight_server.engines.noise import keyed_noise
from platelight_server.engines.presets import first_step

__all__ = ["Predictor", "Row", "Run", "ratios", "sample"]

# Noisy latents (S, 4, h, w) float32 and a timestep () -> the noise in them, with guidance, (S, 4, h, w) float32.
Predictor = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Row:
    """What a row of a batch of latents is: its name in messages, and which of the two noises it gets."""

    name: str
    noise: str = "frames"  # or "anchor"


@dataclass(frozen=True)
class Run:
    """A run of the sampler: `steps` make the schedule, `ratio` (signal to noise) is where it starts.

    0 starts from pure noise, infinity makes no step. Runs of another `purpose` draw other noise.
    """

    steps: int
    ratio: float
    seed: int
    purpose: str

    @property
    def first(self) -> int:
        """The index of the first step made."""
        return first_step(ratios(self.steps), self.ratio)

    @property
    def count(self) -> int:
        """How many steps are made."""
        return self.steps - self.first


@lru_cache(maxsize=16)
def ratios(steps: int) -> tuple[float, ...]:
    """The signal to noise ratios of a schedule of `steps` steps, the noisiest first."""
    return tuple(1 / float(sigma) for sigma in _scheduler(steps).sigmas[:-1])


def sample(predict: Predictor, start: torch.Tensor, rows: Sequence[Row], run: Run) -> torch.Tensor:
    """Denoises one latent per row. (S, 4, h, w) float32, clean -> the same; for pure noise, `start` is the shape.

    Raises `RecipeError` naming row and step where the network answers NaN or infinity.
    """
    if run.count == 0:
        return start
    solver = _scheduler(run.steps)
    solver.set_begin_index(run.first)
    noise = _noise(rows, run, "start", start)
    noisy = noise if run.ratio <= 0 else solver.add_noise(start, noise, solver.timesteps[run.first :][:1])
    for index in range(run.first, run.steps):
        timestep = solver.timesteps[index]
        predicted = predict(noisy, timestep)
        _check_finite(predicted, rows, run, index)
        noise = _noise(rows, run, index, start)
        noisy = solver.step(predicted, timestep, noisy, variance_noise=noise, return_dict=False)[0]
    return noisy


def _scheduler(steps: int) -> DPMSolverMultistepScheduler:
    # The betas are linear, unlike Stable Diffusion's own: so are those that IC-Light's authors sample with.
    scheduler = DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        algorithm_type="sde-dpmsolver++",
        use_karras_sigmas=True,
        steps_offset=1,
    )
    scheduler.set_timesteps(steps)
    return scheduler


def _noise(rows: Sequence[Row], run: Run, index: int | str, like: torch.Tensor) -> torch.Tensor:
    drawn = {name: keyed_noise(like.shape[1:], run.seed, run.purpose, name, index) for name in {r.noise for r in rows}}
    return torch.stack([drawn[row.noise] for row in rows]).to(like.device)


def _check_finite(predicted: torch.Tensor, rows: Sequence[Row], run: Run, index: int) -> None:
    good = predicted.flatten(1).isfinite().all(dim=1).tolist()
    if not all(good):
        where = f"{rows[good.index(False)].name}, {run.purpose}, step {index - run.first + 1} of {run.count}"
        raise RecipeError(
            "engine.precision",
            "finite numbers (float16 overflows with some checkpoints)",
            f"NaN or infinity at {where}",
        )
