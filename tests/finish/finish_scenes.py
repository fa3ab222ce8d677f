"""Scenes whose true change of light is known, and the models that look at them: shared by the tests of the finish."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from platelight_server.color.encoding import Shoulder
from platelight_server.engines.interface import LightChange, Pictures

LUMINANCE = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True)
class Scene:
    """plate, gain (3, H, W) float32, scene-linear and stops; matte (1, H, W) float32; background (3, H, W)."""

    plate: torch.Tensor
    matte: torch.Tensor
    background: torch.Tensor
    gain: torch.Tensor


def hdr_scene(size: int = 512, seed: int = 3) -> Scene:
    """Texture over five octaves, highlights to about 20, a hairy matte, and a relight of three parts: a directional
    shading, a coloured ambient, and the edge of a cast shadow (facts/color-and-exr.md §5, made from code)."""
    generator = torch.Generator().manual_seed(seed)
    texture = _octaves(3, size, 5, generator) * 0.5 + _octaves(1, size, 5, generator) * 1.2
    y, x = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    glints = F.interpolate((torch.rand(1, 1, size // 8, size // 8, generator=generator) > 0.985).float(), size=size)[0]
    plate = 0.2 * (texture.clamp(-4, 3)).exp2() + 12 * glints * (0.5 + torch.rand(1, generator=generator))
    background = 0.3 * (_octaves(3, size, 4, generator)).exp2() * torch.tensor([0.5, 0.8, 1.3]).view(3, 1, 1)
    matte = _hairy_matte(x, y, generator)
    shading = 1.2 * x - 0.8 * y
    shadow = torch.sigmoid((x + 0.6 * y - 0.1) * 18) * 1.5
    ambient = torch.tensor([0.5, 0.0, -0.6]).view(3, 1, 1) * (1 + 0.3 * y)
    gain = (shading - shadow)[None] + ambient
    return Scene(matte * plate + (1 - matte) * background, matte, background, gain)


def _octaves(channels: int, size: int, count: int, generator: torch.Generator) -> torch.Tensor:
    total = torch.zeros(channels, size, size)
    for octave in range(count):
        cells = size >> (octave + 1)
        noise = torch.randn(1, channels, cells, cells, generator=generator)
        total += F.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)[0] * 0.75 ** (
            count - octave
        )
    return total


def _hairy_matte(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    radius, angle = (x**2 + y**2).sqrt(), torch.atan2(y, x)
    pixel = 2.0 / x.shape[0]
    solid = ((0.6 - radius) / (3 * pixel) + 0.5).clamp(0, 1)
    hair = torch.zeros_like(x)
    for strand in torch.rand(160, 3, generator=generator):
        bend = float(strand[0]) * 2 * math.pi - math.pi + (float(strand[1]) - 0.5) * 1.5 * (radius - 0.6)
        across = torch.sin(angle - bend).abs() * radius
        along = (radius > 0.55) & (radius < 0.62 + 0.2 * float(strand[2])) & (torch.cos(angle - bend) > 0)
        hair = torch.maximum(hair, along * (1.2 - across / pixel).clamp(0, 1) * 0.8)
    return torch.maximum(solid, hair)[None]


def down(x: torch.Tensor, factor: int) -> torch.Tensor:
    """Area means. (C, H, W) -> (C, round(H/factor), W//factor)."""
    return F.interpolate(x[None], size=(round(x.shape[1] / factor + 1e-6), x.shape[2] // factor), mode="area")[0]


def codec_noise(shape: torch.Size, rms: float, seed: int) -> torch.Tensor:
    """Noise as a video codec or VAE makes it: correlated over about a pixel (sigma 0.8)."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    taps = torch.exp(-0.5 * (torch.arange(-3, 4) / 0.8) ** 2)
    kernel = torch.outer(taps, taps).expand(shape[0], 1, 7, 7)
    noise = F.conv2d(F.pad(noise[None], (3, 3, 3, 3), mode="reflect"), kernel, groups=shape[0])[0]
    return noise / noise.std() * rms


def shifted(x: torch.Tensor, x_px: float | torch.Tensor = 0.4, y_px: float | torch.Tensor = 0.3) -> torch.Tensor:
    """Half a pixel of drift, the same everywhere or per pixel (h, w)."""
    height, width = x.shape[1:]
    rows = (torch.arange(height)[:, None] + 0.5 + y_px) / height * 2 - 1
    columns = (torch.arange(width) + 0.5 + x_px) / width * 2 - 1
    grid = torch.stack([columns.expand(height, width), rows.expand(height, width)], -1)
    return F.grid_sample(x[None], grid[None], mode="bicubic", padding_mode="border", align_corners=False)[0]


def shifted_by_parts(x: torch.Tensor) -> torch.Tensor:
    """A smooth drift of half a pixel (rms) that turns every sixth of the height."""
    cells = 0.35 * torch.randn(1, 2, 6, 10, generator=torch.Generator().manual_seed(5))
    field = F.interpolate(cells, size=x.shape[1:], mode="bicubic", align_corners=False)[0]
    return shifted(x, field[0], field[1])


def model_pictures(
    source: torch.Tensor, truth: torch.Tensor, codes_rms: float, drift: str, seed: int, premultiplied: bool
) -> Pictures:
    """A model that knows the truth and errs by `codes_rms` (of 255) in its codes, independently in both pictures, and
    by half a pixel of drift on "relit" or "both", or "relit by parts"."""
    shoulder = Shoulder()
    seen, answered = shoulder.encode(source), shoulder.encode(truth)
    if drift in ("relit", "both"):
        answered = shifted(answered)
    if drift == "relit by parts":
        answered = shifted_by_parts(answered)
    if drift == "both":
        seen = shifted(seen)
    seen = seen + codec_noise(seen.shape, codes_rms / 255, 2 * seed + 1)
    answered = answered + codec_noise(seen.shape, codes_rms / 255, 2 * seed + 2)
    return Pictures(source, shoulder.decode(seen), shoulder.decode(answered), premultiplied)


def no_change(height: int, width: int) -> LightChange:
    return LightChange(torch.zeros(3, height, width), torch.zeros(3, height, width), torch.ones(1, height, width))
