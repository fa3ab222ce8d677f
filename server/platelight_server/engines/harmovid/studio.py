"""The models of a HarmoVid job at work: loaded once, held in memory as the ladder says, and asked clip by clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from platelight_server.engines.canvas import Canvas, Colors
from platelight_server.engines.harmovid.clip import Clip
from platelight_server.engines.harmovid.extent import Extent
from platelight_server.engines.harmovid.models import ICLIGHT, Chosen, precision_of
from platelight_server.engines.harmovid.multidiffusion import clip_noise, denoise
from platelight_server.engines.harmovid.options import Settings
from platelight_server.engines.light.frames import LightFrame, LightSettings
from platelight_server.engines.light.harmonize import Harmonizer
from platelight_server.models.ladder import Kind, Plan
from platelight_server.models.residency import Residency, retrying
from platelight_server.models.video.expanded import Condition, condition, matte_video
from platelight_server.models.video.expanded_files import load_expanded
from platelight_server.models.video.padding import pad_frames

__all__ = ["Studio"]

Step = Callable[[str, int, int], None]
Result = TypeVar("Result")
_ANY_LENGTH = 1 << 20  # frames: codec and MultiDiffusion take clips of any length, a model's limit is its window's
_KINDS: Mapping[str, Kind] = {
    "text_encoder": "text", "transformer": "denoiser", "fc": "denoiser", "fbc": "denoiser", "vae": "codec",
}  # fmt: skip


class Studio:
    """`step` is called between model calls and may raise `Cancelled`. Pictures are on the CPU before and after."""

    def __init__(
        self, settings: Settings, extent: Extent, chosen: Chosen, plan: Plan, device: str, seed: int, step: Step
    ) -> None:
        self._settings, self._extent, self._seed, self._step = settings, extent, seed, step
        self._device, dtype = torch.device(device), precision_of(settings, device)
        self.backbone = load_expanded(
            chosen.checkpoint, chosen.base, dtype, self._device, tile="own" if plan.tiled else None,
            placed=lambda name: self._placed("video", name),
        )  # fmt: skip
        self.backbone.facts = replace(self.backbone.facts, frames_most=_ANY_LENGTH)
        self._light = self._image_model(chosen, dtype)
        networks: dict[str, nn.Module] = {f"video/{name}": one for name, one in self.backbone.modules().items()}
        if self._light is not None:
            networks |= {f"light/{name}": one for name, one in self._light.parts.modules().items()}
        kinds = {name: _KINDS.get(name.split("/")[1], "other") for name in networks}
        self._residency = Residency(networks, kinds, device, plan.rung)
        self._prompt = self.backbone.embed("", "")  # read once; then the text encoder may go
        if self._light is not None:
            self._light.embed("", "")

    def relit(self, clip: Clip, colors: Colors) -> torch.Tensor:
        """The first pass: the subject as IC-Light relights every frame by itself, (F, 3, h, w) linear."""
        light, settings = self._light, self._settings
        assert light is not None
        asked = LightSettings(
            stage="image", steps=settings.light_steps, guidance_image=settings.guidance_image, seed=self._seed,
            change_background=True,  # laid over the background here, in linear light
        )  # fmt: skip
        frames = [_moved(one, self._device) for one in clip.light_frames(colors)]
        return colors.decode(self._retried(lambda: light.harmonize(frames, None, "", "", asked, self._step).cpu()))

    def harmonized(
        self, composite: torch.Tensor, background: torch.Tensor, matte: torch.Tensor, first_slot: int
    ) -> torch.Tensor:
        """-> latent (F', C, h', w') of the clip's answer, of its padded count.

        composite, background  (F, 3, h, w) codes; matte (F, 1, h, w) 0..1; `first_slot` numbers the clip's first latent
        in the whole shot
        """
        settings, facts = self._settings, self.backbone.facts
        kind = settings.kind
        shown: dict[Condition, torch.Tensor] = {"composite": composite, "matte": matte_video(matte)}
        if kind == "harmonizer":
            shown["background"] = background
        canvas = self._canvas(composite)

        def work() -> torch.Tensor:
            told = condition(kind, {name: self._encoded(canvas.lay(video)) for name, video in shown.items()})
            shape = (len(told), self.backbone.vae.config.latent_channels, *told.shape[-2:])
            noise = clip_noise(self._seed, first_slot, shape, facts.latent_lead)
            spans = self._extent.spans(len(told))
            return denoise(
                self.backbone, told, noise, self._prompt, settings.steps, spans, settings.guidance, self._step
            )

        return self._retried(work)

    def decoded(self, latent: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """A latent as a video of the size and count of `like` (F, 3, h, w), codes."""
        video = self._retried(lambda: self.backbone.decode(latent.to(self._device)).cpu())
        return self._canvas(like).take(video)[: len(like)]

    def roundtrip(self, video: torch.Tensor) -> torch.Tensor:
        """(F, 3, h, w) through the codec that the answer comes from, nothing changed."""
        laid = self._canvas(video).lay(video)
        return self.decoded(self._retried(lambda: self._encoded(laid)), video)

    def _encoded(self, video: torch.Tensor) -> torch.Tensor:
        padded = pad_frames(video, self.backbone.facts)
        return self.backbone.encode(padded.to(self._device)).mean.cpu()

    def _canvas(self, pictures: torch.Tensor) -> Canvas:
        """The whole canvas that the network was trained on, or, at a size that was asked for, the picture's own."""
        height, width = pictures.shape[-2:]
        facts, asked = self.backbone.facts, self._settings.lines or self._settings.columns
        return Canvas.of(height, width, () if asked else facts.canvases, facts.size_multiple)

    def _retried(self, work: Callable[[], Result]) -> Result:
        return retrying(self._residency, work)

    def _placed(self, part: str, name: str) -> AbstractContextManager[None]:
        return self._residency.use(f"{part}/{name}")

    def _image_model(self, chosen: Chosen, dtype: torch.dtype) -> Harmonizer | None:
        if ICLIGHT[0] not in chosen.folders:
            return None
        folders = {name: chosen.folders[name] for name in ICLIGHT}
        return Harmonizer.load(folders, dtype, str(self._device), lambda name: self._placed("light", name))


def _moved(frame: LightFrame, device: torch.device) -> LightFrame:
    return LightFrame(frame.frame, frame.foreground.to(device), frame.matte.to(device), frame.background.to(device))
