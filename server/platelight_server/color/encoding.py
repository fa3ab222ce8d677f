"""Model encodings: scene-linear light to the 0..1 code values that a model sees, each with its inverse beside it.

They are per-pixel curves on torch tensors of any shape and know nothing of primaries: the caller brings the picture
into the primaries that the model expects first. Out-of-range policy, the same for all: NaN and negative light become 0
in the model's view (the plate keeps its own), light above the top becomes code 1; `decode` takes codes outside 0..1,
which models do answer, as 0 and 1. Half and bfloat16 input is computed in float32: a bfloat16 code alone costs as much
as 8-bit rounding (facts: 2.8e-2 relative), so models get float32 pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch

__all__ = ["Encoding", "Shoulder", "Srgb", "srgb_decode", "srgb_encode"]

_LINEAR_TOE = 0.0031308
_CODE_TOE = 0.04045


class Encoding(Protocol):
    """A curve from scene-linear light to model code values, and back."""

    def encode(self, light: torch.Tensor) -> torch.Tensor:
        """Any shape float32, scene-linear, may be <0 and >1 -> code values 0..1."""

    def decode(self, code: torch.Tensor) -> torch.Tensor:
        """Any shape float32, code values 0..1 -> scene-linear."""


def srgb_encode(light: torch.Tensor) -> torch.Tensor:
    """The piecewise sRGB curve (IEC 61966-2-1). Any shape float32, linear 0..1 in, code 0..1 out, both clipped."""
    x = torch.nan_to_num(light.float(), nan=0.0).clamp(0.0, 1.0)
    return torch.where(x <= _LINEAR_TOE, 12.92 * x, 1.055 * x.clamp_min(_LINEAR_TOE).pow(1 / 2.4) - 0.055)


def srgb_decode(code: torch.Tensor) -> torch.Tensor:
    """The inverse of `srgb_encode`. Any shape float32, code 0..1 in, linear 0..1 out, both clipped."""
    y = torch.nan_to_num(code.float(), nan=0.0).clamp(0.0, 1.0)
    return torch.where(y <= _CODE_TOE, y / 12.92, ((y + 0.055) / 1.055).pow(2.4))


@dataclass(frozen=True)
class Srgb:
    """Plain sRGB, clipped at 1.0: for models that are picky about whites and plates that are not HDR."""

    def encode(self, light: torch.Tensor) -> torch.Tensor:
        """Any shape, linear, may be <0 and >1 -> float32 code 0..1."""
        return srgb_encode(light)

    def decode(self, code: torch.Tensor) -> torch.Tensor:
        """Any shape, code -> float32 linear 0..1."""
        return srgb_decode(code)


@dataclass(frozen=True)
class Shoulder:
    """Exactly sRGB up to linear `knee`, then a C1 logarithmic shoulder that reaches code 1 at linear `xmax`.

    Faces keep their display contrast, which the models know, and light up to `xmax` stays inside 0..1
    (facts/color-and-exr.md §4: the least linear error at mid grey of the encodings that keep highlights).
    The constants hold for a whole shot: an exposure chosen per frame flickers.
    """

    knee: float = 0.18
    xmax: float = 128.0
    _code_knee: float = field(init=False, repr=False)
    _slope: float = field(init=False, repr=False)
    _scale: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not (_LINEAR_TOE < self.knee < 1.0 < self.xmax):
            raise ValueError(
                f"shoulder: expected {_LINEAR_TOE} < knee < 1 < xmax, got knee {self.knee} and xmax {self.xmax}"
            )
        code_knee = 1.055 * self.knee ** (1 / 2.4) - 0.055
        slope = 1.055 / 2.4 * self.knee ** (1 / 2.4 - 1)
        object.__setattr__(self, "_code_knee", code_knee)
        object.__setattr__(self, "_slope", slope)
        object.__setattr__(self, "_scale", _shoulder_scale(code_knee, slope, self.xmax - self.knee))

    def encode(self, light: torch.Tensor) -> torch.Tensor:
        """Any shape, linear, may be <0 and >1 -> float32 code 0..1."""
        x = torch.nan_to_num(light.float(), nan=0.0, posinf=self.xmax).clamp(0.0, self.xmax)
        above = self._code_knee + self._scale * torch.log1p((x - self.knee).clamp_min(0) * (self._slope / self._scale))
        return torch.where(x <= self.knee, srgb_encode(x), above).clamp(0.0, 1.0)

    def decode(self, code: torch.Tensor) -> torch.Tensor:
        """Any shape, code -> float32 linear 0..xmax."""
        y = torch.nan_to_num(code.float(), nan=0.0).clamp(0.0, 1.0)
        above = self.knee + torch.expm1((y - self._code_knee).clamp_min(0) / self._scale) * (self._scale / self._slope)
        return torch.where(y <= self._code_knee, srgb_decode(y), above)


def _shoulder_scale(code_knee: float, slope: float, reach: float) -> float:
    """The scale c with code_knee + c·log(1 + reach·slope/c) = 1: the shoulder meets sRGB's slope and ends at code 1."""
    low, high = 1e-5, 10.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if code_knee + middle * math.log1p(reach * slope / middle) < 1.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
