"""The Refinement Projection Algorithm (AnyPortal, Algorithm 2): a refined video as a latent, without the codec's error.

The paper encodes the decoded video to (mu, sigma) and the refined one to (mu', sigma'), and asks for the epsilon with
mu + epsilon sigma = x0: x0' = mu' + ((x0 - mu) / sigma) sigma'. With log variances v and v' the same is

    x0' = x0 + (mu' - mu) + (x0 - mu) expm1((v' - v) / 2)

which never divides, and is x0 bit for bit, in every precision, where the refinement changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from platelight_server.models.video.interface import Moments, VideoBackbone

__all__ = ["Refine", "project", "refined_latent"]

Refine = Callable[[torch.Tensor], torch.Tensor]  # video -> video, both (F, 3, h, w)


def project(clean: torch.Tensor, before: Moments, after: Moments) -> torch.Tensor:
    """`clean` (F', C, h', w') moved as its video was refined: `before` and `after` are what the codec makes of them."""
    spread = torch.expm1((after.logvar - before.logvar) / 2)
    return clean + (after.mean - before.mean) + (clean - before.mean) * spread


def refined_latent(
    backbone: VideoBackbone, clean: torch.Tensor, refine: Refine, lock: torch.Tensor | None = None
) -> torch.Tensor:
    """Lines 3 to 8 of Algorithm 2. Outside `lock` (F', 1, h', w') bool, the latent stays what it was, bit for bit.

    Without a lock a local refinement reaches the whole picture a little: the codec normalises over it.
    """
    decoded = backbone.decode(clean)
    before, after = backbone.encode(decoded), backbone.encode(refine(decoded))
    projected = project(clean, before, after)
    return projected if lock is None else torch.where(lock.to(clean.device), projected, clean)
