"""An engine that is bad company: it changes nothing, and holds Python's lock for 0.3 s at a time, as some C code does.

Loaded by `platelight bench server` alone, through `serve --engine-module`.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence

import torch

from ..engines.interface import Answer, Capabilities, Engine, FrameInputs, LightChange, Notes, Shot
from ..engines.registry import register

NAME = "bench_selfish"
HELD_S = 0.3


class SelfishEngine(Engine):
    """Changes nothing, slowly, and lets no other thread of its process run meanwhile."""

    capabilities = Capabilities(NAME, "for the bench of the server", ("keep", "still", "sequence"), 64, 1)

    def prepare(self, shot: Shot) -> Notes:
        return Notes()

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        for seen in window:
            if seen.frame in answered:
                _hold(HELD_S)
                blank = torch.zeros_like(seen.plate)
                yield Answer(seen.frame, LightChange(blank, blank, torch.ones_like(seen.matte)))


def _hold(seconds: float) -> None:
    """C code that does not release the lock; `PyDLL` calls with it held."""
    try:
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    except (AttributeError, TypeError, OSError):  # Windows
        time.sleep(seconds)


register(NAME, __name__, SelfishEngine.__name__)
