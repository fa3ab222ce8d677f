"""Stable Diffusion 1.5 for inpainting: fills a hole in a picture with what a text says, continuing what is around it.

Its UNet reads nine channels: the noisy latent, the hole, and the latent of the picture with the hole at middle grey.
The sampler is the published one (PNDM). Noise is drawn on the CPU: a result depends on the seed alone. Texts have any
length.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import PNDMScheduler, UNet2DConditionModel
from torch import nn

from platelight.errors import ModelError
from platelight_server.models.loading import load

from ..video.interface import Prompt, stays
from .stable_diffusion import LATENT_PIXELS, ChunkedText, PictureCodec

__all__ = ["Inpainter"]

CHANNELS = 9
# The negative prompt of AnyPortal's code.
NEGATIVE = "Blurry, Messy, Bad Quality, Watermark."
Step = Callable[[str, int, int], None]


class Inpainter:
    """A loaded model with a prompt: a `Remover` for the first frame of a background.

    `describe` it first. Steps and seed are those of AnyPortal's code, the guidance is the published pipeline's.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        codec: PictureCodec,
        text: ChunkedText,
        schedule: dict[str, Any],
        *,
        steps: int = 50,
        guidance: float = 7.5,
        seed: int = 0,
        placed: Callable[[str], AbstractContextManager[None]] = stays,
        device: torch.device | str = "cpu",
    ) -> None:
        if unet.config.in_channels != CHANNELS:
            raise ModelError(f"inpainting: expected a UNet of {CHANNELS} channels, got {unet.config.in_channels}")
        self.unet, self.codec, self.text, self.schedule = unet.eval(), codec, text, schedule
        self.device, self._placed = torch.device(device), placed
        self.steps, self.guidance, self.seed = steps, guidance, seed
        self.prompt: Prompt | None = None
        self.told: Step = lambda stage, step, steps: None

    @classmethod
    def from_folder(
        cls, folder: Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu", **chosen: Any
    ) -> Inpainter:
        """Reads a published folder (unet, vae, text_encoder, tokenizer, scheduler). Raises `InputError`."""
        # The codec overflows in half precision.
        wide = torch.bfloat16 if dtype == torch.bfloat16 else torch.float32
        where = torch.device(device)
        home = torch.device("cpu") if "placed" in chosen else where  # whoever places networks moves them
        codec = PictureCodec.from_folder(folder, where, wide)
        text = ChunkedText.from_folder(folder, where, dtype)
        codec.vae.to(home)
        assert text.model is not None
        text.model.to(home)
        unet = load(folder, UNet2DConditionModel, "unet", dtype, home)
        return cls(unet, codec, text, dict(load(folder, PNDMScheduler, "scheduler").config), device=where, **chosen)

    def modules(self) -> dict[str, nn.Module]:
        """The networks by name, for whoever moves them between devices."""
        held = {} if self.text.model is None else {"inpainting_text": self.text.model}
        return {**held, "inpainting_unet": self.unet, "inpainting_vae": self.codec.vae}

    def describe(self, prompt: str, negative: str = NEGATIVE) -> Prompt:
        """Embeds the scene's text and keeps it for `fill`."""
        with self._placed("inpainting_text"):
            self.prompt = self.text.embed(prompt, negative)
        return self.prompt

    @torch.no_grad()
    def fill(self, picture: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
        """picture (3, h, w) float32, codes -1..1; hole (1, h, w), 1 where to fill -> (3, h, w), not clamped, all of it
        as the model made it. Calls `told("inpaint", step, steps)`. Raises ValueError before `describe`."""
        if self.prompt is None:
            raise ValueError("inpainting: expected describe(prompt) before fill")
        height, width = picture.shape[-2:]
        mask = (hole > 0.5).float()
        grey = torch.where(mask > 0.5, torch.zeros_like(picture), picture)
        with self._placed("inpainting_vae"):
            known = self.codec.encode(grey[None])
        # A latent stands for 8x8 pixels; one with any of the hole in it is filled.
        size = [side * LATENT_PIXELS for side in known.shape[-2:]]
        whole = F.pad(mask[None], (0, size[1] - width, 0, size[0] - height), mode="replicate")
        small = F.max_pool2d(whole, LATENT_PIXELS).to(known)
        with self._placed("inpainting_unet"):
            latent = self._denoised(known, small, self.prompt)
        with self._placed("inpainting_vae"):
            return self.codec.decode(latent, (height, width), picture.device)[0]

    def _denoised(self, known: torch.Tensor, mask: torch.Tensor, prompt: Prompt) -> torch.Tensor:
        scheduler = PNDMScheduler.from_config(self.schedule)
        scheduler.set_timesteps(self.steps)
        text = torch.cat([prompt.negative, prompt.positive]).to(self.device, self.unet.dtype)
        noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(self.seed))
        latent: torch.Tensor = noise.to(known) * scheduler.init_noise_sigma
        steps = len(scheduler.timesteps)
        for number, timestep in enumerate(scheduler.timesteps, 1):
            shown = torch.cat([scheduler.scale_model_input(latent, timestep), mask, known], 1).to(self.unet.dtype)
            answer = self.unet(shown.expand(2, *shown.shape[1:]), timestep, text, return_dict=False)[0].float()
            guided = answer[:1] + self.guidance * (answer[1:] - answer[:1])
            latent = scheduler.step(guided, timestep, latent, return_dict=False)[0]
            self.told("inpaint", number, steps)
        return latent
