"""Misplacement between two pictures of the same thing: how far a model's answer drifted, and how to bring it back.

Half a pixel of drift costs the light change 5 dB at edges, more than any noise that a codec makes, and a blur that
hides it costs as much again; a shift costs nothing. The estimate is Lucas and Kanade's (1981) on high-passed log
luminance, so a change of light, which is smooth where an edge is sharp, hardly enters it. One shift per picture: what
drifts by parts is left to the shrinkage in `change`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from platelight_server.finish.pyramid import means

# Light added before every logarithm here: edges in the black are noise.
_FLOOR = 0.02
# A shift is believed by its size in pixels and by the share of the difference that it explains. Relighting without
# drift reads as at most 0.17 px and 0.02 on the dev shots, half a pixel of true drift as at least 0.24 px and 0.04.
_SHIFT_RAMP = (0.1, 0.2)
_SHARE_RAMP = (0.015, 0.03)
_LARGEST_PX = 3.0
_REFINEMENTS = 2


@dataclass(frozen=True)
class Drift:
    """`moved` at (x + x_px, y + y_px) shows what the reference shows at (x, y)."""

    x_px: float = 0.0
    y_px: float = 0.0

    def __bool__(self) -> bool:
        return self.x_px != 0.0 or self.y_px != 0.0

    def __add__(self, other: Drift) -> Drift:
        return Drift(self.x_px + other.x_px, self.y_px + other.y_px)

    def __mul__(self, factor: float) -> Drift:
        return Drift(self.x_px * factor, self.y_px * factor)

    @property
    def length_px(self) -> float:
        return float((self.x_px**2 + self.y_px**2) ** 0.5)


def measure_drift(
    reference: torch.Tensor, moved: torch.Tensor, weight: torch.Tensor, luminance: tuple[float, float, float]
) -> Drift:
    """How far `moved` is misplaced against `reference`, or no drift where that is not beyond doubt.

    reference, moved  (3, h, w) float32, scene-linear, working primaries, may be <0 and >1; may differ in light
    weight            (1, h, w) float32, 0..1: where to look
    Exactly `Drift()` where the two are equal.
    """
    weights = moved.new_tensor(luminance).view(3, 1, 1)
    log = [((x * weights).sum(0, keepdim=True).clamp_min(0) + _FLOOR).log2() for x in (reference, moved)]
    shift, share = _solve(log[0], log[1], weight)
    trust = _ramp(shift.length_px, *_SHIFT_RAMP) * _ramp(share, *_SHARE_RAMP)
    if trust == 0.0 or shift.length_px > _LARGEST_PX:
        return Drift()
    for _ in range(_REFINEMENTS):
        shift = shift + _solve(log[0], _shifted(log[1], shift), weight)[0]
        if shift.length_px > _LARGEST_PX:
            return Drift()
    return shift * trust


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
    there_and_back = undo_drift(undo_drift(source, drift * -1.0), drift)
    return (there_and_back.clamp_min(0) + _FLOOR).log2() - (source.clamp_min(0) + _FLOOR).log2()


def _shifted(x: torch.Tensor, drift: Drift) -> torch.Tensor:
    height, width = x.shape[-2:]
    rows = (torch.arange(height, dtype=x.dtype, device=x.device) + 0.5 + drift.y_px) / height * 2 - 1
    columns = (torch.arange(width, dtype=x.dtype, device=x.device) + 0.5 + drift.x_px) / width * 2 - 1
    grid = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], -1)
    return F.grid_sample(x[None], grid[None], mode="bicubic", padding_mode="border", align_corners=False)[0]


def _solve(reference: torch.Tensor, moved: torch.Tensor, weight: torch.Tensor) -> tuple[Drift, float]:
    """One Gauss-Newton step: the shift, and the share of the weighted squared difference that it explains."""
    signals = torch.cat([*_gradients(moved), reference - moved])
    gx, gy, rest = (signals - means(signals, weight)[0]).double().unbind()
    w = weight[0].double() ** 2
    a11, a12, a22 = float((w * gx * gx).sum()), float((w * gx * gy).sum()), float((w * gy * gy).sum())
    b1, b2, total = float((w * gx * rest).sum()), float((w * gy * rest).sum()), float((w * rest * rest).sum())
    ridge = 1e-6 * (a11 + a22) + 1e-12
    determinant = (a11 + ridge) * (a22 + ridge) - a12 * a12
    x_px, y_px = ((a22 + ridge) * b1 - a12 * b2) / determinant, ((a11 + ridge) * b2 - a12 * b1) / determinant
    return Drift(x_px, y_px), (x_px * b1 + y_px * b2) / total if total > 0 else 0.0


def _gradients(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Fourth-order central differences along x and y. (1, h, w) -> two of the same."""
    taps = x.new_tensor([1.0, -8.0, 0.0, 8.0, -1.0]) / 12
    along_x = F.conv2d(F.pad(x[None], (2, 2, 0, 0), mode="replicate"), taps.view(1, 1, 1, 5))[0]
    along_y = F.conv2d(F.pad(x[None], (0, 0, 2, 2), mode="replicate"), taps.view(1, 1, 5, 1))[0]
    return along_x, along_y


def _ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, smooth between: a belief that does not flicker over a clip."""
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)
