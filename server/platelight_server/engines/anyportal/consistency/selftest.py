"""What the consistency stage promises, checked on a real backbone: `platelight selftest anyportal` runs these."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from platelight_server.engines.anyportal.consistency.flow import enhance_by_residual
from platelight_server.engines.anyportal.consistency.lock import foreground_latents
from platelight_server.engines.anyportal.consistency.refine import Refinement
from platelight_server.engines.anyportal.consistency.rpa import refined_latent
from platelight_server.engines.anyportal.consistency.sdedit import Run, enhance, mixed
from platelight_server.models.video.interface import VideoBackbone

__all__ = ["Check", "selftest"]

_SOLVED = 1e-4  # of a latent of size 1: two float32 products and a sum, whatever the network's precision


@dataclass(frozen=True)
class Check:
    """One promise: `value` is the largest deviation found, which `tolerance` bounds (0: bit for bit)."""

    name: str
    passed: bool
    value: float
    tolerance: float


def selftest(backbone: VideoBackbone, size: tuple[int, int] | None = None) -> list[Check]:
    """Runs the shortest clip of the backbone's canvas (or `size`, height and width) through the stage, two steps each.

    It writes nothing and needs no plate. Takes a few transformer calls and a dozen codec calls.
    """
    facts = backbone.facts
    height, width = size or (facts.canvases[0] if facts.canvases else (20 * facts.size_multiple,) * 2)
    video = _picture(1 + facts.frame_step, height, width)
    matte = torch.zeros_like(video[:, :1])
    matte[..., : height // 2, : width // 2] = 1
    prompt = backbone.embed("a street at night", "blurry")
    run = Run(ratio=0.8, steps=3, seed=1)  # two steps of three

    coded = backbone.encode(video)
    again = backbone.encode(video.clone())
    plain = enhance(backbone, video, prompt, run)
    identity = enhance(backbone, video, prompt, run, refine=torch.clone)
    same = enhance(backbone, video, prompt, run)
    lock = foreground_latents(matte, facts)
    refine = Refinement(video.flip(-1), matte, facts, sigma_px=8, device=backbone.device)
    locked = refined_latent(backbone, coded.mean, refine, lock)
    rebuilt = enhance_by_residual(backbone, video, video, prompt, prompt, run)
    level = run.levels(backbone)[0][0]
    noisy = mixed(coded.mean, run.noise(coded.mean, facts.latent_lead), level)
    answer = backbone.predict(noisy, level, prompt, run.guidance)
    outside = ~lock.to(locked.device)
    return [
        _exact("the codec answers the same pictures with the same bits", coded.mean, again.mean),
        _exact("projecting no refinement is plain SDEdit", identity, plain),
        _exact("the same seed gives the same result", same, plain),
        _exact("outside the matte the projection changes nothing", locked * outside, coded.mean * outside),
        _differs("inside the matte it does", locked, coded.mean),
        _exact("a video edited into itself by residuals comes back", rebuilt, coded.mean),
        _near("clean and noise make up the latent", mixed(answer.clean, answer.noise, level), noisy),
    ]


def _exact(name: str, found: torch.Tensor, wanted: torch.Tensor) -> Check:
    return _bounded(name, found, wanted, 0.0)


def _near(name: str, found: torch.Tensor, wanted: torch.Tensor) -> Check:
    return _bounded(name, found, wanted, _SOLVED * max(1.0, float(wanted.abs().max())))


def _differs(name: str, found: torch.Tensor, other: torch.Tensor) -> Check:
    """Passes where the largest deviation is finite and not 0; its tolerance says so as infinity."""
    value = float((found - other).abs().max())
    return Check(name, 0 < value < math.inf, value, math.inf)


def _bounded(name: str, found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> Check:
    value = float((found - wanted).abs().max())
    return Check(name, value <= tolerance, value, tolerance)


def _picture(frames: int, height: int, width: int) -> torch.Tensor:
    """(F, 3, h, w) code values: waves that move, with fine detail over them."""
    time, down, across = torch.meshgrid(
        torch.linspace(0, 1, frames), torch.linspace(0, 9, height), torch.linspace(0, 12, width), indexing="ij"
    )
    waves = [torch.sin(down + 3 * time) * torch.cos(across + phase) for phase in (0.0, 1.0, 2.0)]
    detail = torch.sin(9 * down) * torch.sin(11 * across)
    return (0.6 * torch.stack(waves, dim=1) + 0.2 * detail[:, None]).contiguous()
