"""Optimisers, and the learning rate at a step: a function of the step's number, so it needs no state."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from platelight.errors import MissingExtraError, ResourceError
from platelight_server.training.config import OptimiserPart

__all__ = ["optimiser_of", "rate_at"]


def rate_at(step: int, steps: int, part: OptimiserPart) -> float:
    """The rate of step 0, 1, ...: a linear warm-up, then constant, or falling to 0 at the last step."""
    if step < part.warmup:
        return part.rate * (step + 1) / part.warmup
    share = (step - part.warmup) / max(1, steps - part.warmup)
    if part.schedule == "linear":
        return part.rate * (1 - share)
    return part.rate * (0.5 + 0.5 * math.cos(math.pi * share)) if part.schedule == "cosine" else part.rate


def optimiser_of(
    part: OptimiserPart, weights: Sequence[torch.nn.Parameter], device: torch.device
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019), in 8 bits where asked for (Dettmers et al. 2022).

    Raises MissingExtraError without bitsandbytes, ResourceError without a GPU for it.
    """
    settings = {
        "lr": part.rate,
        "betas": (part.beta_first, part.beta_second),
        "eps": part.epsilon,
        "weight_decay": part.weight_decay,
    }
    if part.name == "adamw":
        return torch.optim.AdamW(weights, **settings)  # type: ignore[arg-type]
    try:
        import bitsandbytes
    except ImportError:
        raise MissingExtraError(
            'optimiser.name = "adamw8bit" needs bitsandbytes, which is not installed; '
            'run: pip install bitsandbytes, or choose "adamw"'
        ) from None
    if device.type != "cuda":
        raise ResourceError(f'optimiser.name: adamw8bit works on a GPU, this run is on {device.type}; choose "adamw"')
    return bitsandbytes.optim.AdamW8bit(weights, **settings)  # type: ignore[no-any-return]
