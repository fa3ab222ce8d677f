"""Noise that is a function of what it is for, so that no batch, chunk, window or device changes it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch

__all__ = ["keyed_noise"]


def keyed_noise(shape: Sequence[int], *key: int | str) -> torch.Tensor:
    """Standard normal float32 of `shape`, on the CPU. Equal keys (seed, purpose, slot, step) give equal noise."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
    return torch.randn(*shape, generator=generator)
