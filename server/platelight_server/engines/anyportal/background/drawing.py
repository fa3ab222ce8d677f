"""The tracking video of Diffusion as Shader: a small square per point, in the colour of where it was first. Pure.

Red is x / width, green y / height, blue 1 / z between its 2nd and 98th percentile, all of the first frame (paper,
Sec. 3.1); black where there is no point; nearer over farther. Squares are drawn with the share of each pixel that they
cover, so that their middle is the projection itself; `snapped` draws whole pixels as the authors' code does, which
moves a point by up to one.
"""

from __future__ import annotations

import numpy as np
import torch

from .tracks import Tracks

__all__ = ["colors_of", "tracking_video"]

SIDE = 5  # pixels, at the published 480 lines
LINES = 480

Array = np.ndarray


def tracking_video(
    tracks: Tracks, height: int, width: int, *, entering: bool = False, snapped: bool = False, side: int | None = None
) -> torch.Tensor:
    """-> (F, 3, height, width) float32, 0..1.

    `entering` also draws points that the first frame does not show, in the colour of the first frame that does: a
    position in that frame, which the model was not trained on but reads alike. Without it they are left out, as
    published. `side` is a square's in pixels, an odd number; default 5 at 480 lines, in proportion.
    """
    size = side if side is not None else max(1, 2 * round((SIDE * height / LINES - 1) / 2) + 1)
    drawn, colors = colors_of(tracks, height, width, entering)
    made = np.zeros((len(tracks.xy), height, width, 3), np.float32)
    for frame, picture in enumerate(made):
        here = np.flatnonzero(drawn & tracks.shown[frame])
        # Far to near; of equals the first drawn stays first, so that nothing depends on chance.
        order = here[np.argsort(tracks.nearness[frame, here], kind="stable")]
        _draw(picture, tracks.xy[frame, order], colors[order], size, snapped)
    return torch.from_numpy(made).permute(0, 3, 1, 2).contiguous()


def colors_of(tracks: Tracks, height: int, width: int, entering: bool = False) -> tuple[Array, Array]:
    """Which points are drawn at all (N,), and their colours (N, 3) float32, 0..1."""
    inside = np.asarray(tracks.shown & (tracks.xy >= 0).all(-1) & (tracks.xy < (width, height)).all(-1))
    first = inside.argmax(0) if entering else np.zeros(inside.shape[1], int)
    drawn = np.asarray(inside.any(0) if entering else inside[0])
    points = np.arange(inside.shape[1])
    seen = inside[0] if inside[0].any() else drawn
    low, high = np.percentile(tracks.nearness[first, points][seen], (2, 98)) if seen.any() else (0.0, 1.0)
    near = (tracks.nearness[first, points] - low) / (high - low) if high - low > 1e-10 else np.zeros(len(points))
    place = tracks.xy[first, points] / (width, height)
    return drawn, np.clip(np.stack([place[:, 0], place[:, 1], near], 1), 0, 1).astype(np.float32)


def _draw(picture: Array, xy: Array, colors: Array, side: int, snapped: bool) -> None:
    """Lays squares over `picture` (h, w, 3), the last one on top, each with the share of a pixel that it covers."""
    height, width = picture.shape[:2]
    middle = np.floor(xy) + 0.5 if snapped else xy
    corner = np.floor(middle - side / 2)
    steps = np.arange(side + 1)
    cells = corner[:, None, :] + steps[None, :, None]  # (N, side + 1, 2)
    low, high = middle[:, None] - side / 2, middle[:, None] + side / 2
    shares = np.clip(np.minimum(cells + 1, high) - np.maximum(cells, low), 0, 1)
    columns, rows = np.broadcast_arrays(cells[:, None, :, 0], cells[:, :, None, 1])
    share = shares[:, :, None, 1] * shares[:, None, :, 0]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height) & (share > 0)
    pixel = (rows * width + columns)[inside].astype(np.int64)
    square = np.broadcast_to(np.arange(len(xy))[:, None, None], inside.shape)[inside]
    share = share[inside].astype(np.float32)
    # Fragments of one pixel lie together, from far to near; those of equal depth in the stack touch no pixel twice.
    order = np.lexsort((square, pixel))
    pixel, square, share = pixel[order], square[order], share[order]
    starts = np.flatnonzero(np.r_[True, pixel[1:] != pixel[:-1]]) if len(pixel) else np.zeros(0, int)
    counts = np.diff(np.r_[starts, len(pixel)])
    flat = picture.reshape(-1, 3)
    for layer in range(int(counts.max(initial=0))):
        at = (starts + layer)[counts > layer]
        part = share[at, None]
        flat[pixel[at]] = flat[pixel[at]] * (1 - part) + colors[square[at]] * part
