"""One policy for frame counts that a model does not take: the last frame is repeated, and what is too much is cut off
after decoding. Nothing is looped, nothing resampled."""

from __future__ import annotations

import torch

from platelight_server.models.video.interface import BackboneFacts

__all__ = ["pad_frames", "require_fit"]


def pad_frames(frames: torch.Tensor, facts: BackboneFacts) -> torch.Tensor:
    """`frames` (F, ...) with its last frame repeated up to the model's next valid count; itself where that is F.

    `decoded[:F]` takes them off again. Raises ValueError for no frames or more than the model takes at once.
    """
    missing = facts.frames_for(len(frames)) - len(frames)
    return frames if missing == 0 else torch.cat([frames, frames[-1:].expand(missing, *frames.shape[1:])])


def require_fit(video: torch.Tensor, facts: BackboneFacts) -> None:
    """Raises ValueError where `video` is not (F, 3, h, w) of a frame count and size that the model's codec takes."""
    multiple = facts.size_multiple
    if video.ndim != 4 or video.shape[1] != 3 or video.shape[2] % multiple or video.shape[3] % multiple:
        expected = f"expected (F, 3, h, w) with h and w multiples of {multiple}"
        raise ValueError(f"{facts.name}: {expected}, got {tuple(video.shape)}")
    if facts.frames_for(len(video)) != len(video):
        expected = f"expected {facts.frame_step}n + 1 frames (pad_frames makes them)"
        raise ValueError(f"{facts.name}: {expected}, got {len(video)}")
