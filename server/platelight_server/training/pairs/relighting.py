"""Where data meets networks: one frame through an image relighting model, one clip through a deflickering network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from platelight.errors import ModelError
from platelight_server.color.encoding import Encoding, Shoulder
from platelight_server.engines.canvas import Canvas
from platelight_server.engines.harmovid import alpha
from platelight_server.engines.harmovid.multidiffusion import clip_noise, denoise, windows
from platelight_server.engines.light.frames import LightFrame, LightSettings
from platelight_server.engines.light.relight_models import relight_model
from platelight_server.models.card import ModelCard
from platelight_server.models.catalogue import CATALOGUE, card
from platelight_server.models.consent import accepted, require_consent
from platelight_server.models.record import ensure
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.expanded import condition, matte_video
from platelight_server.models.video.expanded_files import card_of, load_expanded, read_about
from platelight_server.models.video.interface import BackboneFacts, VideoBackbone
from platelight_server.training.network import base_folder

__all__ = ["Steadier", "open_relight_model", "relit_frame"]

_ENCODING: Encoding = Shoulder()


def open_relight_model(name: str, device: str) -> tuple[Any, list[ModelCard], list[str]]:
    """The model, its cards, and what stands for their contents. Raises ModelError, RecipeError for an unknown name."""
    kind = relight_model(name)
    cards = [card(one) for one in kind.facts.cards]
    require_consent(cards, accepted(CATALOGUE))
    found = {one.name: ensure(one) for one in cards}
    dtype = torch.float32 if device == "cpu" else torch.float16
    model = kind.load({name: one.folder for name, one in found.items()}, dtype, device)
    return model, cards, [one.digest for one in found.values()]


@torch.no_grad()
def relit_frame(
    model: Any, frame: int, plate: np.ndarray, matte: np.ndarray, background: np.ndarray, asked: Mapping[str, Any]
) -> np.ndarray:
    """One frame relit without knowing of others. (3, h, w), (1, h, w), (3, h, w) linear -> (3, h, w) linear Rec.709.

    `asked`: prompt, steps, seed, per_frame. Outside the (binary) mask the answer is the background.
    """
    mask = alpha.binary(torch.from_numpy(matte)[None])
    behind = torch.from_numpy(background)[None]
    height, width = plate.shape[1:]
    canvas = Canvas.of(height, width, (), model.facts.size_multiple)
    laid = [canvas.lay(one)[0] for one in (_codes(torch.from_numpy(plate)[None]), mask, _codes(behind))]
    seed = int(asked["seed"]) + (frame if asked["per_frame"] else 0)
    settings = LightSettings(stage="image", steps=int(asked["steps"]), seed=seed)
    nothing = lambda stage, done, steps: None  # noqa: E731
    shown = model.harmonize([LightFrame(frame, *laid)], None, str(asked["prompt"]), "", settings, nothing)
    light = _ENCODING.decode((canvas.take(shown.float().cpu()) + 1) / 2)
    return np.asarray(alpha.composite(light, mask, behind)[0].numpy())


class Steadier:
    """A trained deflickering network, for whole clips. Raises ModelError for one of another kind or base."""

    def __init__(self, checkpoint: Path, base: str, device: str, steps: int, seed: int) -> None:
        self.about = read_about(checkpoint)
        if self.about.kind != "deflicker":
            raise ModelError(f"{checkpoint}: expected a deflickering network, got a {self.about.kind}")
        self.card = card_of(checkpoint, self.about)
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        self._backbone: CogVideoX = load_expanded(checkpoint, base_folder(base or self.about.base), dtype, device)
        self._prompt = self._backbone.embed("", "")
        self._steps, self._seed = steps, seed

    def steady(self, picture: torch.Tensor, matte: torch.Tensor) -> torch.Tensor:
        """(F, 3, h, w) linear, flickering; matte (F, 1, h, w) -> (F, 3, h, w) linear, whatever its length."""
        backbone, facts = self._backbone, self._backbone.facts
        height, width = picture.shape[-2:]
        canvas = Canvas.of(height, width, (), facts.size_multiple)
        videos = {"composite": _codes(picture), "matte": matte_video(alpha.binary(matte))}
        latents = {name: encode_clip(backbone, canvas.lay(video)) for name, video in videos.items()}
        shown = condition("deflicker", latents)  # type: ignore[arg-type]
        shape = (len(shown), latents["composite"].shape[1], *shown.shape[-2:])
        noise = clip_noise(self._seed, 0, shape, facts.latent_lead)
        clean = denoise(backbone, shown, noise, self._prompt, self._steps, _spans(len(shown), facts))
        return _ENCODING.decode((canvas.take(decode_clip(backbone, clean)[: len(picture)]) + 1) / 2)


def encode_clip(backbone: VideoBackbone, video: torch.Tensor) -> torch.Tensor:
    """A video (F, 3, h, w) of any length as latents, (F', C, h', w') float32 on the CPU.

    The last frame is repeated up to the codec's next count. A clip that is longer than the codec takes is encoded in
    pieces; of each but the first the first latents, which do not know what was before, are the piece before's.
    """
    facts = backbone.facts
    missing = -(len(video) - 1) % facts.frame_step
    video = torch.cat([video, video[-1:].expand(missing, *video.shape[1:])])
    found: list[torch.Tensor] = []
    for span in _pieces(len(video), facts):
        piece = backbone.encode(video[span.start : span.stop]).mean.cpu()
        found.append(piece[facts.latent_lead + _shared(facts) :] if found else piece)
    return torch.cat(found)


def decode_clip(backbone: VideoBackbone, latent: torch.Tensor) -> torch.Tensor:
    """The inverse: latents of any length to a video (F, 3, h, w) float32 on the CPU, in the same pieces."""
    facts = backbone.facts
    lead, ratio = facts.latent_lead, facts.temporal_ratio
    own = latent[lead:]
    found: list[torch.Tensor] = []
    for span in _pieces(1 + (len(own) - 1) * ratio, facts):
        piece = own[span.start // ratio : (span.stop - 1) // ratio + 1]
        video = backbone.decode(torch.cat([piece[:1].expand(lead, *piece.shape[1:]), piece])).cpu()
        found.append(video[1 + (_shared(facts) - 1) * ratio :] if found else video)
    return torch.cat(found)


_LEAST_SHARED = 3  # latents that a piece shares with the one before; a codec's causal convolutions remember less


def _pieces(count: int, facts: BackboneFacts) -> list[range]:
    """Frames of the pieces of a clip of a valid count plus whole steps; each piece is a valid count."""
    spans, start = [], 0
    while start + facts.frames_most < count:
        spans.append(range(start, start + facts.frames_most))
        start += _stride(facts)
    return [*spans, range(start, count)]


def _stride(facts: BackboneFacts) -> int:
    kept = (_LEAST_SHARED - 1) * facts.temporal_ratio
    return (facts.frames_most - 1 - kept) // facts.frame_step * facts.frame_step


def _shared(facts: BackboneFacts) -> int:
    return (facts.frames_most - 1 - _stride(facts)) // facts.temporal_ratio + 1


def _spans(count: int, facts: BackboneFacts) -> tuple[range, ...]:
    """The windows of MultiDiffusion, of the length that the base was trained at."""
    align = facts.latent_lead + 1
    length = facts.latent_frames(_TRAINED[align > 1])
    if count <= length:
        return (range(count),)
    return windows(count, length, max(2 * align, length // 4 // align * align), align)


_TRAINED = (49, 81)  # frames that 1.0 and 1.5 were trained on


def _codes(light: torch.Tensor) -> torch.Tensor:
    return _ENCODING.encode(light) * 2 - 1
