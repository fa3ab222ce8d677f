"""The models of a job at work: loaded once, held in memory as the ladder says, and asked stage by stage.

Owns what is loaded and where it lies; the stages themselves know neither folders nor devices. What runs out of memory
steps down the ladder and is done again, see `models.residency`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from platelight_server.engines.anyportal.background.first_frame import Remover, TeleaRemover, without_subject
from platelight_server.engines.anyportal.background.generate import Painting, paint
from platelight_server.engines.anyportal.background.painter import Painter
from platelight_server.engines.anyportal.background.tracks import TrackSource
from platelight_server.engines.anyportal.clip import Clip
from platelight_server.engines.anyportal.consistency.methods import METHODS
from platelight_server.engines.anyportal.consistency.methods import Clip as ConsistencyClip
from platelight_server.engines.anyportal.consistency.sdedit import Cadence, Run
from platelight_server.engines.anyportal.models import EDGE_CONTROLS, PAINTER, REMOVER
from platelight_server.engines.anyportal.options import Settings, Words
from platelight_server.engines.light.frames import LightFrame, LightSettings
from platelight_server.engines.light.harmonize import Harmonizer
from platelight_server.engines.placement import ICLIGHT, kinds_of, precision_of
from platelight_server.models.card import ModelCard
from platelight_server.models.image.inpainting import Inpainter
from platelight_server.models.ladder import Plan
from platelight_server.models.record import ensure
from platelight_server.models.residency import Residency, retrying
from platelight_server.models.video import das
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.edge_control import EdgeControl
from platelight_server.models.video.edges import canny_edges, hed_edges
from platelight_server.models.video.hed import HED
from platelight_server.models.video.interface import Branch, VideoBackbone
from platelight_server.models.video.padding import pad_frames
from platelight_server.models.video.speed import Speed
from platelight_server.models.video.wan import Wan

__all__ = ["Studio"]

Step = Callable[[str, int, int], None]
Result = TypeVar("Result")


class Studio:
    """The models of one job. `step` is called between model calls and may raise `Cancelled`."""

    def __init__(
        self,
        settings: Settings,
        cards: tuple[ModelCard, ...],
        plan: Plan,
        words: Words,
        device: str,
        seed: int,
        step: Step,
    ) -> None:
        self.settings, self._words, self._seed, self._step = settings, words, seed, step
        self._device = torch.device(device)
        self._dtype = precision_of(settings.precision, device)
        folders = {one.name: ensure(one).folder for one in cards}
        self.light = self._light(folders) if ICLIGHT[1] in folders else None
        self.backbone = self._backbone(folders, plan) if settings.consistency != "none" else None
        self._edges = self._edge_control(folders) if self.backbone is not None else None
        self._painting = self._painting_model(folders, plan)
        self._remover = self._remover_model(folders)
        networks = self._networks()
        self.residency = Residency(networks, kinds_of(networks), device, plan.rung)
        self._read_texts()

    def relit(self, clip: Clip, anchor: LightFrame | None) -> torch.Tensor:
        """Stage 2: (F, 3, h, w) codes, the clip's foreground in the light of its background."""
        light, settings = self.light, self.settings
        if light is None:
            return clip.source
        asked = LightSettings(
            stage=settings.light, steps=settings.steps, ratio=settings.light_ratio,  # type: ignore[arg-type]
            guidance_image=settings.guidance_image, guidance_text=settings.guidance_text, seed=self._seed,
            chunk=settings.light_chunk,
        )  # fmt: skip
        frames = [frame.to(self._device) for frame in clip.light_frames()]
        anchored = None if anchor is None else anchor.to(self._device)
        return self.retried(
            lambda: light.harmonize(
                frames, anchored, self._words.whole, settings.negative_prompt, asked, self._step
            ).cpu()
        )

    def steadied(self, start: torch.Tensor, clip: Clip, first_slot: int) -> torch.Tensor:
        """Stage 3: -> latent (F', C, h', w') on the CPU, of the relit video `start` (F, 3, h, w) made consistent.

        All pictures lie on the backbone's canvas.
        """
        backbone, settings = self.backbone, self.settings
        assert backbone is not None
        prompt = backbone.embed(self._words.whole, settings.negative_prompt)
        run = Run(settings.consistency_ratio, settings.steps, settings.guidance, self._seed, first_slot)

        def work() -> torch.Tensor:
            asked = ConsistencyClip(
                start.to(self._device), clip.plate.to(self._device), clip.matte.to(self._device), prompt, run,
                branches=self._branches(clip.plate),
                cadence=Cadence(settings.refine_every), sigma_px=settings.detail_sigma_px,
            )  # fmt: skip
            return METHODS[settings.consistency](backbone, asked, self._step).cpu()

        return self.retried(work)

    def decoded(self, latent: torch.Tensor) -> torch.Tensor:
        """A latent as a video (F, 3, h, w) on the CPU, of its padded count."""
        backbone = self.backbone
        assert backbone is not None
        return self.retried(lambda: backbone.decode(latent.to(self._device)).cpu())

    def roundtrip(self, video: torch.Tensor) -> torch.Tensor:
        """(F, 3, h, w) through the codec that the result comes from, nothing changed."""
        backbone, light = self.backbone, self.light
        if backbone is not None:
            padded = pad_frames(video, backbone.facts)

            def there_and_back() -> torch.Tensor:
                return backbone.decode(backbone.encode(padded.to(self._device)).mean).cpu()

            return self.retried(there_and_back)[: len(video)]
        assert light is not None
        return self.retried(lambda: light.roundtrip(video.to(self._device)).cpu())

    def empty_scene(self, frame: LightFrame, follow: torch.Tensor | None) -> torch.Tensor:
        """Stage 1's first frame (3, h, w), codes: relit as the prompt or the picture `follow` says, its subject out."""
        light, settings = self.light, self.settings
        assert light is not None
        seen = frame.to(self._device)
        asked = LightSettings(
            steps=settings.background_steps, seed=self._seed, guidance_text=7.0, guidance_image=settings.guidance_image
        )
        given = None if follow is None else follow.to(self._device)
        texts = (self._words.whole, settings.negative_prompt)
        picture = self.retried(
            lambda: light.first_frame(seen.foreground, seen.matte, *texts, asked, given, self._step).cpu()
        )
        return self.retried(lambda: without_subject(picture, frame.matte, self._remover, frame.frame).cpu())

    def painted(self, first: torch.Tensor, tracks: TrackSource, count: int) -> Painter:
        """Stage 1: the background of a shot of `count` frames, painted from its first frame along the tracks."""
        backbone = self._painting
        assert backbone is not None
        prompt = backbone.embed(self._words.scene, das.NEGATIVE)
        asked = Painting(self.settings.background_steps, seed=self._seed, overlap=self.settings.overlap_frames)
        return Painter(lambda: paint(backbone, first.to(self._device), tracks, count, prompt, asked, self._step))

    def retried(self, work: Callable[[], Result]) -> Result:
        """Does `work`, a rung further down each time the device's memory runs out."""
        return retrying(self.residency, work)

    @property
    def canvases(self) -> tuple[tuple[int, int], ...]:
        """The canvases (height, width) that a background is painted on."""
        return self._painting.facts.canvases if self._painting is not None else ()

    def close(self) -> None:
        """Lets the device's memory go."""
        self.residency.release()

    def _branches(self, plate: torch.Tensor) -> tuple[Branch, ...]:
        if self._edges is None or self.backbone is None:
            return ()
        control, network = self._edges
        padded = pad_frames(plate, self.backbone.facts)
        if network is None:
            return (control.branch(canny_edges(padded)),)
        with self._placed("edge", "hed"):
            found = hed_edges(network, padded)
        return (control.branch(found),)

    def _read_texts(self) -> None:
        """Reads the texts once; then the text encoders may go."""
        settings = self.settings
        if self.light is not None:
            self.light.embed(self._words.whole, settings.negative_prompt)
        if self.backbone is not None:
            self.backbone.embed(self._words.whole, settings.negative_prompt)
        if self._painting is not None:
            self._painting.embed(self._words.scene, das.NEGATIVE)
        if isinstance(self._remover, Inpainter):
            self._remover.describe(self._words.scene)

    def _placed(self, part: str, name: str) -> AbstractContextManager[None]:
        return self.residency.use(f"{part}/{name}")

    def _light(self, folders: Mapping[str, Path]) -> Harmonizer:
        given = {name: folders[name] for name in ICLIGHT}
        return Harmonizer.load(given, self._dtype, str(self._device), lambda name: self._placed("light", name))

    def _backbone(self, folders: Mapping[str, Path], plan: Plan) -> VideoBackbone:
        kind = Wan if self.settings.backbone.startswith("wan") else CogVideoX
        return kind.from_folder(
            folders[self.settings.backbone], self._dtype, self._device, name=self.settings.backbone,
            tile="own" if plan.tiled else None, placed=lambda name: self._placed("video", name),
            speed=Speed(self.settings.attention, self.settings.compiled),
        )  # fmt: skip

    def _painting_model(self, folders: Mapping[str, Path], plan: Plan) -> CogVideoX | None:
        if PAINTER not in folders:
            return None
        return das.load_das(
            folders[PAINTER], self._dtype, self._device, tile="own" if plan.tiled else None, name=PAINTER,
            placed=lambda name: self._placed("paint", name),
        )  # fmt: skip

    def _remover_model(self, folders: Mapping[str, Path]) -> Remover:
        if REMOVER not in folders:
            return TeleaRemover()
        remover = Inpainter.from_folder(
            folders[REMOVER], self._dtype, self._device, seed=self._seed,
            placed=lambda name: self._placed("remove", name),
        )  # fmt: skip
        return remover

    def _edge_control(self, folders: Mapping[str, Path]) -> tuple[EdgeControl, HED | None] | None:
        settings = self.settings
        name = EDGE_CONTROLS.get((settings.backbone, settings.edges))
        if name is None or settings.edge_weight == 0:
            return None
        control = EdgeControl.from_folder(
            folders[name], self._dtype, self._device, weight=settings.edge_weight,
            placed=lambda part: self._placed("edge", part),
        )  # fmt: skip
        return control, HED.from_folder(folders["hed-annotator"]) if settings.edges == "hed" else None

    def _networks(self) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {}
        if self.light is not None:
            found |= {f"light/{name}": module for name, module in self.light.parts.modules().items()}
        if self.backbone is not None:
            found |= {f"video/{name}": module for name, module in self.backbone.modules().items()}
        if self._edges is not None:
            found |= {f"edge/{name}": module for name, module in self._edges[0].modules().items()}
            if self._edges[1] is not None:
                found["edge/hed"] = self._edges[1]
        if self._painting is not None:
            found |= {f"paint/{name}": module for name, module in self._painting.modules().items()}
        if isinstance(self._remover, Inpainter):
            found |= {f"remove/{name}": module for name, module in self._remover.modules().items()}
        return found
