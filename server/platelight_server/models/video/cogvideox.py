"""CogVideoX (Yang et al. 2024) as a `VideoBackbone`: 1.0 2b and 5b, 1.5 5b, text to video and image to video.

Owns what their published folders differ in: positions (sinusoidal, rotary, learned), two latent frames per token in
1.5, the offset embedding of its image model, the schedule's shift. Velocity is predicted on a schedule whose noisiest
level has no signal at all, so clean and noise are solved from it (schedule.py), never by a division.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXTransformer3DModel
from torch import nn
from transformers import T5EncoderModel, T5Tokenizer

from platelight.errors import RecipeError
from platelight_server.models.loading import load
from platelight_server.models.video import schedule
from platelight_server.models.video.attach import attached
from platelight_server.models.video.codec import as_codec, as_latent, as_video, batchwise, repeatable
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
from platelight_server.models.video.rotary import rotary_embedding
from platelight_server.models.video.speed import Speed
from platelight_server.models.video.text import PromptReader

__all__ = ["CogVideoX", "facts_of"]

_TILE_HEIGHT, _TILE_WIDTH = 48, 40  # overlaps of 1/6 and 1/5 of a tile must be whole latents, or the codec fails
_LARGE = (768, 1360)  # 1.5 says 300x300 latents in its config, the reach of its positions, not what it was trained at


class CogVideoX(VideoBackbone):
    """A CogVideoX checkpoint. What it computes depends on its arguments alone, never on calls before.

    `tile` is the codec's, chosen once: None for whole pictures, "own" for the checkpoint's, or (height, width) in
    multiples of 48 and 40. Tiled and whole answers differ, so a run must not mix them.
    """

    def __init__(
        self,
        transformer: CogVideoXTransformer3DModel,
        vae: AutoencoderKLCogVideoX,
        text_encoder: T5EncoderModel,
        tokenizer: T5Tokenizer,
        scheduler_config: dict[str, Any],
        *,
        name: str = "cogvideox",
        tile: Tile = None,
        speed: Speed | None = None,
        placed: Placed = stays,
        device: torch.device | str = "cpu",
    ) -> None:
        self.transformer, self.vae = transformer.eval(), vae.eval()
        self.text_encoder, self.tokenizer = text_encoder.eval(), tokenizer
        self.facts = facts_of(transformer.config, vae.config, name)
        self.dtype, self.device = transformer.dtype, torch.device(device)
        self._reader = PromptReader(tokenizer, text_encoder, self.facts.text_tokens, False, self.device)
        self._scheduler, self.placed, self._speed = scheduler_config, placed, speed or Speed()
        self._speed.prepare(transformer.transformer_blocks)
        _choose_tile(vae, tile)

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        dtype: torch.dtype = torch.bfloat16,
        device: torch.device | str = "cpu",
        **chosen: Any,
    ) -> Self:
        """Loads a published folder; `chosen` goes to the constructor. Raises ModelError naming what is lacking.

        The networks lie on `device`, or on the CPU where a `placed` is given that brings them.
        """
        home = "cpu" if "placed" in chosen else device
        return cls(
            load(folder, CogVideoXTransformer3DModel, "transformer", dtype, home),
            load(folder, AutoencoderKLCogVideoX, "vae", dtype, home),
            load(folder, T5EncoderModel, "text_encoder", dtype, home),
            load(folder, T5Tokenizer, "tokenizer"),
            dict(load(folder, CogVideoXDDIMScheduler, "scheduler").config),
            **{"name": folder.name, "device": device, **chosen},
        )

    def modules(self) -> dict[str, nn.Module]:
        return {"text_encoder": self.text_encoder, "transformer": self.transformer, "vae": self.vae}

    @torch.no_grad()
    def encode(self, video: torch.Tensor) -> Moments:
        """`video` stays where it lies, the device gets a batch of frames at a time. Raises ValueError for a frame count
        or size that the codec does not take (padding.py makes valid counts)."""
        require_fit(video, self.facts)
        mean, logvar = self._encoded(video)
        lead = self.facts.latent_lead
        return Moments(_with_lead(mean * self.vae.config.scaling_factor, lead), _with_lead(logvar, lead))

    @torch.no_grad()
    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """The video lies where its latent does: one of any length is asked for with a latent on the CPU."""
        unscaled = latent[self.facts.latent_lead :] / self.vae.config.scaling_factor
        with self.placed("vae"), repeatable(), batchwise(self.vae, self.device, latent.device):
            return as_video(self.vae.decode(as_codec(unscaled, self.vae, self.device)).sample)

    def embed(self, prompt: str, negative: str) -> Prompt:
        return self._reader.read(prompt, negative, self.placed)

    def levels(self, steps: int) -> tuple[NoiseLevel, ...]:
        return schedule.diffusion_levels(self._scheduler, steps)

    @torch.no_grad()
    def image_condition(self, image: torch.Tensor, frames: int) -> torch.Tensor:
        """The condition of an image-to-video model: `image` (1, 3, h, w) as the first frame of `frames` frames.

        -> (F', 16, h', w') float32, zero after the first. 1.5 was trained with the scale upside down, and says so in
        its codec's config; the mean is used where the published pipeline draws a sample.
        """
        scale = self.vae.config.scaling_factor
        first = self._encoded(image)[0] * (1 / scale if self.vae.config.invert_scale_latents else scale)
        return torch.cat([first, first.new_zeros(self.facts.latent_frames(frames) - 1, *first.shape[1:])])

    @torch.no_grad()
    def predict(
        self,
        latent: torch.Tensor,
        level: NoiseLevel,
        prompt: Prompt,
        guidance: float,
        condition: torch.Tensor | None = None,
    ) -> Prediction:
        """Guidance 1 asks the model once, without the negative prompt. Both halves run as one batch, as published.

        Raises ValueError where `condition` is missing, or there is no place for it.
        """
        latent = latent.to(self.device, torch.float32)
        shown = self._shown(latent, condition)
        halves = [prompt.positive] if guidance == 1 else [prompt.negative, prompt.positive]
        text = torch.cat(halves).to(self.device, self.dtype)
        with self.placed("transformer"), self._speed.kernels():
            answer = self.transformer(
                hidden_states=shown.expand(len(text), *shown.shape[1:]),
                encoder_hidden_states=text,
                timestep=torch.full((len(text),), int(level.timestep), device=self.device),
                ofs=self._offset(),
                image_rotary_emb=rotary_embedding(self.transformer.config, tuple(latent.shape), self.device),
                return_dict=False,
            )[0].float()
        velocity = answer[0] if guidance == 1 else answer[0] + guidance * (answer[1] - answer[0])
        return schedule.solve_velocity(latent, velocity, level)

    def attached(self, branches: Sequence[Branch]) -> AbstractContextManager[None]:
        return attached(self.transformer, branches)

    def _encoded(self, video: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with self.placed("vae"), repeatable(), batchwise(self.vae, self.device, self.device):
            found = self.vae.encode(video.transpose(0, 1)[None]).latent_dist
        return as_latent(found.mean), as_latent(found.logvar)

    def _shown(self, latent: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """(1, F', C, h', w') in the transformer's dtype, the condition concatenated where there is one."""
        config = self.transformer.config
        parts = [latent] if condition is None else [latent, condition.to(latent)]
        shown = torch.cat(parts, dim=1)[None].to(self.dtype)
        if shown.shape[2] != config.in_channels:
            wanted = f"expected {config.in_channels} channels, the condition's included"
            raise ValueError(f"{self.facts.name}: {wanted}, got {shown.shape[2]}")
        size, own = tuple(latent.shape[-2:]), (config.sample_height, config.sample_width)
        if config.use_learned_positional_embeddings and size != own:
            pixels = "x".join(str(8 * side) for side in own)
            came = "x".join(str(8 * side) for side in size)
            raise RecipeError("engine.lines", f"{pixels}, the one size that {self.facts.name} knows", came)
        return shown

    def _offset(self) -> torch.Tensor | None:
        """The offset embedding of 1.5's image model, which was trained with the one value 2."""
        embedded = self.transformer.config.ofs_embed_dim is not None
        return torch.full((1,), 2.0, device=self.device, dtype=self.dtype) if embedded else None


def facts_of(transformer: Any, vae: Any, name: str) -> BackboneFacts:
    """A checkpoint's facts from the configs of its transformer and codec."""
    later = transformer.patch_size_t is not None  # 1.5
    spatial = 2 ** (len(vae.block_out_channels) - 1)
    own = (transformer.sample_height * spatial, transformer.sample_width * spatial)
    return BackboneFacts(
        name=name,
        canvases=(_LARGE,) if later else (own,),
        size_multiple=spatial * transformer.patch_size,
        frame_step=16 if later else 8,
        frames_most=161 if later else 49,
        temporal_ratio=vae.temporal_compression_ratio,
        spatial_ratio=spatial,
        text_tokens=transformer.max_text_seq_length,
        default_guidance=6.0,
        latent_lead=transformer.patch_size_t - 1 if later else 0,
        precision="bfloat16" if transformer.use_rotary_positional_embeddings else "float16",
    )


def _choose_tile(vae: AutoencoderKLCogVideoX, tile: Tile) -> None:
    if tile is None:
        vae.disable_tiling()
        return
    height, width = (vae.tile_sample_min_height, vae.tile_sample_min_width) if tile == "own" else tile
    if height % _TILE_HEIGHT or width % _TILE_WIDTH:
        wanted = f"a height in multiples of {_TILE_HEIGHT} and a width in multiples of {_TILE_WIDTH}"
        raise RecipeError("engine.vae_tiles", wanted, f"{height}x{width}")
    vae.enable_tiling(height, width)


def _with_lead(latent: torch.Tensor, lead: int) -> torch.Tensor:
    return torch.cat([latent[:1].expand(lead, *latent.shape[1:]), latent]) if lead else latent
