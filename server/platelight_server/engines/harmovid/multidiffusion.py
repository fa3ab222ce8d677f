"""Temporal MultiDiffusion: a clip longer than a video model sees, denoised as one (Bar-Tal et al. 2023, over time).

At every step the model is asked about each window of the clip; where windows overlap their answers are averaged by
ramps, and the whole clip then makes one step of the schedule. Answers are the clean latent and the noise, both linear
in what the model predicts, so this is the average of its predictions. One window gives what the model alone gives, bit
for bit.

A codec's first latent holds one frame, all others four, and a later window starts on one of those: a model takes it for
the first. So the ramp into a window begins with a weight of zero, and those latents are the window before's alone.

The clip's latents, conditions and sums are on the CPU, one window at a time is on the model's device: what the device
holds depends on the window, not on the clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import torch

from platelight_server.engines.noise import keyed_noise
from platelight_server.models.video.guard import require_finite
from platelight_server.models.video.interface import CLEAN, NoiseLevel, Prediction, Prompt, VideoBackbone

__all__ = ["clip_noise", "denoise", "fused", "seam", "weights", "windows"]

STAGE = "denoise"
Step = Callable[[str, int, int], None]  # stage, step from 1, steps; may raise Cancelled


def silent(stage: str, step: int, steps: int) -> None:
    """A `Step` that tells nobody."""


def windows(count: int, length: int, overlap: int, align: int = 1) -> tuple[range, ...]:
    """Windows over `count` latents: as many as are needed for overlaps of at least `overlap`, evenly spread.

    All are `length` latents long, or the clip where that is shorter; they start at multiples of `align`, of which
    `count` and `length` are multiples too (latents that a model takes at once). Raises ValueError.
    """
    least = 2 * align
    if count % align or length % align or (count > length and not least <= overlap <= length // 2):
        raise ValueError(
            f"windows: expected multiples of {align} latents and an overlap of {least} to half of a window,"
            f" got {count} latents, windows of {length} and an overlap of {overlap}"
        )
    if count <= length:
        return (range(count),)
    stride = (length - overlap) // align * align
    steps = -(-(count - length) // stride)
    starts = [(count - length) * i // (steps * align) * align for i in range(steps + 1)]
    return tuple(range(start, start + length) for start in starts)


def weights(spans: Sequence[range], align: int = 1) -> tuple[torch.Tensor, ...]:
    """The weight of each window's latents, (F',) float32 each; at every latent of the clip they add up to 1.

    Over an overlap one window goes down linearly while the next goes up, from zero at its first `align` latents.
    """
    ramps = [torch.ones(len(span)) for span in spans]
    for before, after in pairwise(range(len(spans))):
        shared = spans[before].stop - spans[after].start
        up = ((torch.arange(shared) - align + 1).clamp_min(0) / (shared - align + 1)).float()
        ramps[after][:shared] = torch.minimum(ramps[after][:shared], up)
        ramps[before][-shared:] = torch.minimum(ramps[before][-shared:], 1 - up)
    total = torch.zeros(spans[-1].stop)
    for span, ramp in zip(spans, ramps, strict=True):
        total[span.start : span.stop] += ramp
    return tuple(ramp / total[span.start : span.stop] for span, ramp in zip(spans, ramps, strict=True))


def fused(answers: Iterable[Prediction], spans: Sequence[range], align: int = 1) -> Prediction:
    """The average of what a model answers for the windows, in their order: (F', C, h', w') float32 on the CPU."""
    clean, noise = torch.Tensor(), torch.Tensor()
    for answer, span, ramp in zip(answers, spans, weights(spans, align), strict=True):
        if not clean.numel():
            clean = torch.zeros(spans[-1].stop, *answer.clean.shape[1:])
            noise = torch.zeros_like(clean)
        share = ramp.view(-1, 1, 1, 1)
        clean[span.start : span.stop] += share * answer.clean.cpu()
        noise[span.start : span.stop] += share * answer.noise.cpu()
    return Prediction(clean, noise)


def denoise(
    backbone: VideoBackbone,
    condition: torch.Tensor,
    noise: torch.Tensor,
    prompt: Prompt,
    steps: int,
    spans: Sequence[range],
    guidance: float = 1.0,
    step: Step = silent,
) -> torch.Tensor:
    """Renders a clip from noise under its conditions -> its clean latent (F', C, h', w') float32, on the CPU.

    condition  (F', C2, h', w') float32, on the CPU; noise (F', C, h', w') float32, see `clip_noise`
    The schedule is deterministic (DDIM). Raises `ModelError` where the model's answer is not finite; lets what `step`
    raises pass.
    """
    levels, align = backbone.levels(steps), backbone.facts.latent_lead + 1

    def answers(latent: torch.Tensor, level: NoiseLevel, number: int) -> Iterator[Prediction]:
        for place, span in enumerate(spans, 1):
            part = slice(span.start, span.stop)
            answer = backbone.predict(latent[part], level, prompt, guidance, condition[part])
            require_finite(answer, backbone, number + 1, len(levels))
            yield answer
            step(STAGE, number * len(spans) + place, len(levels) * len(spans))

    latent = levels[0].noise * noise  # signal is 0 at the top: there is nothing else in it
    for number, (level, following) in enumerate(pairwise((*levels, CLEAN))):
        answer = fused(answers(latent, level, number), spans, align)
        latent = following.signal * answer.clean + following.noise * answer.noise
    return latent


def clip_noise(seed: int, first_slot: int, shape: Sequence[int], lead: int = 0) -> torch.Tensor:
    """Noise (F', C, h', w') for a clip, keyed by the latent's number in the whole shot, `first_slot` being that of the
    clip's first after its `lead` (see BackboneFacts)."""
    return torch.stack([keyed_noise(shape[1:], seed, "harmovid", first_slot - lead + i) for i in range(shape[0])])


def seam(video: torch.Tensor, borders: Sequence[int]) -> float:
    """How much a video (F, ...) jumps at `borders` (indices of the frames after them), against how it moves elsewhere.

    The mean absolute difference to the frame before, its largest at a border over the median of all others: about 1
    where no border shows. 0 without a border.
    """
    jumps = (video[1:] - video[:-1]).abs().flatten(1).mean(1)
    at = [index - 1 for index in borders]
    if not at:
        return 0.0
    others = torch.tensor([float(jump) for index, jump in enumerate(jumps) if index not in at])
    return float(jumps[at].max() / others.median().clamp_min(1e-12))
