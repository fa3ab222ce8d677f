"""Sampling a picture where a mapping asks, at its own resolution: bicubic, and over areas where the picture shrinks.

A pixel of the result covers some pixels of the source, more where the source is finer or seen at an angle. Up to two it
is the mean of 2x2 bicubic samples spread over what it covers; beyond, these are read from a pyramid of halved pictures
(trilinear, Williams 1983). Spread and level follow the mapping's own derivative and grow from nothing, so that nothing
switches from frame to frame.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

Array = np.ndarray
Mapping = Callable[[Array, Array], tuple[Array, Array]]

ROWS = 128  # of the result at a time: what a strip needs beside source and result stays under 100 MB at 8K
# A spread of less than this share of a pixel is none: one sample instead of four.
SPREAD_LEAST = 0.02


class Pyramid:
    """A picture (C, H, W) and its halves by area, float32, made once. Outside, edge pixels are repeated."""

    def __init__(self, pixels: Array) -> None:
        planes = np.ascontiguousarray(pixels, np.float32)
        self.height, self.width = planes.shape[-2:]
        self.levels = [torch.from_numpy(planes)]
        while min(planes.shape[-2:]) >= 4:
            half = ((planes.shape[-1] + 1) // 2, (planes.shape[-2] + 1) // 2)
            planes = np.stack([cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in planes])
            self.levels.append(torch.from_numpy(planes))

    def read(self, u: Array, v: Array, level: Array) -> torch.Tensor:
        """(C, h, w): the picture at pixels u, v (h, w) of the finest level, between pyramid levels `level` >= 0."""
        level = np.clip(level, 0, len(self.levels) - 1)
        made: torch.Tensor | None = None
        for number in range(int(level.min()), int(np.ceil(level.max())) + 1):
            share = np.maximum(1 - np.abs(level - number), 0).astype(np.float32)
            if share.any():
                part = self._bicubic(number, u, v) * torch.from_numpy(share)
                made = part if made is None else made.add_(part)
        assert made is not None
        return made

    def _bicubic(self, number: int, u: Array, v: Array) -> torch.Tensor:
        # Pixels of every level lie in the same -1..1. OpenCV's remap would round positions to 1/32 of a pixel.
        grid = np.stack([u * (2 / self.width) - 1, v * (2 / self.height) - 1], -1).astype(np.float32)
        np.clip(grid, -3, 3, out=grid)
        return functional.grid_sample(
            self.levels[number][None], torch.from_numpy(grid)[None], "bicubic", "border", align_corners=False
        )[0]


def resampled(source: Pyramid, height: int, width: int, at: Mapping, step: int = 1) -> Array:
    """The source as a mapping shows it.

    at       pixel positions x, y (h, w) float64 of the result -> positions in the source, pixels from its corner
    step     a mapping that is dear to ask is asked at every `step`th pixel, and is linear between them
    returns  (C, height, width) float32, as linear as the source, not clamped (bicubic may overshoot)
    """
    made = np.empty((source.levels[0].shape[0], height, width), np.float32)
    for top in range(0, height, ROWS):
        bottom = min(top + ROWS, height)
        made[:, top:bottom] = _strip(source, *_positions(at, top, bottom, width, step))
    return made


def _positions(at: Mapping, top: int, bottom: int, width: int, step: int) -> tuple[Array, Array]:
    """Where a strip's pixels look, and those around it, for derivatives: (bottom - top + 2, width + 2) each."""
    rows, columns = bottom - top + 2, width + 2
    x, y = np.meshgrid(
        np.arange(-(-(columns - 1) // step) + 1) * step - 0.5, np.arange(-(-(rows - 1) // step) + 1) * step + top - 0.5
    )
    u, v = at(x, y)
    if step == 1:
        return u, v
    size = ((x.shape[0] - 1) * step + 1, (x.shape[1] - 1) * step + 1)
    knots = torch.from_numpy(np.stack([u, v]))[None]
    whole = functional.interpolate(knots, size, mode="bilinear", align_corners=True)[0].numpy()
    return whole[0, :rows, :columns], whole[1, :rows, :columns]


def _strip(source: Pyramid, u: Array, v: Array) -> Array:
    """(C, h, w): samples of the inner positions of (h + 2, w + 2)."""
    across = ((u[1:-1, 2:] - u[1:-1, :-2]) / 2, (v[1:-1, 2:] - v[1:-1, :-2]) / 2)
    down = ((u[2:, 1:-1] - u[:-2, 1:-1]) / 2, (v[2:, 1:-1] - v[:-2, 1:-1]) / 2)
    u, v = u[1:-1, 1:-1], v[1:-1, 1:-1]
    wide, high = np.hypot(*across), np.hypot(*down)
    spread = [np.clip(2 * (size - 1), 0, 1) / 4 for size in (wide, high)]
    if max(float(one.max()) for one in spread) < SPREAD_LEAST:
        return np.asarray(source.read(u, v, np.zeros_like(u)).numpy())
    level = np.maximum(np.log2(np.maximum(np.maximum(wide, high) / 2, 1e-9)), 0)
    made: torch.Tensor | None = None
    for right in (-1, 1):
        for below in (-1, 1):
            off_u = right * spread[0] * across[0] + below * spread[1] * down[0]
            off_v = right * spread[0] * across[1] + below * spread[1] * down[1]
            part = source.read(u + off_u, v + off_v, level)
            made = part if made is None else made.add_(part)
    assert made is not None
    return np.asarray((made / 4).numpy())
