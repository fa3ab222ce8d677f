"""The change of light between two pictures of a model, region by region at the finest scale that can be trusted.

Owns `estimate_change`. A gain is the mean of log ratios (not the ratio of means: highlights would rule it), normalised
with the matte at every scale so that the background never enters. The log ratio is split into bands, and each band is
kept by the share of its local energy that is not the model's own error (a Wiener gain; the bands are those of the
undecimated first and then halved pyramid of Burt and Adelson 1983, the rule is Donoho and Johnstone's 1995 shrinkage
in its local, empirical form). A perfect round trip leaves no error, and then nothing is smoothed at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from platelight_server.engines.interface import LightChange, Pictures
from platelight_server.finish.drift import measure_drift, sharpness_lost, undo_drift
from platelight_server.finish.evidence import Evidence, gather_evidence
from platelight_server.finish.pyramid import double, halve, levels_for, local_mean, means

GAIN_LIMIT_STOPS = 6.0

# Light added on both sides of a ratio: below it a gain means nothing, and `fill` carries what is missing.
_FLOOR = 5e-4
# Pixels whose expected error is this many stops count half in every mean.
_DOUBTFUL_STOPS = 0.3
# An expected error of this many stops is a confidence of one half.
_HALF_TRUST_STOPS = 0.35
# Below this share of matte around a pixel, its own ratio is replaced by that of its surroundings.
_COVERAGE = 2e-3
# Opponent axes: light changes mostly alike in all channels, so colour is smoothed on its own evidence.
_OPPONENT = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))


def estimate_change(pictures: Pictures, matte: torch.Tensor, luminance: tuple[float, float, float]) -> LightChange:
    """The change of light that leads from `pictures.roundtrip` to `pictures.relit`, inside `matte`, extended outside.

    pictures  (3, h, w) float32, scene-linear, working primaries, may be <0 and >1
    matte     (1, h, w) float32, 0..1
    returns   LightChange at the same size: gain within ±6 stops, fill >= 0, confidence 0..1; gain and fill are exactly
              zero where relit and round trip are equal everywhere
    """
    pictures, sound = _sound(pictures)
    weight = _weight(matte, pictures.premultiplied) * sound
    shared = measure_drift(pictures.source, pictures.roundtrip, weight, luminance)
    own = measure_drift(pictures.roundtrip, pictures.relit, weight, luminance)
    plate = undo_drift(pictures.roundtrip, shared)
    relit = _stops(undo_drift(pictures.relit, shared + own)) - sharpness_lost(pictures.source, own)
    evidence = gather_evidence(_stops(pictures.source), _stops(plate), relit, weight)
    ratio, variance = _shrink(evidence, weight)
    gain = ratio.clamp(-GAIN_LIMIT_STOPS, GAIN_LIMIT_STOPS)
    fill = _fill(ratio, gain, plate, weight)
    confidence = 1 / (1 + variance / _HALF_TRUST_STOPS**2)
    return LightChange(gain, fill, confidence.clamp(0, 1))


def _weight(matte: torch.Tensor, premultiplied: bool) -> torch.Tensor:
    """How far a pixel speaks for the foreground. Over black its ratio is clean however thin it is; over a background
    both pictures are mixtures in the soft edge, so only pixels that are mostly foreground speak."""
    matte = torch.nan_to_num(matte).clamp(0, 1)
    return matte if premultiplied else ((matte - 0.5) * 2.0).clamp(0, 1) ** 2


def _sound(pictures: Pictures) -> tuple[Pictures, torch.Tensor]:
    """The pictures with numbers only, and (1, h, w) 1 where they were: what is not a number says nothing."""
    three = (pictures.source, pictures.roundtrip, pictures.relit)
    sound = torch.stack([torch.isfinite(x).all(0, keepdim=True) for x in three]).all(0)
    if bool(sound.all()):
        return pictures, sound.float()
    source, roundtrip, relit = (torch.where(sound, x, 0.0) for x in three)
    return Pictures(source, roundtrip, relit, pictures.premultiplied), sound.float()


def _stops(light: torch.Tensor) -> torch.Tensor:
    return (light.clamp_min(0) + _FLOOR).log2()


@dataclass(frozen=True)
class _Level:
    """One level of the pyramid: (3, h, w) ratio and error in opponent axes, (1, h, w) mean weight."""

    ratio: torch.Tensor
    error: torch.Tensor
    weight: torch.Tensor


def _shrink(evidence: Evidence, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The ratio with the model's error taken out, (3, h, w) stops, and the variance that is left, (1, h, w)."""
    axes = weight.new_tensor(_OPPONENT)
    axes = axes / axes.norm(dim=1, keepdim=True)
    exact = not bool(evidence.error.any())
    doubt = 1 / (1 + evidence.variance / _DOUBTFUL_STOPS**2)
    level = _Level(_turn(axes, evidence.ratio), _turn(axes, evidence.error), weight * doubt)
    count = levels_for(weight.shape[1], weight.shape[2])
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    for step in range(count):
        coarser, up_ratio, up_error = _coarser(level, first=step == 0)
        kept.append(_band(level, up_ratio, up_error, exact))
        level = coarser
    ratio, variance = level.ratio, torch.zeros_like(level.weight)
    for step in reversed(range(count)):
        band, left = kept[step]
        if step > 0:
            size = (band.shape[1], band.shape[2])
            ratio, variance = double(ratio, size), double(variance, size)
        ratio, variance = ratio + band, variance + left
    return _turn(axes.T, ratio), variance


def _coarser(level: _Level, first: bool) -> tuple[_Level, torch.Tensor, torch.Tensor]:
    """The next level, and its ratio and error at this level's size. The first step keeps the size: a halving there
    would leave aliasing in the band that holds most of the error."""
    both, weight = torch.cat([level.ratio, level.error]), level.weight
    size = (weight.shape[1], weight.shape[2])
    if not first:
        sums = halve(torch.cat([both * weight, weight]))
        both, weight = sums[:-1] / (sums[-1:] + 1e-8), sums[-1:]
    both, weight = means(both, weight)
    coarser = _Level(both[:3], both[3:], weight)
    at_size = both if first else double(both, size)
    return coarser, at_size[:3], at_size[3:]


def _band(
    level: _Level, coarse_ratio: torch.Tensor, coarse_error: torch.Tensor, exact: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """What of a level's band is light, and the variance (stops squared) of what is doubtful in it."""
    band = (level.ratio - coarse_ratio) * (level.weight / (level.weight + _COVERAGE))
    if exact:
        return band, torch.zeros_like(level.weight)
    wrong = level.error - coarse_error
    energies = local_mean(torch.cat([band**2, wrong**2]), level.weight)
    energy, noise = energies[:3], energies[3:]
    share = torch.where(noise > 0, (energy - noise).clamp_min(0) / (energy + 1e-12), 1.0)
    return band * share, (noise * share).mean(0, keepdim=True)


def _fill(ratio: torch.Tensor, gain: torch.Tensor, roundtrip: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Light that no gain makes: relit = (plate + floor)·2^ratio − floor, less what the limited gain makes of the plate.

    It follows from the shrunk ratio, so it carries no error of its own, and it is 0 where the gain is.
    """
    plate = roundtrip.clamp_min(0)
    wanted = _FLOOR * (ratio.exp2() - 1) + plate * (ratio.exp2() - gain.exp2())
    return torch.where(weight > 0, wanted, 0.0).clamp_min(0)


def _turn(axes: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ij,jhw->ihw", axes, x)
