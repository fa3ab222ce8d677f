"""What the codecs of both video models share: layouts, and kernels that answer the same pictures with the same bits.

A codec of diffusers works through a video in batches of frames, with a causal cache between them; `batchwise` lets the
device hold no more of the pictures than the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from diffusers import AutoencoderKLCogVideoX

__all__ = ["as_codec", "as_latent", "as_video", "batchwise", "repeatable"]


def repeatable() -> AbstractContextManager[None]:
    """cuDNN without its benchmark, which may pick another convolution for the second of two equal calls."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)


def as_codec(frames: torch.Tensor, like: torch.nn.Module, device: torch.device) -> torch.Tensor:
    """(F, C, h, w) -> (1, C, F, h, w), on the device and in the precision of the codec's first weight."""
    return frames.to(device, next(like.parameters()).dtype).transpose(0, 1)[None]


def as_latent(coded: torch.Tensor) -> torch.Tensor:
    """(1, C, F, h, w) -> (F, C, h, w) float32, in one copy: a video's may be gigabytes."""
    return coded[0].transpose(0, 1).to(torch.float32, memory_format=torch.contiguous_format).contiguous()


as_video = as_latent


@contextmanager
def batchwise(vae: AutoencoderKLCogVideoX, device: torch.device, pictures: torch.device) -> Iterator[None]:
    """While this lasts, `vae` takes videos from anywhere and leaves what it decodes on the device `pictures`.

    Its networks are on `device`, and a batch of at most nine frames comes there for each of their calls. Bits are those
    of a video that is there as a whole.
    """
    dtype = next(vae.parameters()).dtype

    def brought(_: torch.nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return given[0].to(device, dtype), *given[1:]

    def taken(_: torch.nn.Module, given: tuple[Any, ...], answer: tuple[Any, ...]) -> tuple[Any, ...]:
        return answer[0].to(pictures), *answer[1:]

    handles = vae.encoder.register_forward_pre_hook(brought), vae.decoder.register_forward_hook(taken)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
