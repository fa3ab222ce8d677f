"""What a network makes of clips that it was not trained on: sampled in full, as pictures and numbers.

The sampler is the engine's, without guidance; its noise is keyed by the seed, so that two steps of a run differ by the
network alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from platelight_server.color.encoding import Encoding
from platelight_server.engines.harmovid.multidiffusion import clip_noise, denoise
from platelight_server.evaluation.metrics.frame import Frame
from platelight_server.evaluation.metrics.measuring import measure
from platelight_server.evaluation.pictures import page, png, tiles
from platelight_server.models.video.interface import Prompt, VideoBackbone
from platelight_server.plates.frames_out import prepare_folder, write_bytes
from platelight_server.training.config import TrainConfig
from platelight_server.training.latents import Latents
from platelight_server.training.samples import Item, Sample, build, encoding_of

__all__ = ["Validated", "validate"]

SHOWN = 4  # frames on a sheet, evenly spaced
METRICS = ("psnr_disp_fg", "psnr_disp_full", "ssim_disp_fg", "flicker_mEV")  # of evaluation.metrics


@dataclass(frozen=True)
class Validated:
    """A validation clip's numbers by name, those of what the network is shown as `shown_...` beside them."""

    name: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class _Measured:
    """Frames in linear light as the metrics read them: (F, 3, h, w) twice, matte (F, 1, h, w)."""

    name: str
    result: torch.Tensor
    truth: torch.Tensor
    matte: torch.Tensor

    @property
    def numbers(self) -> Sequence[int]:
        return range(len(self.result))

    def __iter__(self) -> Iterator[Frame]:
        for number in self.numbers:
            result, truth = (one[number].permute(1, 2, 0).numpy() for one in (self.result, self.truth))
            yield Frame(number, number, result, truth, matte=self.matte[number, 0].numpy())


def validate(
    backbone: VideoBackbone,
    text: torch.Tensor,
    items: Sequence[tuple[Item, Latents]],
    config: TrainConfig,
    folder: Path,
) -> list[Validated]:
    """Samples every item, writes a sheet for each to `folder`, and measures. Raises OutputError."""
    found = []
    prepare_folder(folder)
    for item, latents in items:
        sample = build(item, config.data, config.masks, config.seed)
        noise = clip_noise(config.seed, 0, latents.target.shape, backbone.facts.latent_lead)
        whole = (range(len(noise)),)
        clean = denoise(backbone, latents.condition, noise, Prompt(text, text), config.validation.steps, whole)
        answer = backbone.decode(clean).cpu()[: len(sample.target)]
        name = f"{item.clip.name}-{item.path}"
        write_bytes(folder / f"{name}.png", _sheet(sample, answer))
        found.append(_measured(name, sample, answer, encoding_of(config.data)))
    return found


def _measured(name: str, sample: Sample, answer: torch.Tensor, encoding: Encoding) -> Validated:
    found: dict[str, float] = {}
    for prefix, video in (("", answer), ("shown_", sample.composite)):
        result, truth = (encoding.decode((codes + 1) / 2) for codes in (video, sample.target))
        values = measure(_Measured(name, result, truth, sample.matte), only=METRICS).rows["result"]
        found |= {f"{prefix}{metric}": value for metric, value in values.items() if value is not None}
    return Validated(name, found)


def _sheet(sample: Sample, answer: torch.Tensor) -> bytes:
    """Rows of what is shown, answered and wanted, as PNG: the codes themselves, nearly what a screen shows."""
    count = len(answer)
    picked = sorted({round(i * (count - 1) / (SHOWN - 1)) for i in range(SHOWN)})
    height, width = answer.shape[-2:]
    gap, line = 12, height + 24
    sheet, pen = page(gap + len(picked) * (width + gap), gap + 4 * (line + gap))
    rows = [
        ("shown", sample.composite),
        ("matte", sample.matte.expand(-1, 3, -1, -1) * 2 - 1),
        ("answered", answer),
        ("wanted", sample.target),
    ]
    for row, (name, video) in enumerate(rows):
        tiles(sheet, pen, gap + row * (line + gap), gap, [(f"{name} {i}", _bytes(video[i])) for i in picked], gap)
    return png(sheet)


def _bytes(picture: torch.Tensor) -> np.ndarray:
    """(3, h, w) codes -1..1 -> (h, w, 3) uint8."""
    return np.ascontiguousarray((((picture + 1) / 2).clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).numpy())
