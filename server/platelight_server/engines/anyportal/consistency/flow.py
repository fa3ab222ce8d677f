"""Residual-corrected denoising: a cheaper way to keep the plate's detail, without the codec in the loop.

The idea is that of FlowPortal (the same authors, 2025); the form is our own and holds at any `NoiseLevel`, where theirs
is for flows. The plate is taken along the same path with the same noise, and what the model fails to see in it
(source - prediction of source) is given back to the edited video:

    clean = source + (prediction of edited - prediction of source)

The model is the low-pass here: both predictions miss the same detail, so what remains is their difference in light. On
a flow this is their z' = (1 - s') x + s' n + (z - z_src) + (s' - s) dV, as (z - z_src) = (1 - s) dC + s dN there. With
the same video and prompt on both sides every difference is 0, and the plate's latent comes back bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from platelight_server.engines.anyportal.consistency.sdedit import STAGE, Run, Step, mixed, silent
from platelight_server.models.video.guard import require_finite
from platelight_server.models.video.interface import Branch, Prompt, VideoBackbone
from platelight_server.models.video.padding import pad_frames

__all__ = ["enhance_by_residual"]


def enhance_by_residual(
    backbone: VideoBackbone,
    start_video: torch.Tensor,
    plate: torch.Tensor,
    prompt: Prompt,
    plate_prompt: Prompt,
    run: Run,
    lock: torch.Tensor | None = None,
    branches: Sequence[Branch] = (),
    step: Step = silent,
) -> torch.Tensor:
    """Renders `start_video` (F, 3, h, w) anew, with the residual of `plate` (same shape) inside `lock` -> its latent.

    Two predictions per step. Outside `lock` (F', 1, h', w') bool it is plain SDEdit; None takes all. `plate_prompt`
    describes the plate. Errors as in `sdedit.enhance`.
    """
    start, source = (backbone.encode(pad_frames(video, backbone.facts)).mean for video in (start_video, plate))
    levels = run.levels(backbone)
    if not levels:
        return start
    inside = torch.ones_like(source[:, :1], dtype=torch.bool) if lock is None else lock.to(source.device)
    noise = run.noise(start, backbone.facts.latent_lead)
    latent = mixed(start, noise, levels[0][0])
    with backbone.attached(branches):
        for number, (level, following) in enumerate(levels, 1):
            known = backbone.predict(mixed(source, noise, level), level, plate_prompt, run.guidance)
            answer = backbone.predict(latent, level, prompt, run.guidance)
            require_finite(answer, backbone, number, len(levels))
            clean = torch.where(inside, source + (answer.clean - known.clean), answer.clean)
            left = torch.where(inside, noise + (answer.noise - known.noise), answer.noise)
            latent = mixed(clean, left, following)
            step(STAGE, number, len(levels))
    return latent
