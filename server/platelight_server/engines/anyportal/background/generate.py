"""A background of any length, painted along the plate's camera motion by Diffusion as Shader (paper, Sec. 3.2.1).

Windows follow each other: the first begins with the given picture, each next one with the frame of the one before that
it shares, on tracks drawn anew from there; where they overlap their latents cross over. A window depends on all before
it, so a shot's background is painted once, in order. Noise is keyed by the latent's place in the shot: the same seed
gives the same background, whatever is asked of it.

A shot or a last window that is shorter than the model's length is padded by its last frame's tracks and cut after
decoding: the model knows one length, and its learned positions no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch

from platelight_server.engines.noise import keyed_noise
from platelight_server.engines.windows import Cut, cross_fade, cut
from platelight_server.models.video import das
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.guard import require_finite
from platelight_server.models.video.interface import CLEAN, NoiseLevel, Prompt
from platelight_server.models.video.schedule import dynamic_guidance

from .drawing import tracking_video
from .sampler import dpm_step
from .tracks import TrackSource

__all__ = ["Painting", "paint", "painted_cut"]

Step = Callable[[str, int, int], None]
STAGE = "background"


@dataclass(frozen=True)
class Painting:
    """How a background is painted; the defaults are those published with the model.

    `dynamic` follows CogVideoX's dynamic guidance; `entering` also draws points that enter after a window's first
    frame, which the model was not trained on; `snapped` draws squares on whole pixels; `coded` is the tracks' range.
    """

    steps: int = 50
    guidance: float = 6.0
    dynamic: bool = True
    seed: int = 42
    overlap: int = 8
    coded: das.TrackRange = "0..1"
    entering: bool = False
    snapped: bool = False


def painted_cut(backbone: CogVideoX, count: int, overlap: int = 8) -> Cut:
    """The windows in which `count` frames are painted. Raises ValueError for an overlap that does not fit."""
    config = backbone.transformer.config
    return cut(count, config.sample_frames, overlap, backbone.facts.temporal_ratio)


def paint(
    backbone: CogVideoX,
    first: torch.Tensor,
    tracks: TrackSource,
    count: int,
    prompt: Prompt,
    painting: Painting = Painting(),
    step: Step = lambda stage, step, steps: None,
) -> Iterator[tuple[range, torch.Tensor]]:
    """Paints frames 0 to count - 1, window by window: the positions it answers, and (F, 3, h, w) float32 codes -1..1.

    first    (3, h, w) float32, codes -1..1: the empty scene, of the model's size
    tracks   see `TrackSource`; for pictures of the same size
    prompt   of `backbone.embed`: the scene alone, in words, and `das.NEGATIVE`
    Calls `step("background", n, of all)` after each call of the transformer; it may raise. Decoded, not clamped.
    Raises `ModelError` or `RecipeError` where the model answers with NaN.
    """
    windows = painted_cut(backbone, count, painting.overlap)
    levels = backbone.levels(painting.steps)
    total, before = len(windows.starts) * len(levels), None
    for index, start in enumerate(windows.starts):
        told = partial(_tell, step, index * len(levels), total)
        latent = _window(backbone, first, tracks, windows, index, prompt, painting, told)
        if before is not None:
            shift = (start - windows.starts[index - 1]) // windows.group
            latent = cross_fade(before, latent, shift, painting.overlap // windows.group)
        seen, answered = windows.seen(index), windows.answered(index)
        video = backbone.decode(latent)[: len(seen)]
        if index + 1 < len(windows.starts):
            first = video[windows.starts[index + 1] - start]
        yield answered, video[answered.start - start : answered.stop - start]
        before = latent


def _tell(step: Step, before: int, total: int, number: int) -> None:
    step(STAGE, before + number, total)


def _window(
    backbone: CogVideoX,
    first: torch.Tensor,
    tracks: TrackSource,
    windows: Cut,
    index: int,
    prompt: Prompt,
    painting: Painting,
    done: Callable[[int], None],
) -> torch.Tensor:
    """(F', C, h', w'): the clean latent of a window."""
    seen = list(windows.seen(index))
    held = seen + [seen[-1]] * (windows.length - len(seen))
    drawn = tracking_video(
        tracks(held), *first.shape[-2:], entering=painting.entering, snapped=painting.snapped
    )  # fmt: skip
    condition = backbone.image_condition(first[None], windows.length)
    branch = das.branch(backbone, das.track_latent(backbone, drawn, painting.coded))
    slots = [windows.first_slot(index) + i for i in range(len(condition))]
    with backbone.attached([branch]):
        return _sampled(backbone, condition, slots, prompt, painting, done)


def _sampled(
    backbone: CogVideoX,
    condition: torch.Tensor,
    slots: list[int],
    prompt: Prompt,
    painting: Painting,
    done: Callable[[int], None],
) -> torch.Tensor:
    channels = backbone.transformer.config.out_channels
    shape = (channels, *condition.shape[-2:])

    def noise(number: int) -> torch.Tensor:
        drawn = [keyed_noise(shape, painting.seed, STAGE, slot, number) for slot in slots]
        return torch.stack(drawn).to(backbone.device)

    levels = backbone.levels(painting.steps)
    latent = noise(0)
    clean: torch.Tensor | None = None
    last: NoiseLevel | None = None
    for number, (level, following) in enumerate(zip(levels, (*levels[1:], CLEAN), strict=True), 1):
        guidance = painting.guidance
        if painting.dynamic:
            guidance = dynamic_guidance(guidance, level, painting.steps)
        found = backbone.predict(latent, level, prompt, guidance, condition)
        require_finite(found, backbone, number, len(levels))
        latent = dpm_step(latent, found.clean, clean, (last, level, following), noise(number))
        clean, last = found.clean, level
        done(number)
    return latent
