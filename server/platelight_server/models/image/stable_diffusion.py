"""The parts of Stable Diffusion 1.5 around its UNet: the picture codec (VAE) and the text encoder (CLIP).

Loads them from a published diffusers folder, without a network. Pictures are code values -1..1, latents are scaled as
the UNet sees them; both float32, cast only at the network's call. Refuses a half precision codec, which overflows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from transformers import CLIPTextModel, CLIPTokenizer

from platelight.errors import RecipeError
from platelight_server.models.loading import load
from platelight_server.models.video.interface import Prompt

__all__ = ["ChunkedText", "PictureCodec"]

Tick = Callable[[], None]
LATENT_PIXELS = 8  # a latent stands for 8x8 pixels


def _silent() -> None:
    """Tells nobody."""


class PictureCodec:
    """The VAE of SD 1.5, one picture at a time, so that a result does not depend on how many there are."""

    def __init__(self, vae: AutoencoderKL, device: torch.device) -> None:
        self.vae, self.device, self.dtype = vae, device, vae.dtype
        if self.dtype == torch.float16:
            raise ValueError("the VAE of Stable Diffusion overflows in float16; expected float32 or bfloat16")

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> PictureCodec:
        """Reads `folder`/vae, onto the CPU; `device` is where it is to be when it is called. Raises `ModelError`."""
        vae = load(folder, AutoencoderKL, "vae", dtype)
        return cls(vae, device)

    @torch.no_grad()
    def encode(self, video: torch.Tensor, tick: Tick = _silent) -> torch.Tensor:
        """(F, 3, h, w) float32, -1..1 -> the latents' modes (F, 4, h / 8, w / 8, rounded up) float32 on `device`.

        Sides that are no multiple of 8 are extended by their last row and column.
        """
        height, width = video.shape[-2:]
        padding = (0, -width % LATENT_PIXELS, 0, -height % LATENT_PIXELS)
        latents = []
        for picture in video:
            padded = F.pad(picture[None].to(self.device, self.dtype), padding, mode="replicate")
            mode = self.vae.encode(padded).latent_dist.mode()
            latents.append(mode.float() * self.vae.config.scaling_factor)
            tick()
        return torch.cat(latents)

    @torch.no_grad()
    def decode(
        self, latents: torch.Tensor, size: tuple[int, int], to: Any = "cpu", tick: Tick = _silent
    ) -> torch.Tensor:
        """(F, 4, h', w') -> (F, 3, *size) float32, -1..1, not clamped, on the device `to`, what was added cut off."""
        pictures = []
        for latent in latents:
            scaled = (latent[None].to(self.device) / self.vae.config.scaling_factor).to(self.dtype)
            pictures.append(self.vae.decode(scaled).sample[..., : size[0], : size[1]].float().to(to))
            tick()
        return torch.cat(pictures)


class ChunkedText:
    """CLIP's text encoder, for texts of any length: in chunks of 75 tokens, as IC-Light's authors do it.

    Every chunk is encoded by itself, between a start and an end token, and the chunks' tokens follow each other. The
    shorter text of a pair is repeated until both have equally many chunks.
    """

    def __init__(self, tokenizer: CLIPTokenizer, model: CLIPTextModel, device: torch.device) -> None:
        self.tokenizer, self.device = tokenizer, device
        self.model: CLIPTextModel | None = model

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device, dtype: torch.dtype = torch.float32) -> ChunkedText:
        """Reads `folder`/tokenizer and `folder`/text_encoder, onto the CPU. Raises `ModelError`."""
        tokenizer = load(folder, CLIPTokenizer, "tokenizer")
        model = load(folder, CLIPTextModel, "text_encoder", dtype)
        return cls(tokenizer, model, device)

    def free(self) -> None:
        """Lets go of the encoder. What it has embedded stays good; a further text is refused."""
        self.model = None

    @torch.no_grad()
    def embed(self, prompt: str, negative: str) -> Prompt:
        """Two texts, no token of either cut -> each (1, 77 * chunks, width) float32 on the CPU, equally long."""
        if self.model is None:
            raise RecipeError("prompt", "a text that was embedded before the text encoder was freed", repr(prompt))
        both = [self._chunks(prompt), self._chunks(negative)]
        count = max(len(chunks) for chunks in both)
        embedded = []
        for chunks in both:
            rows = [chunks[i % len(chunks)] for i in range(count)]
            hidden = self.model(torch.tensor(rows, device=self.device)).last_hidden_state
            embedded.append(hidden.float().cpu().flatten(0, 1)[None])
        return Prompt(*embedded)

    def _chunks(self, text: str) -> list[list[int]]:
        """The tokens of a text in rows of start, up to 75 tokens, end, padded with end; one row for an empty text."""
        assert self.model is not None
        most = self.model.config.max_position_embeddings
        start, end = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        tokens = self.tokenizer(text, truncation=False, add_special_tokens=False, verbose=False)["input_ids"]
        rows = [[start, *tokens[i : i + most - 2]] for i in range(0, max(1, len(tokens)), most - 2)]
        return [row + [end] * (most - len(row)) for row in rows]
