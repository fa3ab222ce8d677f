"""Misplacement between two pictures of the same thing: how far a model's answer drifted, and how to bring it back.

Half a pixel of drift costs the light change 5 dB at edges, more than any noise that a codec makes, and a blur that
hides it costs as much again; a shift costs nothing. The estimate is Lucas and Kanade's (1981) on high-passed log
luminance, so a change of light, which is smooth where an edge is sharp, hardly enters it: first one shift for the
picture, then, where much of the difference is left to explain, one per region.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from platelight_server.finish.pyramid import double, halve, means, smooth

# Light added before every logarithm here: edges in the black are noise.
_FLOOR = 0.02
# A shift is believed by its size in pixels and by the share of the difference that it explains. Relighting without
# drift reads as at most 0.17 px and 0.02 on the dev shots, half a pixel of true drift as at least 0.24 px and 0.04.
_SHIFT_RAMP = (0.1, 0.2)
_SHARE_RAMP = (0.015, 0.03)
_LARGEST_PX = 3.0
_REFINEMENTS = 2
# Regions are believed when together they explain this share at least, all by that much more. The smaller a region, the
# more it explains by chance: without drift regions of 8 px read as at most 0.04 on the dev shots, of 4 px 0.10; with a
# drift that varies by half a pixel 0.09 to 0.14, and 0.07 to 0.22.
_TOGETHER_TIMES_PX, _TOGETHER_LEAST, _TOGETHER_MORE = 0.32, 0.03, 0.05
_REGION_SHARE_RAMP = (0.03, 0.1)
_REGION_SHIFT_RAMP = (0.1, 0.25)
# Regions along the shorter side; how far a region without texture is held at no shift.
_REGIONS = 16
_RIDGE = 0.1


@dataclass(frozen=True)
class Drift:
    """`moved` at (x + field[0], y + field[1]) shows what the reference shows at (x, y).

    field  (2, h, w) float32 pixels, right and down, or `None` where nothing drifted
    """

    field: torch.Tensor | None = None

    def __bool__(self) -> bool:
        return self.field is not None

    def __add__(self, other: Drift) -> Drift:
        if self.field is None or other.field is None:
            return other if self.field is None else self
        return Drift(self.field + other.field)

    def __neg__(self) -> Drift:
        return Drift(None if self.field is None else -self.field)


def measure_drift(
    reference: torch.Tensor, moved: torch.Tensor, weight: torch.Tensor, luminance: tuple[float, float, float]
) -> Drift:
    """How far `moved` is misplaced against `reference`, or no drift where that is not beyond doubt.

    reference, moved  (3, h, w) float32, scene-linear, working primaries, may be <0 and >1; may differ in light
    weight            (1, h, w) float32, 0..1: where to look
    Exactly `Drift()` where the two are equal.
    """
    weights = moved.new_tensor(luminance).view(3, 1, 1)
    still, loose = (((x * weights).sum(0, keepdim=True).clamp_min(0) + _FLOOR).log2() for x in (reference, moved))
    if torch.equal(still, loose):
        return Drift()
    whole = _whole(still, loose, weight)
    return whole + _regional(still, loose, weight, whole)


def undo_drift(moved: torch.Tensor, drift: Drift) -> torch.Tensor:
    """`moved` brought back by `drift`; the same tensor where there is none. (3, h, w) float32, scene-linear -> same.

    Bicubic on logarithms, so a highlight does not ring into its surroundings.
    """
    if not drift:
        return moved
    return _shifted((moved.clamp_min(0) + _FLOOR).log2(), drift).exp2() - _FLOOR


def sharpness_lost(source: torch.Tensor, drift: Drift) -> torch.Tensor:
    """What drifting and being brought back does to a picture, in stops: (3, h, w) float32, exactly 0 without drift.

    Bringing a picture back by part of a pixel softens its finest detail, and the drift did so before. Read on the
    source, which has no noise, it can be taken out of the relit picture's logarithm; left in, it would stand in the
    gain as the plate's own texture turned upside down.
    """
    if not drift:
        return torch.zeros_like(source)
    there_and_back = undo_drift(undo_drift(source, -drift), drift)
    return (there_and_back.clamp_min(0) + _FLOOR).log2() - (source.clamp_min(0) + _FLOOR).log2()


def _whole(still: torch.Tensor, loose: torch.Tensor, weight: torch.Tensor) -> Drift:
    """One shift for the picture."""

    def spread(shift: torch.Tensor) -> Drift:
        return Drift(shift.view(2, 1, 1).expand(2, *still.shape[1:]))

    def step(drift: Drift) -> tuple[torch.Tensor, float]:
        moments = _moments(still, _shifted(loose, drift), weight).double().sum((1, 2))
        shift, share = _solve(moments, 1e-6 * (moments[0] + moments[2]))
        return shift.float(), float(share)

    shift, share = step(Drift())
    trust = _ramp(float(shift.norm()), _SHIFT_RAMP) * _ramp(share, _SHARE_RAMP)
    if trust == 0.0 or float(shift.norm()) > _LARGEST_PX:
        return Drift()
    for _ in range(_REFINEMENTS):
        shift = shift + step(spread(shift))[0]
        if float(shift.norm()) > _LARGEST_PX:
            return Drift()
    return spread(shift * trust)


def _regional(still: torch.Tensor, loose: torch.Tensor, weight: torch.Tensor, whole: Drift) -> Drift:
    """What single regions drift beyond the picture's own shift."""
    moments = _moments(still, _shifted(loose, whole), weight)
    shifts, shares, sizes = _regions(moments)
    field = _grown(shifts, sizes)
    total = float(moments[5].sum())
    left = moments[5] - 2 * (field * moments[3:5]).sum(0) + _energy(field, moments)
    chance = max(_TOGETHER_TIMES_PX / 2 ** len(sizes), _TOGETHER_LEAST)
    together = _ramp(1 - float(left.sum()) / total, (chance, chance + _TOGETHER_MORE)) if total > 0 else 0.0
    if together == 0.0:
        return Drift()
    trust = together * _ramps(shares, _REGION_SHARE_RAMP) * _ramps(shifts.norm(dim=0), _REGION_SHIFT_RAMP)
    shifts = shifts.clamp(-_LARGEST_PX, _LARGEST_PX) * trust
    again, _, _ = _regions(_moments(still, _shifted(loose, whole + Drift(_grown(shifts, sizes))), weight))
    shifts = (shifts + again.clamp(-1, 1) * trust).clamp(-_LARGEST_PX, _LARGEST_PX)
    return Drift(_grown(shifts, sizes))


