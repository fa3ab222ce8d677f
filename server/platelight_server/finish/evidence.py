"""How far a model's picture can be trusted, read from how well its own round trip keeps the plate.

The difference between what a model was given and what its codec gives back is a sample of the codec's error: its
strength, its grain and where it sits. The relit picture is assumed to carry error of the same kind. Everything here
is in stops (log2), where a change of light is a sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from platelight_server.finish.pyramid import means

_BINS = 16
_LOWEST_STOP, _STOPS = -11.0, 16.0
# A bin of the level curve leans on the whole picture as if it held this many pixels more.
_PRIOR_PX = 4.0
# Largest factor by which the error at another light level may differ from the error where it was measured.
_LARGEST_RATIO = 64.0


@dataclass(frozen=True)
class Evidence:
    """What is measured, and how wrong it is.

    ratio    (3, h, w) float32, stops: log relit over log plate, freed of the error that the round trip shows
    error    (3, h, w) float32, stops: a sample of the error left in `ratio`, of its strength and grain; 0 = none
    variance (1, h, w) float32, stops squared: the expected error of the relit picture at its own level of light
    """

    ratio: torch.Tensor
    error: torch.Tensor
    variance: torch.Tensor


def gather_evidence(
    source: torch.Tensor, roundtrip: torch.Tensor, relit: torch.Tensor, weight: torch.Tensor
) -> Evidence:
    """Reads ratio and error from log pictures. All (3, h, w) float32, log2 of light; weight (1, h, w) float32.

    Where the relit picture carries the same error as the round trip (a deterministic codec), it cancels in the ratio;
    where it carries an error of its own (a sampled one), the part that the round trip adds is known and is taken out.
    Which of the two holds is the regression of ratio on error. Both `ratio` and `error` are exactly 0 where relit and
    round trip are equal, respectively where source and round trip are.
    """
    error, ratio = roundtrip - source, relit - roundtrip
    if not bool(error.any()):
        return Evidence(ratio, error, torch.zeros_like(weight))
    slope = _regression(ratio, error, weight)
    ratio = ratio - slope * error
    own = (1 - (1 + slope) ** 2).clamp_min(0).sqrt()
    curves = [_level_curve(e, level, weight[0]) for e, level in zip(error, source, strict=True)]
    at_relit = torch.stack([_read_curve(c, level) for c, level in zip(curves, relit, strict=True)])
    at_source = torch.stack([_read_curve(c, level) for c, level in zip(curves, source, strict=True)])
    scale = (at_relit / (at_source + 1e-12)).clamp(1 / 16, _LARGEST_RATIO).sqrt()
    return Evidence(ratio, error * scale * own, at_relit.mean(0, keepdim=True))


def _regression(ratio: torch.Tensor, error: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(3, 1, 1), -1..0: how much of the round trip's error stands in the ratio, judged on the finest band."""
    both = torch.cat([ratio, error])
    high = both - means(both, weight)[0]
    fine_ratio, fine_error = high[:3], high[3:]
    joint = (weight * fine_ratio * fine_error).sum((1, 2), keepdim=True)
    power = (weight * fine_error**2).sum((1, 2), keepdim=True)
    slope: torch.Tensor = joint / (power + 1e-12)
    return slope.clamp(-1, 0)


def _level_curve(error: torch.Tensor, level: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(_BINS,) mean squared error by level of light: a codec errs in code values, so the dark errs by more stops."""
    index = _bin(level).round().long().flatten()
    sums = torch.zeros(2, _BINS, dtype=torch.float64, device=error.device)
    sums[0].index_add_(0, index, (weight * error**2).double().flatten())
    sums[1].index_add_(0, index, weight.double().flatten())
    taps = sums.new_tensor([[[0.25, 0.5, 0.25]]])
    squares, count = F.conv1d(F.pad(sums[:, None], (1, 1), mode="replicate"), taps)[:, 0].unbind()
    overall = squares.sum() / (count.sum() + 1e-12)
    return ((squares + _PRIOR_PX * overall) / (count + _PRIOR_PX)).float()


def _read_curve(curve: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    position = _bin(level).clamp(0, _BINS - 1.001)
    below = position.floor().long()
    return torch.lerp(curve[below], curve[below + 1], position - below)


def _bin(level: torch.Tensor) -> torch.Tensor:
    return ((level - _LOWEST_STOP) / _STOPS * (_BINS - 1)).clamp(0, _BINS - 1)
