"""Foreground and background colours at soft edges, so that plate = a·F + (1 − a)·B.

Owns `split_edges`: a pixel of a soft edge shows both, and what is carried onto another background must be F alone.
After Forte, "Approximate Fast Foreground Colour Estimation" (ICIP 2021): a wide normalised mean of either side, then a
narrow one, and the plate's residual divided between the two. The wide mean is a push-pull pyramid on every fourth
pixel; the narrow one runs only on tiles that hold soft matte, so a sharp 4K matte costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from platelight_server.finish.pyramid import double, halve, levels_for

TILE = 64
_STRIDE = 4
_MARGIN = 8
# Tiles handled at once: 96 tiles of 80x80 hold about 30 MB in flight.
_BATCH = 96
# Matte below and above which a pixel shows one side alone.
_PURE = 0.02


@dataclass(frozen=True)
class SoftEdges:
    """What is known where the matte is soft, and around it.

    rows, columns     (n,) first row and column of each tile that holds soft matte
    foreground        (n, 3, TILE, TILE) float32, scene-linear, unpremultiplied F; the plate where the matte is 1
    background        (n, 3, TILE, TILE) float32, scene-linear, B; the plate where the matte is 0
    wide_background   (3, h, w) float32, the background guessed behind the foreground, every fourth pixel
    """

    rows: list[int]
    columns: list[int]
    foreground: torch.Tensor
    background: torch.Tensor
    wide_background: torch.Tensor

    def tiles(self, first: int, end: int) -> list[int]:
        """Which tiles begin in the rows first..end."""
        return [i for i, row in enumerate(self.rows) if first <= row < end]


def split_edges(plate: torch.Tensor, matte: torch.Tensor) -> SoftEdges:
    """Estimates F and B wherever 0 < matte < 1.

    plate  (3, H, W) float, scene-linear, working primaries, may be <0 and >1
    matte  (1, H, W) float, 0..1
    In every tile plate = matte·F + (1 − matte)·B to float32 rounding. A binary matte gives no tiles.
    """
    wide = _wide_colours(plate[:, 1::_STRIDE, 1::_STRIDE].float(), matte[:, 1::_STRIDE, 1::_STRIDE].float())
    rows, columns = _soft_tiles(matte)
    batches = [
        _narrow_colours(plate, matte, wide, rows[i : i + _BATCH], columns[i : i + _BATCH])
        for i in range(0, len(rows), _BATCH)
    ]
    empty = torch.zeros(0, 3, TILE, TILE, device=plate.device)
    foreground = torch.cat([f for f, _ in batches]) if batches else empty
    background = torch.cat([b for _, b in batches]) if batches else empty
    return SoftEdges(rows, columns, foreground, background, wide[3:])


def _soft_tiles(matte: torch.Tensor) -> tuple[list[int], list[int]]:
    height, width = matte.shape[-2:]
    soft = ((matte > 0) & (matte < 1)).to(torch.uint8)
    soft = F.pad(soft, (0, -width % TILE, 0, -height % TILE))
    held = soft.view(soft.shape[-2] // TILE, TILE, -1, TILE).amax(dim=(1, 3))
    found = held.nonzero() * TILE
    return found[:, 0].tolist(), found[:, 1].tolist()


def _wide_colours(plate: torch.Tensor, matte: torch.Tensor) -> torch.Tensor:
    """(6, h, w): F and B carried from where they are pure to everywhere, nearest surroundings first (push-pull)."""
    plate = torch.nan_to_num(plate, nan=0.0, posinf=65504.0, neginf=-65504.0)
    near_one, near_zero = (matte - (1 - _PURE)).clamp_min(0) / _PURE, (_PURE - matte).clamp_min(0) / _PURE
    weights = torch.cat([near_one.expand(3, -1, -1), near_zero.expand(3, -1, -1)]) + 1e-6 * torch.cat(
        [matte.expand(3, -1, -1), (1 - matte).expand(3, -1, -1)]
    )
    sums = [torch.cat([plate.repeat(2, 1, 1) * weights, weights])]
    for _ in range(levels_for(matte.shape[1], matte.shape[2]) + 1):
        sums.append(halve(sums[-1]))
    colours = sums[-1][:6] / sums[-1][6:].clamp_min(1e-12)
    for level in reversed(sums[:-1]):
        coarse = double(colours, (level.shape[1], level.shape[2]))
        # The coarser colour stands in with a small weight: it rules only where nothing pure is near.
        colours = (level[:6] + 1e-2 * coarse) / (level[6:] + 1e-2)
    return colours


def _narrow_colours(
    plate: torch.Tensor, matte: torch.Tensor, wide: torch.Tensor, rows: list[int], columns: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """F and B of these tiles, each (n, 3, TILE, TILE)."""
    size = TILE + 2 * _MARGIN
    reach = torch.arange(size, device=plate.device) - _MARGIN
    y = (torch.tensor(rows, device=plate.device)[:, None] + reach).clamp(0, plate.shape[1] - 1)
    x = (torch.tensor(columns, device=plate.device)[:, None] + reach).clamp(0, plate.shape[2] - 1)
    image = _gather(plate, y, x).float()
    alpha = _gather(matte, y, x).float()
    coarse = _gather(wide, (y // _STRIDE).clamp_max(wide.shape[1] - 1), (x // _STRIDE).clamp_max(wide.shape[2] - 1))
    image = torch.nan_to_num(image, nan=0.0, posinf=65504.0, neginf=-65504.0)
    foreground = _near(image, alpha, coarse[:, :3])
    background = _near(image, 1 - alpha, coarse[:, 3:])
    inner = (..., slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
    return _share_residual(image[inner], alpha[inner], foreground[inner], background[inner])


def _gather(x: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return x[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1)


def _near(image: torch.Tensor, share: torch.Tensor, wide: torch.Tensor) -> torch.Tensor:
    """The mean of what is nearly pure within a few pixels, leaning on the wide colour elsewhere. (n, 3, s, s)."""
    weight = share.square().square().square()
    sums = F.avg_pool2d(torch.cat([image * weight, weight], 1), 2)
    for kernel, reach in (((1, 3), (0, 1)), ((3, 1), (1, 0))) * 2:
        sums = F.avg_pool2d(sums, kernel, 1, reach)
    sums = F.interpolate(sums, scale_factor=2, mode="bilinear", align_corners=False)
    return (sums[:, :3] + 1e-2 * wide) / (sums[:, 3:] + 1e-2)


def _share_residual(
    image: torch.Tensor, alpha: torch.Tensor, foreground: torch.Tensor, background: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Moves F and B by the least squares step that makes a·F + (1 − a)·B the plate; exact where the matte is 0 or 1.

    F stays at or above zero where the plate does: light taken off the edge would show as a dark line.
    """
    other = 1 - alpha
    residual = (image - alpha * foreground - other * background) / (alpha**2 + other**2)
    fore = foreground + alpha * residual
    fore = torch.where(image >= 0, fore.clamp_min(0), fore)
    # Close to the opaque side B would be rounding noise times a thousand, and nobody sees it: there F takes the rest.
    opaque = other < 1e-3
    fore = torch.where(opaque, (image - other * background) / alpha.clamp_min(0.5), fore)
    fore = torch.where(alpha >= 1, image, fore)
    back = torch.where(opaque, background, (image - alpha * fore) / other.clamp_min(1e-3))
    return fore, torch.where(alpha <= 0, image, back)
