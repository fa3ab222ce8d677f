"""Matte-normalised pyramids at model size: what every estimate of the light change is smoothed with.

All functions take and return planar (C, h, w) float32 of any meaning. A normalised mean of zeros is exactly zero, so a
change of nothing stays nothing bit for bit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

_TINY = 1e-8
# The least of the shorter side that a broad mean is taken at; the binomial's sigma is one of its pixels.
_BROAD_PX = 12


def smooth(x: torch.Tensor, dilation: int = 1) -> torch.Tensor:
    """The binomial [1 4 6 4 1]/16 in both directions, with `dilation` pixels between taps. (C, h, w) float32."""
    channels = x.shape[0]
    taps = x.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    reach = 2 * dilation
    rows = F.pad(x[None], (reach, reach, 0, 0), mode="replicate")
    rows = F.conv2d(rows, taps.view(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels, dilation=(1, dilation))
    columns = F.pad(rows, (0, 0, reach, reach), mode="replicate")
    kernel = taps.view(1, 1, 5, 1).expand(channels, 1, 5, 1)
    return F.conv2d(columns, kernel, groups=channels, dilation=(dilation, 1))[0]


def halve(x: torch.Tensor) -> torch.Tensor:
    """Means of 2x2 pixels; an odd last row or column is repeated. (C, h, w) -> (C, ceil(h/2), ceil(w/2)) float32."""
    height, width = x.shape[-2:]
    if height % 2 or width % 2:
        x = F.pad(x[None], (0, width % 2, 0, height % 2), mode="replicate")[0]
    return F.avg_pool2d(x[None], 2)[0]


def double(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Brings what `halve` made back to `size`, bilinear, half-pixel centred. (C, h, w) -> (C, *size) float32."""
    return F.interpolate(x[None], scale_factor=2, mode="bilinear", align_corners=False)[0, :, : size[0], : size[1]]


def local_mean(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The weighted mean of `x` around each pixel, about 5 pixels of sigma. x (C, h, w), weight (1, h, w) float32."""
    size = (x.shape[1], x.shape[2])
    sums = halve(torch.cat([x * weight, weight]))
    sums = smooth(smooth(sums), 2)
    return double(sums[:-1] / (sums[-1:] + _TINY), size)


def broad_mean(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The weighted mean of `x` around each pixel; its sigma is a 12th to a 24th of the picture's shorter side.

    x (C, h, w), weight (1, h, w) float32, more than 0 somewhere around each pixel.
    """
    sums, sizes = torch.cat([x * weight, weight]), []
    while min(sums.shape[-2:]) > 2 * _BROAD_PX:
        sizes.append((sums.shape[1], sums.shape[2]))
        sums = halve(sums)
    sums = smooth(sums)
    mean = sums[:-1] / (sums[-1:] + _TINY)
    for size in reversed(sizes):
        mean = double(mean, size)
    return mean


def means(x: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of the pyramid at the same size: the normalised mean and the mean weight that it rests on."""
    sums = smooth(torch.cat([x * weight, weight]))
    return sums[:-1] / (sums[-1:] + _TINY), sums[-1:]


def levels_for(height: int, width: int) -> int:
    """Halvings until the shorter side is about four pixels, so that the coarsest mean reaches across the picture."""
    return max(1, (min(height, width) // 4).bit_length())
