"""SDEdit (Meng et al. 2022) with a video model, the refinement projected at its steps (AnyPortal, Algorithm 2).

Written over `NoiseLevel`s: the same loop runs on CogVideoX's diffusion and on Wan's flow. The step is the paper's: the
next latent mixes the refined clean latent with the model's own noise. (The released code derives the noise anew from
the refined latent, which takes back most of the refinement.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from platelight_server.engines.anyportal.consistency.rpa import Refine, refined_latent
from platelight_server.engines.noise import keyed_noise
from platelight_server.engines.presets import first_step
from platelight_server.models.video.guard import require_finite
from platelight_server.models.video.interface import CLEAN, Branch, NoiseLevel, Prompt, VideoBackbone
from platelight_server.models.video.padding import pad_frames

__all__ = ["Cadence", "Run", "Step", "enhance", "silent", "slot_noise"]

STAGE = "consistency"
Step = Callable[[str, int, int], None]  # stage, step from 1, steps; may raise Cancelled


def silent(stage: str, step: int, steps: int) -> None:
    """A `Step` that tells nobody."""


@dataclass(frozen=True)
class Cadence:
    """At which steps the refinement is projected: every `every`th, counted back from the last, which always is, and
    only where signal to noise is at least `from_ratio`. Leaving steps out costs detail, and nothing else."""

    every: int = 1
    from_ratio: float = 0.0

    def at(self, level: NoiseLevel, left: int) -> bool:
        """Whether to refine at `level` with `left` steps to go after this one."""
        return left % self.every == 0 and (level.ratio >= self.from_ratio or left == 0)


@dataclass(frozen=True)
class Run:
    """How a clip is denoised: from the level nearest to `ratio` (signal to noise, see presets) of `steps` on.

    Noise is keyed by `seed` and the latent's number in the whole shot, `first_latent_slot` being the clip's first.
    """

    ratio: float
    steps: int = 20
    guidance: float = 6.0
    seed: int = 0
    first_latent_slot: int = 0

    def levels(self, backbone: VideoBackbone) -> tuple[tuple[NoiseLevel, NoiseLevel], ...]:
        """Each level that is run with the one that follows it, the last with `CLEAN`; none for a ratio of infinity."""
        rungs = backbone.levels(self.steps)
        first = first_step([level.ratio for level in rungs], self.ratio)
        return tuple(zip(rungs, (*rungs[1:], CLEAN), strict=True))[first:]

    def noise(self, like: torch.Tensor, lead: int) -> torch.Tensor:
        """The clip's noise, of `like`'s shape and device."""
        return slot_noise(self.seed, self.first_latent_slot - lead, like)


def enhance(
    backbone: VideoBackbone,
    start_video: torch.Tensor,
    prompt: Prompt,
    run: Run,
    refine: Refine | None = None,
    lock: torch.Tensor | None = None,
    branches: Sequence[Branch] = (),
    cadence: Cadence | None = None,
    step: Step = silent,
) -> torch.Tensor:
    """Renders `start_video` (F, 3, h, w) anew from `run.ratio` on -> its latent (F', C, h', w'), of the padded count.

    `refine` is projected into the clean latent at the steps of `cadence`, inside `lock` alone (see `refined_latent`);
    without it this is plain SDEdit. Raises RecipeError naming the step where the model's answer is not finite, and
    lets what `step` raises pass, with no hook left behind.
    """
    start = backbone.encode(pad_frames(start_video, backbone.facts)).mean
    levels = run.levels(backbone)
    if not levels:
        return start
    latent = mixed(start, run.noise(start, backbone.facts.latent_lead), levels[0][0])
    with backbone.attached(branches):
        for number, (level, following) in enumerate(levels, 1):
            answer = backbone.predict(latent, level, prompt, run.guidance)
            require_finite(answer, backbone, number, len(levels))
            clean = answer.clean
            if refine is not None and (cadence or Cadence()).at(level, len(levels) - number):
                clean = refined_latent(backbone, clean, refine, lock)
            latent = mixed(clean, answer.noise, following)
            step(STAGE, number, len(levels))
    return latent


def mixed(clean: torch.Tensor, noise: torch.Tensor, level: NoiseLevel) -> torch.Tensor:
    """The latent at a level."""
    return level.signal * clean + level.noise * noise


def slot_noise(seed: int, first_slot: int, like: torch.Tensor) -> torch.Tensor:
    """Noise of `like`'s shape (F', C, h', w') and device, drawn per latent slot on the CPU."""
    slots = range(first_slot, first_slot + len(like))
    return torch.stack([keyed_noise(like.shape[1:], seed, STAGE, slot) for slot in slots]).to(like.device)
