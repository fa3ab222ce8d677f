"""Which frame the others look at: the one with most of the subject in it. `cuts` says where a shot is several."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from platelight_server.deflicker.cuts import cuts
from platelight_server.engines.light.frames import has_subject

__all__ = ["choose_anchor", "cuts"]


def choose_anchor(mattes: Sequence[torch.Tensor]) -> int | None:
    """The candidate in which the subject is largest: index into mattes (1, h, w), 0..1, the first of equals.

    So a subject that enters late or is turned small at the beginning is anchored where there is most of it. None where
    all mattes are empty: then there is nothing to relight. Not in the paper, which takes the first frame.
    """
    areas = [float(matte.double().mean()) if has_subject(matte) else 0.0 for matte in mattes]
    largest = max(areas, default=0.0)
    return areas.index(largest) if largest > 0 else None
