"""Wan 2.1 text to video (Wan team 2025) as a `VideoBackbone`, in diffusers' layout; 1.3B is what it was tried with.

A flow: latent = (1 - s) clean + s noise, and the model says noise - clean. Its codec clamps its own answer to -1..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel
from torch import nn
from transformers import AutoTokenizer, UMT5EncoderModel

from platelight.errors import RecipeError
from platelight_server.models.loading import load
from platelight_server.models.video import schedule
from platelight_server.models.video.codec import as_codec, as_latent, as_video, repeatable
from platelight_server.models.video.interface import (
    BackboneFacts,
    Branch,
    Moments,
    NoiseLevel,
    Placed,
    Prediction,
    Prompt,
    Tile,
    VideoBackbone,
    stays,
)
from platelight_server.models.video.padding import require_fit
from platelight_server.models.video.speed import Speed
from platelight_server.models.video.text import PromptReader, cleaned

__all__ = ["Wan"]

SHIFT_480 = 3.0  # the shift of the flow's levels published for 480 lines (5.0 for 720)
_TILE = 32  # a tile's stride is three quarters of it, and must be whole latents


class Wan(VideoBackbone):
    """A Wan 2.1 text-to-video checkpoint. `tile` as in `CogVideoX`, (height, width) in multiples of 32."""

    def __init__(
        self,
        transformer: WanTransformer3DModel,
        vae: AutoencoderKLWan,
        text_encoder: UMT5EncoderModel,
        tokenizer: Any,
        scheduler_config: dict[str, Any],
        *,
        name: str = "wan",
        shift: float = SHIFT_480,
        tile: Tile = None,
        speed: Speed | None = None,
        placed: Placed = stays,
        device: torch.device | str = "cpu",
    ) -> None:
        self.transformer, self.vae = transformer.eval(), vae.eval()
        self.text_encoder, self.tokenizer = text_encoder.eval(), tokenizer
        self.dtype, self.device = transformer.dtype, torch.device(device)
        self._scheduler, self._shift, self.placed = scheduler_config, shift, placed
        self._speed = speed or Speed()
        self._speed.prepare(transformer.blocks)
        spatial = vae.config.scale_factor_spatial
        self.facts = BackboneFacts(
            name=name,
            canvases=(),  # trained at 480x832; its positions are computed, so other sizes run
            size_multiple=spatial * transformer.config.patch_size[1],
            frame_step=vae.config.scale_factor_temporal,
            frames_most=81,
            temporal_ratio=vae.config.scale_factor_temporal,
            spatial_ratio=spatial,
            text_tokens=512,
            default_guidance=5.0,
        )
        self._reader = PromptReader(tokenizer, text_encoder, self.facts.text_tokens, True, self.device)
        _choose_tile(vae, tile)

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        dtype: torch.dtype = torch.bfloat16,
        device: torch.device | str = "cpu",
        vae_dtype: torch.dtype = torch.float32,
        **chosen: Any,
    ) -> Self:
        """Loads a published folder, its codec in float32. See `CogVideoX.from_folder`."""
        home = "cpu" if "placed" in chosen else device
        return cls(
            load(folder, WanTransformer3DModel, "transformer", dtype, home),
            load(folder, AutoencoderKLWan, "vae", vae_dtype, home),
            load(folder, UMT5EncoderModel, "text_encoder", dtype, home),
            load(folder, AutoTokenizer, "tokenizer"),
            dict(load(folder, UniPCMultistepScheduler, "scheduler").config),
            **{"name": folder.name, "device": device, **chosen},
        )

    def modules(self) -> dict[str, nn.Module]:
        return {"text_encoder": self.text_encoder, "transformer": self.transformer, "vae": self.vae}

    @torch.no_grad()
    def encode(self, video: torch.Tensor) -> Moments:
        """Raises ValueError for a frame count or size that the codec does not take (padding.py makes valid counts)."""
        require_fit(video, self.facts)
        with self.placed("vae"), repeatable():
            found = self.vae.encode(as_codec(video, self.vae, self.device)).latent_dist
        mean, spread = self._statistics()
        return Moments((as_latent(found.mean) - mean) / spread, as_latent(found.logvar))

    @torch.no_grad()
    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        mean, spread = self._statistics()
        plain = latent.to(self.device) * spread + mean
        with self.placed("vae"), repeatable():
            return as_video(self.vae.decode(as_codec(plain, self.vae, self.device)).sample)

    def embed(self, prompt: str, negative: str) -> Prompt:
        return self._reader.read(cleaned(prompt), cleaned(negative), self.placed)

    def levels(self, steps: int) -> tuple[NoiseLevel, ...]:
        return schedule.flow_levels(self._scheduler, steps, self._shift)

    @torch.no_grad()
    def predict(
        self,
        latent: torch.Tensor,
        level: NoiseLevel,
        prompt: Prompt,
        guidance: float,
        condition: torch.Tensor | None = None,
    ) -> Prediction:
        """The two prompts run one after the other, as published; guidance 1 leaves the negative one out.

        Raises ValueError for a `condition`: the text-to-video model has no place for one.
        """
        if condition is not None:
            raise ValueError(f"{self.facts.name}: expected no condition, got one of {tuple(condition.shape)}")
        latent = latent.to(self.device, torch.float32)
        shown = latent.transpose(0, 1)[None].to(self.dtype)
        time = torch.full((1,), level.timestep, device=self.device)
        with self.placed("transformer"), self._speed.kernels():
            velocity = self._velocity(shown, time, prompt.positive)
            if guidance != 1:
                away = self._velocity(shown, time, prompt.negative)
                velocity = away + guidance * (velocity - away)
        return schedule.solve_flow(latent, velocity, level)

    def attached(self, branches: Sequence[Branch]) -> AbstractContextManager[None]:
        """Raises RecipeError where there are branches: none that is published fits this model."""
        if branches:
            raise RecipeError("engine.edges", f"no branches beside {self.facts.name}", f"{len(branches)}")
        return nullcontext()

    def _velocity(self, shown: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        given = text.to(self.device, self.dtype)
        return as_latent(self.transformer(shown, time, given, return_dict=False)[0])

    def _statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The latents' published mean and standard deviation, (C, 1, 1)."""
        config = self.vae.config
        mean, spread = (torch.tensor(value, device=self.device) for value in (config.latents_mean, config.latents_std))
        return mean[:, None, None], spread[:, None, None]


def _choose_tile(vae: AutoencoderKLWan, tile: Tile) -> None:
    if tile is None:
        vae.disable_tiling()
        return
    height, width = (vae.tile_sample_min_height, vae.tile_sample_min_width) if tile == "own" else tile
    if height % _TILE or width % _TILE:
        raise RecipeError("engine.vae_tiles", f"a height and width in multiples of {_TILE}", f"{height}x{width}")
    vae.enable_tiling(height, width, height * 3 // 4, width * 3 // 4)
