"""What is learnt at a noise level: velocity (Salimans and Ho 2022), on the backbone's own schedule.

    noisy  = signal * clean + noise_share * epsilon
    v      = signal * epsilon - noise_share * clean

The paper writes an epsilon loss; CogVideoX predicts velocity on a schedule whose noisiest level has no signal, where
epsilon teaches nothing. Signal and noise are the square roots of `alphas_cumprod` and its rest, as in
`models.video.schedule.diffusion_levels`, which inference takes its levels from.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler

__all__ = ["Objective", "min_snr_weight"]


class Objective:
    """The schedule of a base, for training. `scheduler_config` is the published one."""

    def __init__(self, scheduler_config: dict[str, Any], min_snr: float) -> None:
        scheduler = CogVideoXDDIMScheduler.from_config(dict(scheduler_config), timestep_spacing="trailing")
        self._kept = scheduler.alphas_cumprod.double()
        self._min_snr = min_snr

    @property
    def levels(self) -> int:
        """How many levels there are; timesteps are 0 (clean) to levels - 1 (noise alone)."""
        return len(self._kept)

    def draw(self, generator: torch.Generator, shape: tuple[int, ...]) -> tuple[int, torch.Tensor]:
        """A timestep and its noise (float32), on the CPU."""
        timestep = int(torch.randint(self.levels, (), generator=generator))
        return timestep, torch.randn(shape, generator=generator)

    def noisy(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """(B, ...) -> the noisy latents of (B,) timesteps."""
        signal, share = self._shares(timesteps, clean)
        return signal * clean + share * noise

    def velocity(self, clean: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """(B, ...) -> what the network has to answer; the same as the scheduler's `get_velocity`."""
        signal, share = self._shares(timesteps, clean)
        return signal * noise - share * clean

    def loss(self, answer: torch.Tensor, wanted: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The mean over (B, ...) of squared differences in float32, each sample with its level's weight."""
        errors = (answer.float() - wanted).square().flatten(1).mean(1)
        kept = self._kept[timesteps.cpu()]
        return (errors * min_snr_weight(kept, self._min_snr).to(errors)).mean()

    def _shares(self, timesteps: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        kept = self._kept[timesteps.cpu()].view(-1, *[1] * (like.ndim - 1))
        return kept.sqrt().to(like), (1 - kept).sqrt().to(like)


def min_snr_weight(kept: torch.Tensor, gamma: float) -> torch.Tensor:
    """The min-SNR weight (Hang et al., ICCV 2023) of a velocity loss, from `alphas_cumprod`; gamma 0 is 1 everywhere.

    min(SNR + 1, gamma) / (SNR + 1): the one is added on both sides, or the level without any signal, which every run of
    the sampler begins with, would never be learnt (weight 0).
    """
    if gamma == 0:
        return torch.ones_like(kept)
    above = 1 / (1 - kept)  # SNR + 1
    return above.clamp_max(gamma) / above
