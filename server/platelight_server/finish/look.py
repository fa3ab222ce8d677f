"""What the artist's look does to a change of light: the same few dials for every engine, at model size.

Owns `shape_change`. A neutral look returns the change itself, the very tensors.
"""

from __future__ import annotations

from typing import Protocol

import torch

from platelight_server.engines.interface import LightChange
from platelight_server.finish.change import GAIN_LIMIT_STOPS
from platelight_server.finish.pyramid import broad_mean, local_mean

PIVOT = 0.18


class LightLook(Protocol):
    """The dials of the recipe's look that act on light; 1, 0, 0, 1, 1, 1 changes nothing."""

    @property
    def strength(self) -> float: ...
    @property
    def preserve_detail(self) -> float: ...
    @property
    def exposure_stops(self) -> float: ...
    @property
    def direction(self) -> float: ...
    @property
    def colour(self) -> float: ...
    @property
    def contrast(self) -> float: ...


def shape_change(
    change: LightChange,
    plate: torch.Tensor,
    matte: torch.Tensor,
    look: LightLook,
    luminance: tuple[float, float, float],
) -> LightChange:
    """`change` with the look's dials turned, in this order:

    strength        scales gain (in stops) and fill: 0 is the plate as filmed
    preserve_detail takes away what of gain and fill is finer than about an 18th of the picture: the plate's stays there
    colour          scales what differs between the channels: 0 changes the light's amount and not its colour
    direction       scales how the gain varies over the foreground around its mean: 0 is one grade for all of it
    exposure_stops  is added to the gain, and scales the fill alike
    contrast        stretches large tones of the result around 0.18, in stops, and leaves detail as it is

    plate  (3, h, w) float32, scene-linear, working primaries, model size; read for contrast only
    matte  (1, h, w) float32, 0..1
    The gain stays within ±6 stops.
    """
    dials = (look.strength, look.preserve_detail, look.exposure_stops, look.direction, look.colour, look.contrast)
    if dials == (1.0, 0.0, 0.0, 1.0, 1.0, 1.0):
        return change
    weights = change.gain.new_tensor(luminance).view(3, 1, 1)
    gain, fill = change.gain * look.strength, change.fill * look.strength
    if look.preserve_detail:
        gain, fill = (_broadened(x, matte, look.preserve_detail) for x in (gain, fill))
    gain, fill = _coloured(gain, weights, look.colour), _coloured(fill, weights, look.colour)
    gain = _directed(gain, weights, matte, look.direction) + look.exposure_stops
    fill = fill * 2.0**look.exposure_stops
    if look.contrast != 1.0:
        gain = gain + (look.contrast - 1.0) * _tones(plate, gain, fill, matte, weights)
    return LightChange(gain.clamp(-GAIN_LIMIT_STOPS, GAIN_LIMIT_STOPS), fill.clamp_min(0), change.confidence)


def _broadened(x: torch.Tensor, matte: torch.Tensor, amount: float) -> torch.Tensor:
    # Outside of the matte the change is extended; a little weight there keeps the mean defined everywhere.
    return torch.lerp(x, broad_mean(x, matte + 1e-4), amount)


def _coloured(x: torch.Tensor, weights: torch.Tensor, colour: float) -> torch.Tensor:
    grey = (x * weights).sum(0, keepdim=True)
    return x if colour == 1.0 else grey + (x - grey) * colour


def _directed(gain: torch.Tensor, weights: torch.Tensor, matte: torch.Tensor, direction: float) -> torch.Tensor:
    if direction == 1.0:
        return gain
    grey = (gain * weights).sum(0, keepdim=True)
    mean = (grey * matte).sum() / matte.sum().clamp_min(1e-6)
    return gain + (grey - mean) * (direction - 1.0)


def _tones(
    plate: torch.Tensor, gain: torch.Tensor, fill: torch.Tensor, matte: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Stops of the relit foreground over mid grey, smoothed inside the matte. (1, h, w) float32."""
    light = ((plate.clamp_min(0) * gain.exp2() + fill) * weights).sum(0, keepdim=True)
    stops = ((light + 1e-3) / PIVOT).log2()
    return local_mean(local_mean(stops, matte + 1e-4), matte + 1e-4)
