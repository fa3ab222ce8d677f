"""Noise levels of published schedulers, and predictions solved for clean and noise, never by a division by signal."""

from __future__ import annotations

import math
from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler, UniPCMultistepScheduler

from platelight_server.models.video.interface import NoiseLevel, Prediction

__all__ = ["diffusion_levels", "dynamic_guidance", "flow_levels", "solve_flow", "solve_velocity"]


def diffusion_levels(config: dict[str, Any], steps: int) -> tuple[NoiseLevel, ...]:
    """Levels of CogVideoX's variance-preserving schedule, trailing (the noisiest is the last training step: signal 0).

    `config` is the published scheduler's, of the DDIM or the DPM class: both have the same betas. Steps are taken from
    this array alone: `CogVideoXDDIMScheduler.step` guesses the step before as t - 1000 // steps, which is another one
    where `steps` does not divide 1000.
    """
    scheduler = CogVideoXDDIMScheduler.from_config(dict(config), timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    kept = scheduler.alphas_cumprod.double()
    return tuple(
        NoiseLevel(float(t), math.sqrt(float(kept[t])), math.sqrt(1 - float(kept[t])))
        for t in scheduler.timesteps.tolist()
    )


def flow_levels(config: dict[str, Any], steps: int, shift: float) -> tuple[NoiseLevel, ...]:
    """Levels of Wan's flow: latent = (1 - s) clean + s noise, with the published scheduler's sigmas and `shift`."""
    settings = {"flow_shift": shift, "use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    scheduler = UniPCMultistepScheduler.from_config(dict(config), **settings)
    scheduler.set_timesteps(steps)
    sigmas, timesteps = scheduler.sigmas.tolist()[:steps], scheduler.timesteps.tolist()
    return tuple(NoiseLevel(float(t), 1 - sigma, sigma) for t, sigma in zip(timesteps, sigmas, strict=True))


def solve_velocity(latent: torch.Tensor, velocity: torch.Tensor, level: NoiseLevel) -> Prediction:
    """v-prediction (Salimans and Ho 2022): v = signal * noise - noise_share * clean, solved for both, at any level."""
    clean = level.signal * latent - level.noise * velocity
    return Prediction(clean, level.signal * velocity + level.noise * latent)


def solve_flow(latent: torch.Tensor, velocity: torch.Tensor, level: NoiseLevel) -> Prediction:
    """Flow matching: v = noise - clean, and latent = (1 - s) clean + s noise."""
    return Prediction(latent - level.noise * velocity, latent + level.signal * velocity)


def dynamic_guidance(guidance: float, level: NoiseLevel, steps: int) -> float:
    """The guidance at a level under CogVideoX's `use_dynamic_cfg`, which Diffusion as Shader was tuned with.

    Reproduced as published, where the timestep (0..999) is compared to the number of steps.
    """
    return 1 + guidance * (1 - math.cos(math.pi * ((steps - level.timestep) / steps) ** 5.0)) / 2
