"""What an engine asks of a video diffusion model: a codec, a ladder of noise levels, and a prediction at one of them.

Owns the conventions, so that a method written once runs on every backbone. A noisy latent is
`signal * clean + noise * epsilon`, whether the model was trained to predict velocity on a variance-preserving schedule
(CogVideoX) or a flow (Wan): `NoiseLevel` carries both numbers, and `Prediction` is already solved for clean and noise,
never by a division by `signal` (which is 0 at the top of a schedule with zero terminal SNR).

    video    (F, 3, h, w) float32, model code values, -1..1 (0 is middle code), may leave the range, never clamped
    latent   (F', C, h', w') float32, as the transformer sees it (scaled and shifted)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, Protocol

import torch


@dataclass(frozen=True)
class NoiseLevel:
    """One rung of a schedule. `timestep` is what the transformer is told; latent = signal * clean + noise * epsilon."""

    timestep: float
    signal: float
    noise: float

    @property
    def ratio(self) -> float:
        """Signal to noise; presets are defined by it, so that they mean the same on every backbone."""
        return float("inf") if self.noise == 0 else self.signal / self.noise


CLEAN = NoiseLevel(0.0, 1.0, 0.0)

# A codec's tiles: None for whole pictures, "own" for the checkpoint's, or (height, width).
Tile = tuple[int, int] | Literal["own"] | None

# Brings a network, by its name in `modules()`, to the device for as long as its context is open.
Placed = Callable[[str], AbstractContextManager[None]]


def stays(_: str) -> AbstractContextManager[None]:
    """A `Placed` that moves nothing: every network is where it belongs already."""
    return nullcontext()


@dataclass(frozen=True)
class Moments:
    """A codec's answer: mean and log variance of the latent, both (F', C, h', w') float32; `mean` as the transformer
    sees it, `logvar` unscaled (scales cancel in the differences that are taken of it)."""

    mean: torch.Tensor
    logvar: torch.Tensor


@dataclass(frozen=True)
class Prediction:
    """What a model makes of a noisy latent: the clean latent and the noise, (F', C, h', w') float32."""

    clean: torch.Tensor
    noise: torch.Tensor


@dataclass(frozen=True)
class Prompt:
    """An embedded text with its negative, each (1, tokens, width) on the CPU, float32. It outlives the text encoder."""

    positive: torch.Tensor
    negative: torch.Tensor


@dataclass(frozen=True)
class BackboneFacts:
    """What a backbone takes, as data.

    `canvases` are the (height, width) it was trained at, largest first; empty = any multiple of `size_multiple`.
    Frame counts are `frame_step * n + 1`, at most `frames_most`; `temporal_ratio` frames make one latent frame after
    the first. `latent_lead` latent frames stand before the first, copies of it, where the transformer takes several at
    once (CogVideoX 1.5 takes two); `encode` adds them and `decode` drops them. `precision` is the published one.
    """

    name: str
    canvases: tuple[tuple[int, int], ...]
    size_multiple: int
    frame_step: int
    frames_most: int
    temporal_ratio: int
    spatial_ratio: int
    text_tokens: int
    default_guidance: float
    latent_lead: int = 0
    precision: str = "bfloat16"

    def frames_for(self, count: int) -> int:
        """The least valid frame count that holds `count` frames. Raises ValueError above `frames_most`."""
        padded = 1 + -(-max(0, count - 1) // self.frame_step) * self.frame_step
        if count < 1 or padded > self.frames_most:
            raise ValueError(f"{self.name}: expected 1 to {self.frames_most} frames, got {count}")
        return padded

    def latent_frames(self, frames: int) -> int:
        """How many latent frames `frames` frames (a valid count) become, the lead included."""
        return self.latent_lead + 1 + (frames - 1) // self.temporal_ratio


class Branch(Protocol):
    """A network beside the transformer (edge control, tracks) that adds to its tokens while it runs.

    `begin` is called once per transformer call, before the first block, with the noisy latent's tokens and what the
    blocks are given; `after` follows each block and returns the video tokens to go on with. Several branches run in
    their order, each on what the one before it returned.
    """

    def begin(self, call: TransformerCall) -> torch.Tensor:
        """-> the video tokens that the first block gets (call.tokens where nothing is added before it)."""

    def after(self, block: int, tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Tokens (B, N, D) and text (B, L, D) after block number `block` -> tokens to go on with."""


@dataclass(frozen=True)
class TransformerCall:
    """What a branch sees of one call of the transformer, in the transformer's dtype, both halves of guidance (B = 2).

    latent (B, F', C, h', w') noisy, without concatenated conditions; timestep (B,); prompt (B, L, E) embedded text;
    tokens (B, N, D) video tokens after the patch embedding; text (B, L, D); modulation `temb` and rotary embedding
    """

    latent: torch.Tensor
    timestep: torch.Tensor
    prompt: torch.Tensor
    tokens: torch.Tensor
    text: torch.Tensor
    modulation: torch.Tensor
    rotary: tuple[torch.Tensor, torch.Tensor] | None


class VideoBackbone(ABC):
    """A video diffusion model with its codec and text encoder. Deterministic: it draws no noise of its own.

    `dtype` is the transformer's; what comes in may be on any device, what goes out is float32 on `device`. `placed` may
    be set to another at any time between calls.
    """

    facts: BackboneFacts
    dtype: torch.dtype
    device: torch.device
    placed: Placed

    @abstractmethod
    def modules(self) -> dict[str, torch.nn.Module]:
        """The networks by name ("text_encoder", "transformer", "vae"), for whoever moves them between devices. A call
        enters `placed(name)` around each network's work, and needs two at once for branches alone."""

    @abstractmethod
    def encode(self, video: torch.Tensor) -> Moments:
        """video -> moments. The same pictures give the same bits, however often they are encoded."""

    @abstractmethod
    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """latent -> video, not clamped by us (Wan's own codec clamps its answer to -1..1)."""

    @abstractmethod
    def embed(self, prompt: str, negative: str) -> Prompt:
        """Embeds a text and its negative; a pair that was embedded before needs the text encoder no more.

        Raises RecipeError for a prompt of more tokens than the model reads."""

    @abstractmethod
    def levels(self, steps: int) -> tuple[NoiseLevel, ...]:
        """The noise levels of a run of `steps` steps, the noisiest first; after the last comes `CLEAN`."""

    @abstractmethod
    def predict(
        self,
        latent: torch.Tensor,
        level: NoiseLevel,
        prompt: Prompt,
        guidance: float,
        condition: torch.Tensor | None = None,
    ) -> Prediction:
        """What the model makes of a noisy latent, with classifier-free guidance. `condition` (F', C2, h', w') is
        concatenated to the latent's channels where the transformer was made for it (image to video)."""

    @abstractmethod
    def attached(self, branches: Sequence[Branch]) -> AbstractContextManager[None]:
        """A context in which `branches` run beside the transformer. None is left behind, also after an error."""
