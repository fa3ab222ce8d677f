"""Cross-frame attention (Sec. 3.2.2): every frame's self-attention takes keys and values from the anchor frame.

The released scripts run the anchor beside every frame. Here its tokens are written to a bank as it passes through the
network, step by step, and the frames read them: each is computed once, in chunks of any size, and the bank holds one
step. What is stored are the tokens that keys and values are projected from, in every self-attention layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0

from platelight_server.engines.light.sampler import Predictor

__all__ = ["Alone", "Anchored", "Attention", "Network", "redirected_self_attention"]

Tick = Callable[[], None]
Keys = Callable[[str, torch.Tensor], torch.Tensor]  # layer, its tokens (2 * n, N, C) -> what they look at, same shape


@dataclass(frozen=True)
class Network:
    """A UNet with what it is told beside the latents.

    condition (S, C, h, w) float32, per row; text (2, L, E) the negative and the prompt; all on the device of the calls
    """

    unet: UNet2DConditionModel
    dtype: torch.dtype
    condition: torch.Tensor
    text: torch.Tensor
    guidance: float

    @property
    def rows(self) -> int:
        """How many latents there are."""
        return len(self.condition)

    def noise(self, latents: torch.Tensor, timestep: torch.Tensor, rows: slice) -> torch.Tensor:
        """The noise in some rows of (S, 4, h, w), with classifier-free guidance, float32.

        The batch is the rows with the negative text, then the rows with the prompt.
        """
        given = torch.cat([latents[rows], self.condition[rows]], dim=1)
        count = len(given)
        batch = given.repeat(2, 1, 1, 1).to(self.dtype)
        text = self.text.repeat_interleave(count, dim=0).to(self.dtype)
        noise: torch.Tensor = self.unet(batch, timestep, text, return_dict=False)[0].float()
        negative, positive = noise.chunk(2)
        return negative + self.guidance * (positive - negative)


class Attention(Protocol):
    """How rows attend to each other."""

    def calls(self, rows: int) -> int:
        """How often the network is called for one step."""

    def predictor(self, network: Network, tick: Tick) -> AbstractContextManager[Predictor]:
        """A context in which the network runs so; `tick` is called after each call. Leaves the network as it was."""


@dataclass(frozen=True)
class Alone:
    """Every row attends to itself, as the network was trained."""

    chunk: int = 1

    def calls(self, rows: int) -> int:
        """How often the network is called for one step."""
        return len(_chunks(0, rows, self.chunk))

    @contextmanager
    def predictor(self, network: Network, tick: Tick) -> Iterator[Predictor]:
        """The network as it is, `chunk` rows at a time."""

        def predict(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            return torch.cat(list(_each(network, latents, timestep, _chunks(0, network.rows, self.chunk), tick)))

        yield predict


@dataclass(frozen=True)
class Anchored:
    """Row 0 is the anchor: it attends to itself, and the others, `chunk` at a time, attend to it alone."""

    chunk: int = 1

    def calls(self, rows: int) -> int:
        """How often the network is called for one step."""
        return 1 + len(_chunks(1, rows, self.chunk))

    @contextmanager
    def predictor(self, network: Network, tick: Tick) -> Iterator[Predictor]:
        """The network with a bank in its self-attention layers."""
        bank = _Bank()

        def predict(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            bank.writing = True
            anchor = list(_each(network, latents, timestep, [slice(0, 1)], tick))
            bank.writing = False
            frames = _each(network, latents, timestep, _chunks(1, network.rows, self.chunk), tick)
            return torch.cat([*anchor, *frames])

        with redirected_self_attention(network.unet, bank.keys):
            yield predict


@contextmanager
def redirected_self_attention(unet: UNet2DConditionModel, keys: Keys) -> Iterator[None]:
    """A context in which the self-attention layers take their keys and values from `keys(layer, tokens)` instead of the
    tokens themselves. Puts back what was there, also after an error."""
    before = unet.attn_processors
    own = {
        name: _RedirectedAttention(name, keys) if name.endswith("attn1.processor") else processor
        for name, processor in before.items()
    }
    unet.set_attn_processor(own)
    try:
        yield
    finally:
        unet.set_attn_processor(before)


class _Bank:
    """The anchor's tokens (2, N, C) by layer, of one step: those of the negative text, then those of the prompt."""

    def __init__(self) -> None:
        self.writing = False
        self._tokens: dict[str, torch.Tensor] = {}

    def keys(self, layer: str, tokens: torch.Tensor) -> torch.Tensor:
        """What tokens (2 * n, N, C) of a layer look at: themselves while the anchor is written, then the anchor's."""
        if self.writing:
            self._tokens[layer] = tokens
            return tokens
        return self._tokens[layer].repeat_interleave(len(tokens) // 2, dim=0)


class _RedirectedAttention(AttnProcessor2_0):  # type: ignore[misc]
    def __init__(self, layer: str, keys: Keys) -> None:
        super().__init__()
        self.layer, self.keys = layer, keys

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        keys = self.keys(self.layer, hidden_states)
        return super().__call__(attn, hidden_states, keys, attention_mask, temb, *args, **kwargs)


def _chunks(first: int, rows: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, rows)) for start in range(first, rows, size)]


def _each(
    network: Network, latents: torch.Tensor, timestep: torch.Tensor, parts: list[slice], tick: Tick
) -> Iterator[torch.Tensor]:
    for rows in parts:
        yield network.noise(latents, timestep, rows)
        tick()
