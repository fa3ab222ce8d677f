"""Which latents the foreground touches: the others are locked, so that a background cannot drift."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from platelight_server.models.video.interface import BackboneFacts
from platelight_server.models.video.padding import pad_frames

__all__ = ["foreground_latents"]

THRESHOLD = 1 / 255  # a matte below this is noise


def foreground_latents(matte: torch.Tensor, facts: BackboneFacts, reach: int = 1) -> torch.Tensor:
    """A matte (F, 1, h, w), 0..1 -> (F', 1, h', w') bool, True where a latent may change.

    A latent counts when any pixel of any of its frames does: the codec makes its first latent of one frame, each one
    after that of `temporal_ratio`. `reach` latents around it count too.
    """
    pooled = F.max_pool2d(pad_frames(matte.float(), facts), facts.spatial_ratio)
    groups = pooled[1:].reshape(-1, facts.temporal_ratio, *pooled.shape[1:]).amax(1)
    latents = torch.cat([pooled[:1].expand(1 + facts.latent_lead, *pooled.shape[1:]), groups])
    return F.max_pool2d(latents, 2 * reach + 1, stride=1, padding=reach) > THRESHOLD
