"""A clip with cuts in it: its parts, each through the network by itself, and how they join to the clip before. Pure.

Latents of a shot lie on one grid, whatever is cut where: a part that begins off the grid is shown its first frame more
than once. So the latents of overlapping clips hold the same frames, and can cross over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from platelight_server.engines.harmovid.extent import GROUP
from platelight_server.engines.windows import cross_fade

__all__ = ["Part", "joined", "parts"]


@dataclass(frozen=True)
class Part:
    """Frames of a clip from one cut to the next; `places` are theirs in the shot."""

    places: range

    @property
    def ahead(self) -> int:
        """How many copies of its first frame go before it."""
        return self.places.start % GROUP

    @property
    def first_slot(self) -> int:
        """The number of its first latent in the whole shot."""
        return self.places.start // GROUP


def parts(clip: range, cuts: Sequence[int]) -> tuple[Part, ...]:
    """The parts of a clip with the places `clip`, whose `cuts` are counted from its beginning."""
    borders = (clip.start, *(clip.start + cut for cut in cuts), clip.stop)
    return tuple(Part(range(first, stop)) for first, stop in pairwise(borders))


def joined(
    before: torch.Tensor, earlier: Part, own: torch.Tensor, part: Part, overlap: int, lead: int = 0
) -> torch.Tensor:
    """The latents `own` of a clip's first part, led over from those of the part `earlier` of the clip before, which
    holds the same take: no farther than both hold the same frames.

    before, own  (F', C, h', w') float32; `overlap` frames after own's first lead over; `lead` see BackboneFacts
    """
    fade, shift = overlap // GROUP, part.first_slot - earlier.first_slot
    shared = min(earlier.places.stop, part.places.stop) - part.places.start - 1  # frames after own's first
    if earlier.places.stop == part.places.stop:
        reach = -(-shared // GROUP)  # both end with the take, in a latent that is filled up alike
    else:
        reach = shared // GROUP
        fade = min(fade, reach)
    return cross_fade(before[: lead + shift + 1 + reach], own, shift, fade, lead)
