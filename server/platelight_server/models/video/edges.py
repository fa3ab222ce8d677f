"""Edges of a clip for the edge ControlNet: HED where its weights are, and two detectors that need none.

Which clip they are taken of, the plate (the paper) or the relit video (its released code), is the caller's choice.

    video    (F, 3, h, w) float32, model code values, -1..1
    edges    (F, 1, h, w) float32, -1 no edge to 1, as `EdgeControl.branch` takes them
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from platelight_server.models.video.hed import HED

__all__ = ["canny_edges", "hed_edges", "soft_edges"]

_SCALES = (0.5, 1.0, 2.0, 4.0)  # sigmas in pixels at 480 lines
_STRONG = 0.995  # the share of a clip's gradients below which its soft edges do not saturate


@torch.no_grad()
def hed_edges(network: HED, video: torch.Tensor) -> torch.Tensor:
    """HED's soft edges, frame by frame, at the video's own size."""
    first = next(network.parameters())
    return torch.cat([2 * network(frame[None].to(first)).cpu() - 1 for frame in _bytes(video)])


def canny_edges(video: torch.Tensor, low: float = 100, high: float = 200) -> torch.Tensor:
    """Canny's binary edges at the thresholds that the published Canny checkpoint was trained with (of 0..255)."""
    pictures = _bytes(video).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    found = np.stack([cv2.Canny(picture, low, high) for picture in pictures])
    return torch.from_numpy(found)[:, None].float() / 127.5 - 1


def soft_edges(video: torch.Tensor) -> torch.Tensor:
    """Soft edges without weights: the strongest gradient over four scales, scaled alike for the whole clip.

    One scale per clip, since one per frame would make the edges flicker with the picture's content.
    """
    scale = video.shape[-2] / 480
    pictures = _bytes(video).permute(0, 2, 3, 1).contiguous().numpy()
    found = torch.from_numpy(np.stack([_gradient(picture, scale) for picture in pictures]))
    strong = torch.quantile(found.flatten()[:: max(1, found.numel() // 1_000_000)], _STRONG).clamp_min(1.0)
    return 2 * (found / strong).clamp(0, 1)[:, None] - 1


def _gradient(picture: np.ndarray, scale: float) -> np.ndarray:
    """The gradient of (h, w, 3), 0..255, times its scale: the largest over scales and channels, (h, w) float32."""
    strengths = []
    for sigma in (number * scale for number in _SCALES):
        smooth = cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.1), borderType=cv2.BORDER_REPLICATE)
        across = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
        down = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
        strengths.append(max(sigma, 0.5) * np.hypot(across, down).max(axis=-1))
    largest: np.ndarray = np.max(strengths, axis=0)
    return largest


def _bytes(video: torch.Tensor) -> torch.Tensor:
    """Code values -1..1 -> 0..255, float32 on the CPU, limited: detectors know no other values."""
    return ((video.float().cpu() + 1) * 127.5).clamp(0, 255)
