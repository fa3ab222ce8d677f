"""What the codecs of both video models share: layouts, and kernels that answer the same pictures with the same bits."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

__all__ = ["as_codec", "as_latent", "as_video", "repeatable"]


def repeatable() -> AbstractContextManager[None]:
    """cuDNN without its benchmark, which may pick another convolution for the second of two equal calls."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)


def as_codec(frames: torch.Tensor, like: torch.nn.Module, device: torch.device) -> torch.Tensor:
    """(F, C, h, w) -> (1, C, F, h, w), on the device and in the precision of the codec's first weight."""
    return frames.to(device, next(like.parameters()).dtype).transpose(0, 1)[None]


def as_latent(coded: torch.Tensor) -> torch.Tensor:
    """(1, C, F, h, w) -> (F, C, h, w) float32."""
    return coded[0].transpose(0, 1).float().contiguous()


as_video = as_latent
