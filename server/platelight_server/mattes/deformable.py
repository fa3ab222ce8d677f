"""Deformable convolution (Zhu et al. 2019, "Deformable ConvNets v2", eq. 1) on torch alone, one tap at a time."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["DeformableConv2d"]


class DeformableConv2d(nn.Module):
    """A convolution of stride 1 whose taps are moved and weighted as two other convolutions say."""

    def __init__(self, channels_in: int, channels_out: int, side: int) -> None:
        super().__init__()
        taps, padding = side * side, side // 2
        self.offset_conv = nn.Conv2d(channels_in, 2 * taps, side, padding=padding)
        self.modulator_conv = nn.Conv2d(channels_in, taps, side, padding=padding)
        self.regular_conv = nn.Conv2d(channels_in, channels_out, side, padding=padding, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels_in, h, w) -> (B, channels_out, h, w). Beyond the picture there is 0."""
        return deformed(x, self.offset_conv(x), 2 * self.modulator_conv(x).sigmoid(), self.regular_conv.weight)


def deformed(x: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """The convolution of `x` with `kernel` (out, in, k, k), taps moved by `offsets` (B, 2kk, h, w; y before x).

    Memory is that of one tap's pictures, not of all k·k of them.
    """
    height, width = x.shape[-2:]
    side = kernel.shape[-1]
    rows = torch.arange(height, device=x.device, dtype=x.dtype)[:, None]
    columns = torch.arange(width, device=x.device, dtype=x.dtype)[None]
    total = x.new_zeros(x.shape[0], kernel.shape[0], height, width)
    for tap in range(side * side):
        down, across = tap // side - side // 2, tap % side - side // 2
        at_y = rows + down + offsets[:, 2 * tap]
        at_x = columns + across + offsets[:, 2 * tap + 1]
        grid = torch.stack([_normed(at_x, width), _normed(at_y, height)], -1)
        moved = nn.functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        total += nn.functional.conv2d(
            moved * weights[:, tap : tap + 1], kernel[:, :, down + side // 2, across + side // 2, None, None]
        )
    return total


def _normed(at: torch.Tensor, count: int) -> torch.Tensor:
    return (2 * at + 1) / count - 1
