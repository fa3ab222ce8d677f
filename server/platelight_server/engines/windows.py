"""How a shot of any length is cut into the windows a video model sees, and how their latents join. Pure.

Window k sees `length` frames from `starts[k]` on and answers from the frame after its start to the next window's start
(the first answers its first frame too). A video codec packs frames in groups after the first frame: starts are whole
groups apart, so that groups of neighbours cover the same frames, and no answered frame comes from a later window's
first latent, which holds one frame alone. Latents cross over during the first `overlap` frames of each window. A window
needs its own frames and those of the one before: cost and dependence are bounded, and a farm's chunks give the same
pixels as the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from platelight_server.plan import Window

__all__ = ["Cut", "cross_fade", "cut"]


@dataclass(frozen=True)
class Cut:
    """A shot of `count` frames cut up: `starts` are positions in the shot, each window holds up to `length` frames."""

    count: int
    length: int
    overlap: int
    group: int
    starts: tuple[int, ...]

    def seen(self, index: int) -> range:
        """Positions that window `index` sees."""
        return range(self.starts[index], min(self.starts[index] + self.length, self.count))

    def answered(self, index: int) -> range:
        """Positions that window `index` answers."""
        first = 0 if index == 0 else self.starts[index] + 1
        last = self.count if index + 1 == len(self.starts) else self.starts[index + 1] + 1
        return range(first, last)

    def index_of(self, position: int) -> int:
        """The window that answers a position."""
        return next(i for i in range(len(self.starts)) if position in self.answered(i))

    def first_slot(self, index: int) -> int:
        """The number, in latents of the whole shot, of a window's first latent: what its noise is keyed by."""
        return self.starts[index] // self.group

    def windows(self, frames: Sequence[int]) -> tuple[Window, ...]:
        """The windows as a job plans them; `frames` are the shot's frame numbers, in order."""
        found = []
        for index in range(len(self.starts)):
            needed = range(self.starts[max(0, index - 1)], self.seen(index).stop)
            answered = tuple(frames[i] for i in self.answered(index))
            found.append(Window(index, answered, tuple(frames[i] for i in needed)))
        return tuple(found)


def cut(count: int, length: int, overlap: int, group: int) -> Cut:
    """Cuts `count` frames into windows of `length` with `overlap`; the last one is moved back so that it is full.

    `length` is 1 + a multiple of `group`, `overlap` a multiple of it. Raises ValueError.
    """
    if count < 1 or (length - 1) % group or overlap % group or not group <= overlap <= (length - 1) // 2:
        raise ValueError(
            f"windows: expected 1 + a multiple of {group} frames and an overlap of a multiple of {group} up to half of"
            f" it, got {length} and {overlap} for {count} frames"
        )
    stride = length - 1 - overlap
    starts = [0]
    while starts[-1] + length < count:
        starts.append(min(starts[-1] + stride, -(-(count - length) // group) * group))
    return Cut(count, length, overlap, group, tuple(starts))


def cross_fade(before: torch.Tensor, own: torch.Tensor, shift: int, fade: int, lead: int = 0) -> torch.Tensor:
    """A window's latents, led over from those of the window before.

    before, own  (F', C, h', w') float32; `shift` latents lie between their starts, the first `fade` latents after
                 own's first lead over linearly; `lead` latents stand before the first (see BackboneFacts)
    returns      (F', C, h', w'), own's size; its first latent is its own
    """
    joined = own.clone()
    for j in range(1, min(fade, before.shape[0] - lead - shift - 1, own.shape[0] - lead - 1) + 1):
        share = (j - 0.5) / fade
        joined[lead + j] = torch.lerp(before[lead + shift + j], own[lead + j], share)
    return joined
