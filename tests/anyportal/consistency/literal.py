"""AnyPortal's Algorithms 1 and 2 as the paper prints them: slow, in float64, with its divisions. An oracle for tests.

Written from the paper's text alone, of plain torch operations; nothing of the engine is used but the two networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel

Network = Callable[[torch.Tensor, int], torch.Tensor]  # noisy latent, timestep -> velocity


def gaussian_blur(video: torch.Tensor, sigma: float) -> torch.Tensor:
    """Every pixel as the weighted sum of its neighbours, one neighbour after the other."""
    radius = math.ceil(3 * sigma)
    height, width = video.shape[-2:]
    total, weights = torch.zeros_like(video), 0.0
    for down in range(-radius, radius + 1):
        for across in range(-radius, radius + 1):
            weight = math.exp(-(down**2 + across**2) / (2 * sigma**2))
            rows = (torch.arange(height) + down).clamp(0, height - 1)
            columns = (torch.arange(width) + across).clamp(0, width - 1)
            total += weight * video[..., rows, :][..., columns]
            weights += weight
    return total / weights


def refine(
    edited: torch.Tensor, plate: torch.Tensor, matte: torch.Tensor, background: torch.Tensor, sigma: float
) -> torch.Tensor:
    """Algorithm 1, lines 1 to 7."""
    edited, plate, matte, background = (value.double() for value in (edited, plate, matte, background))
    edited_low = gaussian_blur(edited, sigma)
    plate_low = gaussian_blur(plate, sigma)
    plate_high = plate - plate_low
    return matte * (plate_high + edited_low) + (1 - matte) * background


def kept_signal(snr_shift: float) -> torch.Tensor:
    """alpha-bar of CogVideoX's 1000 timesteps: scaled-linear betas, shifted SNR (SD3), zero terminal SNR."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - betas, 0)
    kept = kept / (snr_shift + (1 - snr_shift) * kept)
    root = kept.sqrt()
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2


def denoise(
    latent: torch.Tensor,
    timesteps: list[int],
    alphas: torch.Tensor,
    velocity: Network,
    decode: Callable[[torch.Tensor], torch.Tensor],
    encode: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    refined: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Algorithm 2, lines 1 to 9. `encode` answers with mu and sigma."""
    x = latent.double()
    for t, before in zip(timesteps, [*timesteps[1:], -1], strict=True):
        a, a_before = alphas[t], alphas[before] if before >= 0 else torch.tensor(1.0, dtype=torch.float64)
        epsilon = a.sqrt() * velocity(x, t) + (1 - a).sqrt() * x  # the model says v; this is its epsilon
        x0 = (x - (1 - a).sqrt() * epsilon) / a.sqrt()
        video = decode(x0)
        mu, sigma = encode(video)
        mu_hat, sigma_hat = encode(refined(video))
        epsilon_hat = (x0 - mu) / sigma
        x0_hat = mu_hat + epsilon_hat * sigma_hat
        x = a_before.sqrt() * x0_hat + (1 - a_before).sqrt() * epsilon
    return x


def codec(vae: AutoencoderKLCogVideoX) -> tuple[Callable, Callable]:  # type: ignore[type-arg]
    """decode and encode around latents as the transformer sees them: both moments carry the codec's scale."""
    scale = vae.config.scaling_factor

    @torch.no_grad()
    def decode(latent: torch.Tensor) -> torch.Tensor:
        return vae.decode((latent / scale).float().permute(1, 0, 2, 3)[None]).sample[0].permute(1, 0, 2, 3).double()

    @torch.no_grad()
    def encode(video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = vae.encode(video.float().permute(1, 0, 2, 3)[None]).latent_dist
        mean, sigma = (value[0].permute(1, 0, 2, 3).double() * scale for value in (found.mean, found.std))
        return mean, sigma

    return decode, encode


def guided(
    transformer: CogVideoXTransformer3DModel, positive: torch.Tensor, negative: torch.Tensor, guidance: float
) -> Network:
    """The velocity of a 2b transformer (no rotary embedding) under classifier-free guidance, one prompt at a time."""

    @torch.no_grad()
    def velocity(latent: torch.Tensor, timestep: int) -> torch.Tensor:
        x, t = latent.float()[None], torch.tensor([timestep])
        away, towards = (transformer(x, text, t, return_dict=False)[0][0].double() for text in (negative, positive))
        return away + guidance * (towards - away)

    return velocity
