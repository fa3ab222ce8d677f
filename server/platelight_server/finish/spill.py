"""Light of a green or blue screen: telling that there is one, and taking its spill off the foreground."""

from __future__ import annotations

from typing import Literal

import torch

Screen = Literal["green", "blue"]

_STEP = 4
# A screen outshines the other channels by this factor...
_RATIO = 1.6
# ...on this share of what lies outside the matte, and is lit evenly: most of it within this many stops.
_SHARE = 0.7
_SPREAD_STOPS = 1.5
_FEWEST_PX = 64


def detect_screen(plate: torch.Tensor, matte: torch.Tensor) -> Screen | None:
    """The screen behind the foreground, or `None`. One frame's opinion: the caller asks several and lets them vote.

    plate  (3, H, W) float, scene-linear, working primaries, may be <0 and >1
    matte  (1, H, W) float, 0..1
    """
    step = _STEP if plate.shape[1] >= 256 else 1
    outside = plate[:, ::step, ::step].float()[:, matte[0, ::step, ::step] < 0.02]
    outside = outside[:, torch.isfinite(outside).all(0)].clamp_min(0)
    if outside.shape[1] < _FEWEST_PX:
        return None
    red, green, blue = outside.unbind()
    if _is_screen(green, torch.maximum(red, blue)):
        return "green"
    return "blue" if _is_screen(blue, torch.maximum(red, green)) else None


def _is_screen(key: torch.Tensor, others: torch.Tensor) -> bool:
    keyed = (key > _RATIO * others) & (key > 1e-3)
    if float(keyed.float().mean()) < _SHARE:
        return False
    stops = key[keyed].log2()
    low, high = torch.quantile(stops[:: max(1, stops.numel() // 100_000)], stops.new_tensor([0.15, 0.85]))
    return float(high - low) <= 2 * _SPREAD_STOPS


def suppress_spill(foreground: torch.Tensor, matte: torch.Tensor, screen: Screen, amount: float = 1.0) -> torch.Tensor:
    """`foreground` with the screen's channel held down to what the other two allow; other pixels stay bit for bit.

    foreground  (3, h, w) float32, scene-linear, unpremultiplied or premultiplied (the rule is linear), may be <0
    matte       (1, h, w) float32, 0..1
    amount      0..1, how much of the excess is taken
    Where the matte is opaque the limit is the larger of the other two channels, which leaves yellow and cyan cloth
    alone; towards the thin edge it becomes their mean, which also turns a screen-coloured rim neutral.
    """
    key = 1 if screen == "green" else 2
    others = (foreground[0], foreground[3 - key])
    larger, mean = torch.maximum(*others), 0.5 * (others[0] + others[1])
    limit = torch.lerp(mean, larger, matte[0])
    held = foreground[key] - amount * (foreground[key] - limit).clamp_min(0)
    planes = [foreground[0], foreground[1], foreground[2]]
    planes[key] = torch.where(foreground[key] > limit, held, foreground[key])
    return torch.stack(planes)
