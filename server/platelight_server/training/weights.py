"""What changes from step to step, and how it comes into a checkpoint and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import nn

from platelight_server.training import checkpoints
from platelight_server.training.network import put

__all__ = ["Weights"]


@dataclass
class Weights:
    """The trained weights by name, the optimiser over them, and their running mean where there is one."""

    named: dict[str, nn.Parameter]
    optimiser: torch.optim.Optimizer
    ema: EMAModel | None

    @property
    def values(self) -> list[nn.Parameter]:
        """The weights, in the network's order."""
        return list(self.named.values())

    def kept(self, facts: Mapping[str, Any], randoms: Mapping[str, Any]) -> checkpoints.Checkpoint:
        """All of it as a checkpoint, with the facts of the run and the generators' states."""
        shadows = self.ema.shadow_params if self.ema else []
        return checkpoints.Checkpoint(
            {**facts, "ema_steps": self.ema.optimization_step if self.ema else 0},
            _plain(self.named),
            _plain(dict(zip(self.named, shadows, strict=False))),
            self.optimiser.state_dict(),
            randoms,
        )

    def restore(self, kept: checkpoints.Checkpoint, path: Path) -> None:
        """The inverse, generators included. Raises ModelError where the checkpoint is another network's."""
        put(self.named, kept.weights, path)
        self.optimiser.load_state_dict(dict(kept.optimiser))
        if self.ema is not None:
            put(dict(zip(self.named, self.ema.shadow_params, strict=True)), kept.ema, path)
            self.ema.optimization_step = int(kept.facts["ema_steps"])
        checkpoints.restore_random(kept.randoms)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The running mean in the weights' place."""
        if self.ema is None:
            yield
            return
        self.ema.store(self.values)
        self.ema.copy_to(self.values)
        try:
            yield
        finally:
            self.ema.restore(self.values)


def _plain(named: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}