def _moments(still: torch.Tensor, loose: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(6, h, w): what the normal equations sum, xx, xy, yy, xr, yr and rr, of gradients and rest, high-passed."""
    signals = torch.cat([*_gradients(loose), still - loose])
    gx, gy, rest = (signals - means(signals, weight)[0]).unbind()
    return torch.stack([gx * gx, gx * gy, gy * gy, gx * rest, gy * rest, rest * rest]) * weight**2


def _energy(field: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
    x, y = field.unbind()
    return x * x * moments[0] + 2 * x * y * moments[1] + y * y * moments[2]


def _solve(moments: torch.Tensor, ridge: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The shift, and the share of the squared difference that it explains, of summed moments (6, ...)."""
    xx, xy, yy, xr, yr, rr = moments.unbind()
    xx, yy = xx + ridge + 1e-12, yy + ridge + 1e-12
    determinant = xx * yy - xy * xy
    x, y = (yy * xr - xy * yr) / determinant, (xx * yr - xy * xr) / determinant
    return torch.stack([x, y]), (x * xr + y * yr) / (rr + 1e-9 * rr.mean() + 1e-12)


def _regions(moments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[tuple[int, int]]]:
    """Shift (2, h', w') and share (h', w') of each region, and the sizes that lead back up."""
    halvings = max(0, round(math.log2(max(1.0, min(moments.shape[1:]) / _REGIONS))))
    sizes = []
    for _ in range(halvings):
        sizes.append((moments.shape[1], moments.shape[2]))
        moments = halve(moments)
    moments = smooth(smooth(moments))
    shift, share = _solve(moments, _RIDGE * (moments[0] + moments[2]).mean())
    return shift, share, sizes


def _grown(field: torch.Tensor, sizes: list[tuple[int, int]]) -> torch.Tensor:
    for size in reversed(sizes):
        field = double(field, size)
    return field


def _shifted(x: torch.Tensor, drift: Drift) -> torch.Tensor:
    if drift.field is None:
        return x
    height, width = x.shape[-2:]
    rows = torch.arange(height, dtype=x.dtype, device=x.device)[:, None] + 0.5 + drift.field[1]
    columns = torch.arange(width, dtype=x.dtype, device=x.device) + 0.5 + drift.field[0]
    grid = torch.stack([columns / width * 2 - 1, rows / height * 2 - 1], -1)
    return F.grid_sample(x[None], grid[None], mode="bicubic", padding_mode="border", align_corners=False)[0]


def _gradients(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Fourth-order central differences along x and y. (1, h, w) -> two of the same."""
    taps = x.new_tensor([1.0, -8.0, 0.0, 8.0, -1.0]) / 12
    along_x = F.conv2d(F.pad(x[None], (2, 2, 0, 0), mode="replicate"), taps.view(1, 1, 1, 5))[0]
    along_y = F.conv2d(F.pad(x[None], (0, 0, 2, 2), mode="replicate"), taps.view(1, 1, 5, 1))[0]
    return along_x, along_y


def _ramp(value: float, ends: tuple[float, float]) -> float:
    """0 below the first end, 1 above the second, smooth between: a belief that does not flicker over a clip."""
    t = min(max((value - ends[0]) / (ends[1] - ends[0]), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _ramps(values: torch.Tensor, ends: tuple[float, float]) -> torch.Tensor:
    t = ((values - ends[0]) / (ends[1] - ends[0])).clamp(0, 1)
    return t * t * (3 - 2 * t)
