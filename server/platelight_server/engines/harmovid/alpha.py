"""HarmoVid's asymmetric mattes: binary on the way real -> synthetic, soft ("pseudo-alpha") on the way back. Pure.

The paper asks for a "smoothed boundary attenuation" without a formula; four are given here, each with its width stated.
With w the half-width in pixels and d the signed distance to the mask's edge (positive inside, the edge half-way between
pixel centres), along a straight edge:

    ramp     smoothstep(0.5 + d / 2w)   0 at d = -w, 0.5 on the edge, 1 at d = w          (the default)
    inward   smoothstep(d / w)          0 on the edge, 0.5 at d = w / 2, 1 at d = w: never outside the mask
    blur     the mask eroded by w / 2, under a Gaussian of sigma w / 2: 0.16 on the edge, 0.5 at d = w / 2
    guided   the mask fitted to the picture's own edges in windows of 2w + 1, within 2w of its edge: hair

A width is a share of the subject's size and holds for a whole clip, so that an edge does not breathe.
Mattes are (F, 1, h, w) float32, 0..1, on any device; answers lie where the matte does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import cv2
import numpy as np
import torch

from platelight_server.mattes.refine import guided_filter

__all__ = [
    "MAKERS", "SHARE", "Path", "binary", "blur", "composite", "guided", "inference_matte", "inward", "is_binary",
    "path_matte", "ramp", "signed_distance", "soft_width_px", "width_px",
]  # fmt: skip

Path = Literal["real-to-synthetic", "synthetic-to-real"]
Maker = Callable[[torch.Tensor, float, torch.Tensor | None], torch.Tensor]

SHARE = 0.006  # of the diagonal of the subject's box; 0.003 to 0.010 are sensible
NARROWEST_PX, WIDEST_PX = 2.0, 24.0
_CLEAR = 0.02  # alpha this near to 0 or 1 counts as that
# The steps of a binary outline, counted by sides of pixels, are 4 / pi longer than the outline, on the mean of angles.
_STAIRS = 4 / math.pi
# A mask that was scaled down has an edge of 1.1 (cubic, area) to 1.75 pixels (triangle), measured on a disc; the
# narrowest pseudo-alpha, of half-width 2, one of 3.6.
_BINARY_PX = 1.8
_FLAT = 1e-4  # of code values squared: patches flatter than this are averaged by the guided filter


def width_px(matte: torch.Tensor, share: float = SHARE) -> float:
    """The half-width for a clip: a share of the diagonal of the subject's box, the largest over the frames, clamped to
    2..24 pixels; the least where there is no subject."""
    diagonals = [0.0]
    for frame in matte[:, 0] > 0.5:
        rows, columns = frame.any(1).nonzero(), frame.any(0).nonzero()
        if len(rows):
            diagonals.append(math.hypot(float(rows[-1] - rows[0]) + 1, float(columns[-1] - columns[0]) + 1))
    return min(WIDEST_PX, max(NARROWEST_PX, share * max(diagonals)))


def binary(matte: torch.Tensor) -> torch.Tensor:
    """The matte cut at one half."""
    return (matte > 0.5).to(matte.dtype)


def signed_distance(matte: torch.Tensor) -> torch.Tensor:
    """Euclidean distance in pixels to the edge of `binary(matte)`, positive inside, at least 0.5 in size, exact.

    Frames without an edge are as far inside (or outside) as their picture is large.
    """
    return _each(_distance, matte)


def ramp(matte: torch.Tensor, width: float, picture: torch.Tensor | None = None) -> torch.Tensor:
    """A smooth ramp over the edge, `width` pixels to either side; see the module."""
    return _smoothstep(0.5 + signed_distance(matte) / (2 * width))


def inward(matte: torch.Tensor, width: float, picture: torch.Tensor | None = None) -> torch.Tensor:
    """Attenuates towards the edge from the inside alone; see the module."""
    return _smoothstep(signed_distance(matte) / width)


def blur(matte: torch.Tensor, width: float, picture: torch.Tensor | None = None) -> torch.Tensor:
    """Blurs the eroded mask; see the module."""
    eroded = (signed_distance(matte) > width / 2).float()
    return _each(lambda frame: _gaussian(frame, width / 2), eroded)


def guided(matte: torch.Tensor, width: float, picture: torch.Tensor | None = None) -> torch.Tensor:
    """Fits the mask to the edges of `picture` (F, 3, h, w) float32, codes -1..1, by a guided filter; see the module.

    Raises ValueError without a picture of the mattes' size.
    """
    if picture is None or picture.shape != (len(matte), 3, *matte.shape[-2:]):
        came = "none" if picture is None else f"{tuple(picture.shape)}"
        raise ValueError(f"guided: expected pictures of {(len(matte), 3, *matte.shape[-2:])}, got {came}")
    reach, distance, fitted = max(1, round(width)), signed_distance(matte), []
    for frame, seen in zip(binary(matte).cpu().numpy(), picture.cpu().numpy(), strict=True):
        found = guided_filter((seen.astype(np.float32) + 1) / 2, frame[0].astype(np.float32), reach, _FLAT)
        fitted.append(torch.from_numpy(np.clip(found, 0, 1))[None])
    return torch.where(distance.abs() <= 2 * width, torch.stack(fitted).to(matte), binary(matte))


MAKERS: Mapping[str, Maker] = {"ramp": ramp, "inward": inward, "blur": blur, "guided": guided}


def path_matte(
    path: Path,
    matte: torch.Tensor,
    maker: str = "ramp",
    width: float | None = None,
    picture: torch.Tensor | None = None,
) -> torch.Tensor:
    """The matte that training shows on a path: binary where real becomes synthetic, soft where synthetic becomes real.

    Real -> synthetic targets carry the edge faults of what painted them; so a soft matte comes to mean real edges.
    """
    if path == "real-to-synthetic":
        return binary(matte)
    return MAKERS[maker](matte, width_px(matte) if width is None else width, picture)


def soft_width_px(matte: torch.Tensor) -> float:
    """The mean width of the edge in pixels: the area of in-between alpha over the outline's length; 0 without any."""
    soft = float(((matte > _CLEAR) & (matte < 1 - _CLEAR)).sum())
    mask = matte > 0.5
    sides = float((mask[..., 1:] != mask[..., :-1]).sum() + (mask[..., 1:, :] != mask[..., :-1, :]).sum())
    return 0.0 if soft == 0 else soft / max(1.0, sides / _STAIRS)


