"""CogVideoX with conditions beside its noisy latent: HarmoVid's two networks before and after training.

The deflickering network reads [z_t | composite | matte], the harmonizer [z_t | composite | background | matte] (what
they read is HarmoVid's, Sec. 3; no source states the order, or how the matte is coded, so these are ours). The matte
is the latent of the matte shown as a grey video, not one scaled down to latents: so alpha finer than a latent survives.

The weights of added channels begin at zero, so a network that was not trained is its base, bit for bit, whatever its
conditions are. Files of these networks are expanded_files.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from diffusers import CogVideoXTransformer3DModel
from torch import nn

from platelight.errors import ModelError

__all__ = ["CONDITIONS", "KINDS", "Condition", "Kind", "channels_of", "condition", "matte_video", "widen"]

Kind = Literal["deflicker", "harmonizer"]
Condition = Literal["composite", "background", "matte"]

# In the order of their channels, which follow those of the noisy latent.
CONDITIONS: Mapping[Kind, tuple[Condition, ...]] = {
    "deflicker": ("composite", "matte"),
    "harmonizer": ("composite", "background", "matte"),
}
KINDS: tuple[Kind, ...] = ("deflicker", "harmonizer")


def channels_of(kind: Kind, latent_channels: int) -> int:
    """How many channels a network of a kind reads, the noisy latent's included."""
    return latent_channels * (1 + len(CONDITIONS[kind]))


@torch.no_grad()
def widen(transformer: CogVideoXTransformer3DModel, kind: Kind) -> CogVideoXTransformer3DModel:
    """Gives a text-to-video transformer (1.0 or 1.5) the channels of a kind, their weights zero. Changes it in place.

    Returns the same object. Raises `ModelError` where it has conditions already.
    """
    config = transformer.config
    if config.in_channels != config.out_channels:
        came = f"got one that reads {config.in_channels} channels"
        raise ModelError(f"base: expected a text-to-video transformer of {config.out_channels} channels, {came}")
    channels = channels_of(kind, config.out_channels)
    # 1.0 patches by a convolution (D, C, p, p), 1.5 by a linear layer over vectors (C, p_t, p, p) laid flat: in both
    # the channel is the slowest, so a base's weights are the first columns of the wider ones.
    old: Any = transformer.patch_embed.proj
    weight = old.weight.flatten(1)
    wide = weight.new_zeros(len(weight), weight.shape[1] * channels // config.in_channels)
    wide[:, : weight.shape[1]] = weight
    if isinstance(old, nn.Conv2d):
        old.in_channels = channels
        wide = wide.view(len(weight), channels, *old.kernel_size)
    else:
        old.in_features = wide.shape[1]
    old.weight = nn.Parameter(wide, requires_grad=old.weight.requires_grad)
    transformer.register_to_config(in_channels=channels)
    return transformer


def matte_video(matte: torch.Tensor) -> torch.Tensor:
    """A matte (F, 1, h, w) float32, 0..1, as the video that its latent is made of: (F, 3, h, w) float32 codes -1..1."""
    return (matte.float() * 2 - 1).expand(-1, 3, -1, -1)


def condition(kind: Kind, latents: Mapping[Condition, torch.Tensor]) -> torch.Tensor:
    """The conditions of a kind in the order of their channels, what `VideoBackbone.predict` takes as `condition`.

    latents  by name, each (F', C, h', w') float32; those that the kind does not read are left out
    -> (F', C * conditions, h', w'). Raises ValueError naming what is missing.
    """
    lacking = [name for name in CONDITIONS[kind] if name not in latents]
    if lacking:
        raise ValueError(f"{kind}: expected the latents {', '.join(CONDITIONS[kind])}, {lacking[0]} is missing")
    return torch.cat([latents[name] for name in CONDITIONS[kind]], dim=1)
