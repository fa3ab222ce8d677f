"""The models of a HarmoVid job at work: loaded once, held in memory as the ladder says, and asked part by part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from platelight_server.engines.canvas import Canvas
from platelight_server.engines.harmovid.clip import Clip
from platelight_server.engines.harmovid.extent import Extent
from platelight_server.engines.harmovid.models import Chosen
from platelight_server.engines.harmovid.multidiffusion import clip_noise, denoise
from platelight_server.engines.harmovid.options import Settings
from platelight_server.engines.harmovid.parts import Part
from platelight_server.engines.light.frames import LightSettings
from platelight_server.engines.light.harmonize import Harmonizer
from platelight_server.engines.placement import ICLIGHT, kinds_of, precision_of
from platelight_server.models.ladder import Plan
from platelight_server.models.residency import Residency, retrying
from platelight_server.models.video.expanded import CONDITIONS, Condition, condition, matte_video
from platelight_server.models.video.expanded_files import load_expanded
from platelight_server.models.video.padding import pad_frames

__all__ = ["Studio"]

Step = Callable[[str, int, int], None]
Result = TypeVar("Result")
_ANY_LENGTH = 1 << 20  # frames: codec and MultiDiffusion take clips of any length, a model's limit is its window's


class Studio:
    """`step` is called between model calls and may raise `Cancelled`. Pictures are on the CPU before and after; the
    device holds a window of them in the networks, and a batch of frames in the codec."""

    def __init__(
        self, settings: Settings, extent: Extent, chosen: Chosen, plan: Plan, device: str, seed: int, step: Step
    ) -> None:
        self._settings, self._extent, self._seed, self._step = settings, extent, seed, step
        self._device, dtype = torch.device(device), precision_of(settings.precision, device)
        self.backbone = load_expanded(
            chosen.checkpoint, chosen.base, dtype, self._device, tile="own" if plan.tiled else None,
            placed=lambda name: self._placed("video", name),
        )  # fmt: skip
        self.backbone.facts = replace(self.backbone.facts, frames_most=_ANY_LENGTH)
        self._light = self._image_model(chosen, dtype)
        networks: dict[str, nn.Module] = {f"video/{name}": one for name, one in self.backbone.modules().items()}
        if self._light is not None:
            networks |= {f"light/{name}": one for name, one in self._light.parts.modules().items()}
        self._residency = Residency(networks, kinds_of(networks), device, plan.rung)
        self._prompt = self.backbone.embed("", "")  # read once; then the text encoder may go
        if self._light is not None:
            self._light.embed("", "")

    def relit(self, clip: Clip) -> list[torch.Tensor]:
        """The first pass: every frame's subject (3, h, w), linear, as IC-Light relights it by itself; as filmed where a
        frame holds none."""
        light, settings = self._light, self._settings
        assert light is not None
        asked = LightSettings(
            stage="image", steps=settings.light_steps, guidance_image=settings.guidance_image, seed=self._seed,
            change_background=True,  # laid over the background here, in linear light
        )  # fmt: skip
        frames, found = clip.light_frames(), dict[int, torch.Tensor]()
        for first in range(0, len(frames), self._extent.window_frames):
            batch = frames[first : first + self._extent.window_frames]
            told = self._told_in_frames(first, len(batch), len(frames))

            def work() -> torch.Tensor:
                there = [frame.to(self._device) for frame in batch]  # noqa: B023  (called before the next batch)
                return light.harmonize(there, None, "", "", asked, told).cpu()  # noqa: B023

            codes = self._retried(work)
            found |= {frame.frame: clip.showing.colors.decode(one) for frame, one in zip(batch, codes, strict=True)}
        return [found.get(number, one.plate.cpu()) for number, one in zip(clip.numbers, clip.seen, strict=True)]

    def harmonized(self, composite: Callable[[], torch.Tensor], clip: Clip, part: Part) -> torch.Tensor:
        """-> latent (F', C, h', w') of a part's answer, of its padded count.

        composite  makes the first pass's answer over the background, (F, 3, h, w) codes: each video that the network is
                   shown is made when it is coded, so that one is held at a time
        """
        settings, facts = self._settings, self.backbone.facts
        shown: Mapping[Condition, Callable[[], torch.Tensor]] = {
            "composite": composite, "background": clip.backgrounds, "matte": lambda: matte_video(clip.mattes()),
        }  # fmt: skip

        def work() -> torch.Tensor:
            coded = {name: self._encoded(shown[name](), part) for name in CONDITIONS[settings.kind]}
            told = condition(settings.kind, coded)
            shape = (len(told), self.backbone.vae.config.latent_channels, *told.shape[-2:])
            noise = clip_noise(self._seed, part.first_slot, shape, facts.latent_lead)
            spans = self._extent.spans(len(told))
            return denoise(
                self.backbone, told, noise, self._prompt, settings.steps, spans, settings.guidance, self._step
            )

        return self._retried(work)

    def decoded(self, latent: torch.Tensor, part: Part, size: tuple[int, int]) -> torch.Tensor:
        """A part's latent as a video (F, 3, *size), codes."""
        video = self._retried(lambda: self.backbone.decode(latent.cpu()))
        return self._canvas(*size).take(video)[part.ahead : part.ahead + len(part.places)]

    def roundtrip(self, video: torch.Tensor, part: Part) -> torch.Tensor:
        """(F, 3, h, w) through the codec that the answer comes from, nothing changed."""
        latent = self._retried(lambda: self._encoded(video, part))
        return self.decoded(latent, part, (video.shape[-2], video.shape[-1]))

    def _encoded(self, video: torch.Tensor, part: Part) -> torch.Tensor:
        """The latent of a part's pictures on the canvas, with its first frame as often as it takes (see parts.py)."""
        laid = self._canvas(video.shape[-2], video.shape[-1]).lay(video)
        if part.ahead:
            laid = torch.cat([laid[:1].expand(part.ahead, *laid.shape[1:]), laid])
        return self.backbone.encode(pad_frames(laid, self.backbone.facts)).mean.cpu()

    def _canvas(self, height: int, width: int) -> Canvas:
        """The whole canvas that the network was trained on, or, at a size that was asked for, the picture's own."""
        facts, asked = self.backbone.facts, self._settings.lines or self._settings.columns
        return Canvas.of(height, width, () if asked else facts.canvases, facts.size_multiple)

    def _told_in_frames(self, first: int, count: int, total: int) -> Step:
        """Tells steps of `count` frames from `first` on as frames of `total`."""
        return lambda stage, done, steps: self._step(stage, first - (-done * count // steps), total)

    def _retried(self, work: Callable[[], Result]) -> Result:
        return retrying(self._residency, work)

    def _placed(self, part: str, name: str) -> AbstractContextManager[None]:
        return self._residency.use(f"{part}/{name}")

    def _image_model(self, chosen: Chosen, dtype: torch.dtype) -> Harmonizer | None:
        if ICLIGHT[0] not in chosen.folders:
            return None
        folders = {name: chosen.folders[name] for name in ICLIGHT}
        return Harmonizer.load(folders, dtype, str(self._device), lambda name: self._placed("light", name))
