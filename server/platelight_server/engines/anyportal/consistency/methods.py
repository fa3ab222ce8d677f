"""The ways to make a relit video consistent, by name, each with what it needs and costs as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from platelight_server.engines.anyportal.consistency.flow import enhance_by_residual
from platelight_server.engines.anyportal.consistency.lock import foreground_latents
from platelight_server.engines.anyportal.consistency.refine import Refinement
from platelight_server.engines.anyportal.consistency.sdedit import Cadence, Run, Step, enhance, silent
from platelight_server.models.video.interface import Branch, Prompt, VideoBackbone
from platelight_server.models.video.padding import pad_frames

__all__ = ["METHODS", "Clip", "ConsistencyMethod"]


@dataclass(frozen=True)
class Clip:
    """One window for the consistency stage. All videos are of the same size and count, any count the model takes.

    start         (F, 3, h, w) code values: the relit video of stage 2 (I_L)
    plate, matte  (F, 3, h, w) code values (I), (F, 1, h, w) 0..1
    prompt        of the new scene; `plate_prompt` describes the plate, None takes `prompt` (flow alone asks for it)
    background    (F, 3, h, w) the clean background where it is known and is to stand outside the matte, else None
    sigma_px      what is finer is detail, in pixels of 480 lines; `reach` latents around the matte may change
    """

    start: torch.Tensor
    plate: torch.Tensor
    matte: torch.Tensor
    prompt: Prompt
    run: Run
    plate_prompt: Prompt | None = None
    background: torch.Tensor | None = None
    branches: tuple[Branch, ...] = ()
    cadence: Cadence = field(default_factory=Cadence)
    sigma_px: float = 2.0
    reach: int = 1


@dataclass(frozen=True)
class ConsistencyMethod:
    """A method. Costs are per step: predictions (each one transformer run with guidance), codec decodes and encodes."""

    name: str
    summary: str
    backbones: tuple[str, ...]
    predictions: int
    decodes: int
    encodes: int
    run: Callable[[VideoBackbone, Clip, Step], torch.Tensor]

    def __call__(self, backbone: VideoBackbone, clip: Clip, step: Step = silent) -> torch.Tensor:
        """-> the clip's latent (F', C, h', w'), of its padded count: `backbone.decode(...)[:F]` is its video."""
        return self.run(backbone, clip, step)


def _by_projection(backbone: VideoBackbone, clip: Clip, step: Step) -> torch.Tensor:
    """The lock holds what is outside the matte; with a background of its own, that is to change there instead."""
    known = clip.background
    refine = Refinement(clip.plate, clip.matte, backbone.facts, known, clip.sigma_px, backbone.device)
    lock = foreground_latents(clip.matte, backbone.facts, clip.reach) if known is None else None
    return enhance(backbone, clip.start, clip.prompt, clip.run, refine, lock, clip.branches, clip.cadence, step)


def _by_residual(backbone: VideoBackbone, clip: Clip, step: Step) -> torch.Tensor:
    lock = foreground_latents(clip.matte, backbone.facts, clip.reach)
    plate_prompt = clip.plate_prompt or clip.prompt
    return enhance_by_residual(
        backbone, clip.start, clip.plate, clip.prompt, plate_prompt, clip.run, lock, clip.branches, step
    )


def _by_edges(backbone: VideoBackbone, clip: Clip, step: Step) -> torch.Tensor:
    return enhance(backbone, clip.start, clip.prompt, clip.run, branches=clip.branches, step=step)


def _none(backbone: VideoBackbone, clip: Clip, step: Step) -> torch.Tensor:
    return backbone.encode(pad_frames(clip.start, backbone.facts)).mean


_ALL = ("cogvideox", "wan")

METHODS = {
    method.name: method
    for method in (
        ConsistencyMethod("rpa", "refinement projection: the paper's", _ALL, 1, 1, 2, _by_projection),
        ConsistencyMethod("flow", "residual-corrected denoising: no codec in the loop", _ALL, 2, 0, 0, _by_residual),
        ConsistencyMethod(
            "sdedit", "the video model alone: steady, but the foreground drifts", _ALL, 1, 0, 0, _by_edges
        ),
        ConsistencyMethod("none", "the relit video as it is", _ALL, 0, 0, 0, _none),
    )
}
