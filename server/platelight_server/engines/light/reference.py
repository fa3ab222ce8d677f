"""The released scripts' way of cross-frame attention, to test and to time the bank against.

Every frame is relit in a pair with the anchor, one batch per step, so the anchor is encoded, computed and decoded again
for each frame. Written from the paper's Sec. 3.2.2 and what is known of the scripts; slow on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from platelight_server.engines.light.bank import Attention, Network, redirected_self_attention
from platelight_server.engines.light.frames import LightFrame, LightSettings
from platelight_server.engines.light.harmonize import Harmonizer, Step
from platelight_server.engines.light.sampler import Predictor

__all__ = ["Joint", "PairwiseHarmonizer"]


class PairwiseHarmonizer(Harmonizer):
    """Relights every frame in a pair with the anchor, as if the others did not exist."""

    def harmonize(
        self,
        window: Sequence[LightFrame],
        anchor: LightFrame | None,
        prompt: str,
        negative: str,
        settings: LightSettings,
        step: Step = lambda stage, done, steps: None,
    ) -> torch.Tensor:
        """As `Harmonizer.harmonize`, within rounding."""
        relit = super().harmonize
        return torch.cat([relit([frame], anchor, prompt, negative, settings, step) for frame in window])

    def attention(self, anchored: bool, settings: LightSettings) -> Attention:
        """All rows in one batch."""
        return Joint() if anchored else super().attention(anchored, settings)


@dataclass(frozen=True)
class Joint:
    """All rows in one call; keys and values of each half of the guidance are those of its row 0."""

    def calls(self, rows: int) -> int:
        """How often the network is called for one step."""
        return 1

    @contextmanager
    def predictor(self, network: Network, tick: Callable[[], None]) -> Iterator[Predictor]:
        """The network with row 0's tokens in place of everyone's keys and values."""

        def predict(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            noise = network.noise(latents, timestep, slice(None))
            tick()
            return noise

        with redirected_self_attention(network.unet, _first_row):
            yield predict


def _first_row(layer: str, tokens: torch.Tensor) -> torch.Tensor:
    """(2 * rows, N, C) -> the same, with each half's first row in place of all."""
    halves = tokens.view(2, -1, *tokens.shape[1:])
    return halves[:, :1].expand_as(halves).flatten(0, 1)
