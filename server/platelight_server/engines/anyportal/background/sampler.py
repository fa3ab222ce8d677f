"""SDE-DPM-Solver++ (2M) over a backbone's noise levels, with noise that is keyed, not drawn in turn. Pure maths.

The sampler that Diffusion as Shader is published with (diffusers' CogVideoXDPMScheduler; Lu et al. 2022, Alg. 2 in its
stochastic form), written over `NoiseLevel`: with l = log(signal / noise), h = l' - l and r = h_before / h,

    x' = (noise' / noise) exp(-h) x + (1 - exp(-2h)) signal' D + noise' sqrt(1 - exp(-2h)) z
    D  = (1 + 1 / 2r) clean - (1 / 2r) clean_before

At the first level signal is 0 and h infinite: x' = signal' D + noise' z. At the last, noise' is 0 and x' = clean.
"""

from __future__ import annotations

from math import exp, expm1, inf, log, sqrt

import torch

from platelight_server.models.video.interface import NoiseLevel

__all__ = ["dpm_step"]


def dpm_step(
    latent: torch.Tensor,
    clean: torch.Tensor,
    before: torch.Tensor | None,
    levels: tuple[NoiseLevel | None, NoiseLevel, NoiseLevel],
    noise: torch.Tensor,
) -> torch.Tensor:
    """One step: `levels` are the one before (None at the first step), this one, and the next.

    latent, clean  (F', C, h', w') float32, noisy and as predicted at this level; `before` as predicted one before
    noise          standard normal of the same shape
    """
    last, here, following = levels
    if following.noise == 0:
        return clean
    h = _log_ratio(following) - _log_ratio(here)
    aimed = clean
    if last is not None and before is not None:
        # An infinite h before means that r is infinite too: nothing is extrapolated.
        half = h / (2 * (_log_ratio(here) - _log_ratio(last)))
        aimed = (1 + half) * clean - half * before
    kept = following.noise / here.noise * exp(-h)
    fresh = -expm1(-2 * h)
    return kept * latent + fresh * following.signal * aimed + following.noise * sqrt(fresh) * noise


def _log_ratio(level: NoiseLevel) -> float:
    return -inf if level.signal <= 0 else log(level.signal / level.noise)