def is_binary(matte: torch.Tensor) -> bool:
    """Whether a clip's matte has no soft edge of its own: a roto without feather, also after scaling down."""
    return soft_width_px(matte) < _BINARY_PX


def inference_matte(
    matte: torch.Tensor, made: str = "auto", width: float | None = None, picture: torch.Tensor | None = None
) -> torch.Tensor:
    """The matte that a trained network is shown: the artist's where it is soft, else one made from it.

    `made` is "auto" (a ramp where the matte is binary), "given" (as it is), or one of `MAKERS`, which then always makes
    one. Whether a matte is binary, and its width, is a matter of the clip: pass them fixed to hold for a whole shot.
    """
    if made == "given" or (made == "auto" and not is_binary(matte)):
        return matte
    maker = MAKERS["ramp" if made == "auto" else made]
    return maker(matte, width_px(matte) if width is None else width, picture)


def composite(foreground: torch.Tensor, matte: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """alpha * foreground + (1 - alpha) * background in linear light: exactly either where alpha is 1 or 0.

    foreground, background  (..., 3, h, w) float32, scene-linear, unpremultiplied, may be <0 and >1; encode the result
    """
    mixed = foreground * matte + background * (1 - matte)
    return torch.where(matte == 0, background, torch.where(matte == 1, foreground, mixed))


def _smoothstep(x: torch.Tensor) -> torch.Tensor:
    t = x.clamp(0, 1)
    return t * t * (3 - 2 * t)


def _each(work: Callable[[np.ndarray], np.ndarray], matte: torch.Tensor) -> torch.Tensor:
    """`work` on every frame (h, w) float32, in numpy."""
    made = [torch.from_numpy(work(frame)) for frame in matte[:, 0].float().cpu().numpy()]
    return torch.stack(made)[:, None].to(matte.device)


def _distance(frame: np.ndarray) -> np.ndarray:
    mask = (frame > 0.5).astype(np.uint8)
    if mask.all() or not mask.any():
        far = math.hypot(*frame.shape)
        return np.full(frame.shape, far if mask.any() else -far, np.float32)
    inside, outside = (cv2.distanceTransform(part, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for part in (mask, 1 - mask))
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def _gaussian(frame: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)
