"""Foreground refinement (AnyPortal, Algorithm 1): colours and light of the edited video, detail of the plate.

One thing differs from the paper. Its blur mixes the background into the foreground's low frequencies near the edge;
here the blur is normalised by the matte, so that it takes foreground alone. Where the matte is 1 all over, both agree.

By linearity, HF(plate) + LF(edited) = edited + LF(d) - d with d = edited - plate, which is how it is computed: one
blur, and exactly the edited video wherever the matte is 0. Nothing is clamped: a value that is cut off before it is
encoded again would break the projection's exactness.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from platelight_server.models.video.interface import BackboneFacts
from platelight_server.models.video.padding import pad_frames

__all__ = ["LINES", "Refinement", "gaussian"]

LINES = 480  # lines of the pictures that sigmas are given for
_SPARSE = 1e-6  # matte around a pixel below which it has no neighbourhood to blur over


class Refinement:
    """Algorithm 1 for one clip: called with a decoded video, answers with the refined one.

    plate       (F, 3, h, w) float32, code values -1..1: the clip whose detail is kept (I)
    matte       (F, 1, h, w) float32, 0..1 (M). Frames without foreground come back bit for bit
    background  (F, 3, h, w) code values, what stands outside the matte (I_BG), or None to leave there what was decoded
    sigma_px    of the blur, in pixels of a picture of 480 lines
    """

    def __init__(
        self,
        plate: torch.Tensor,
        matte: torch.Tensor,
        facts: BackboneFacts,
        background: torch.Tensor | None = None,
        sigma_px: float = 2.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.sigma = sigma_px * plate.shape[-2] / LINES
        self.plate, self.matte = (pad_frames(frames, facts).to(device) for frames in (plate, matte))
        self.background = None if background is None else pad_frames(background, facts).to(device)
        self._around = gaussian(self.matte, self.sigma).clamp_min(_SPARSE)

    def __call__(self, decoded: torch.Tensor) -> torch.Tensor:
        """(F, 3, h, w) -> the same, refined; F is the clip's padded count."""
        apart = decoded - self.plate
        low = gaussian(self.matte * apart, self.sigma) / self._around
        refined = decoded + self.matte * (low - apart)
        if self.background is not None:
            refined = refined + (1 - self.matte) * (self.background - decoded)
        return refined


def gaussian(pictures: torch.Tensor, sigma: float) -> torch.Tensor:
    """(F, C, h, w) blurred; the kernel reaches three sigmas, the last row and column go on beyond the edge."""
    radius = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, device=pictures.device, dtype=pictures.dtype)
    weights = torch.exp(-0.5 * (offsets / max(sigma, 1e-3)) ** 2)
    weights = weights / weights.sum()
    padded = F.pad(pictures, (radius,) * 4, mode="replicate").flatten(0, 1)[:, None]
    across = F.conv2d(padded, weights.view(1, 1, 1, -1))
    return F.conv2d(across, weights.view(1, 1, -1, 1)).view(pictures.shape)
