"""What a step of training costs: a harmonizer with random weights, forward, backward and the optimiser's step.

On a GPU the published sizes are measured, bfloat16 with gradient checkpointing, adapters and all weights; on a CPU a
network of two layers, to see that it runs.
"""

from __future__ import annotations

import gc
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from platelight_server.evaluation.random_models import random_cogvideox
from platelight_server.models.video.expanded import CONDITIONS, widen
from platelight_server.stages import peak_memory_bytes
from platelight_server.training.config import ModelPart, OptimiserPart
from platelight_server.training.network import answer, attach, cast_to
from platelight_server.training.objective import Objective
from platelight_server.training.rates import optimiser_of

__all__ = ["Row", "measure_training"]

RANK = 64
_SCHEDULE = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "beta_schedule": "scaled_linear"}


@dataclass(frozen=True)
class Row:
    """A way of training: seconds of a step after the first, memory at its peak, and what is trained."""

    method: str
    seconds: float
    peak_gib: float
    trained_millions: float
    frozen_millions: float
    said: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON and the table."""
        return asdict(self)


def measure_training(device: str, full: bool, frames: int, backbone: str = "cogvideox-2b", steps: int = 3) -> list[Row]:
    """Times `steps` steps on a sample of `frames` frames: 480x720 and the published network where `full`."""
    return [_measured(method, device, full, frames, backbone, steps) for method in ("lora", "full")]


def _measured(method: str, device: str, full: bool, frames: int, backbone: str, steps: int) -> Row:
    gc.collect()
    on_gpu = device != "cpu"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        seconds, trained, frozen = _trained(method, device, full, frames, backbone, steps)
    except torch.OutOfMemoryError:
        return Row(method, 0.0, torch.cuda.max_memory_allocated(device) / 2**30, 0.0, 0.0, "does not fit")
    peak = torch.cuda.max_memory_allocated(device) if on_gpu else peak_memory_bytes() or 0
    size = "480x720" if full else "64x96"
    said = f"{backbone}, {frames} frames of {size}, bfloat16, checkpointing, AdamW"
    return Row(method, seconds, peak / 2**30, trained / 1e6, frozen / 1e6, said)


def _trained(method: str, device: str, full: bool, frames: int, backbone: str, steps: int) -> tuple[float, int, int]:
    where = torch.device(device)
    network = widen(random_cogvideox(backbone, full, torch.bfloat16, device).transformer, "harmonizer").train()
    if method == "lora":
        weights = list(attach(network, ModelPart(backbone, rank=RANK)).values())
    else:
        cast_to(network, torch.float32)
        weights = list(network.requires_grad_(True).parameters())
    network.enable_gradient_checkpointing()
    optimiser = optimiser_of(OptimiserPart(), weights, where)
    height, width = (60, 90) if full else (8, 12)
    latents = 1 + (frames - 1) // 4
    clean = torch.randn(1, latents, 16, height, width)
    shown = torch.randn(1, latents, 16 * len(CONDITIONS["harmonizer"]), height, width, device=where)
    text = torch.randn(1, 226, network.config.text_embed_dim, device=where)
    objective, began = Objective(_SCHEDULE, 5.0), 0.0
    for step in range(steps + 1):
        if step == 1:  # the first one allocates and compiles
            _wait(where)
            began = time.perf_counter()
        timestep, noise = objective.draw(torch.Generator().manual_seed(step), tuple(clean.shape))
        times = torch.tensor([timestep])
        noisy, wanted = (one(clean, noise, times).to(where) for one in (objective.noisy, objective.velocity))
        with torch.autocast(where.type, torch.bfloat16):
            said = answer(network, network.config, noisy, shown, times.to(where), text)
        objective.loss(said, wanted, times).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
    _wait(where)
    trained = sum(weight.numel() for weight in weights)
    whole = sum(weight.numel() for weight in network.parameters())
    return (time.perf_counter() - began) / steps, trained, whole - trained


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
