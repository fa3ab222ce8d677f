"""A clip's frames steadied one after the other, with no more than the frames around held."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from platelight_server.deflicker import pictures
from platelight_server.deflicker.steady import DEFAULT_RADIUS, Seen, Steadier

Array = np.ndarray


def steadied_frames(
    sources: Iterable[Array],
    relit: Iterable[Array],
    mattes: Iterable[Array],
    radius: int = DEFAULT_RADIUS,
    strength: float = 1.0,
    detail: float = 0.0,
    lines: int = pictures.DEFAULT_LINES,
) -> Iterator[Array]:
    """Each frame of `relit` steadied, (3, H, W) float32. What is given and held: see `pictures.look`."""
    steadier = Steadier(radius)
    held: deque[tuple[Array, Array, Array, Seen]] = deque()
    done = 0
    for number, three in enumerate(zip(sources, relit, mattes, strict=True)):
        held.append((*three, pictures.look(number, *three, lines)))
        if number >= radius:
            yield _frame(steadier, held, done, strength, detail)
            done += 1
            while held[0][3].frame < done - radius:
                held.popleft()
    while held and done <= held[-1][3].frame:
        yield _frame(steadier, held, done, strength, detail)
        done += 1
        while held[0][3].frame < done - radius:
            held.popleft()


def _frame(
    steadier: Steadier,
    held: deque[tuple[Array, Array, Array, Seen]],
    frame: int,
    strength: float,
    detail: float,
) -> Array:
    window = [one[3] for one in held]
    at = frame - window[0].frame
    source, relit, matte, seen = held[at]
    return pictures.steadied(source, relit, matte, seen, steadier.correction(window, at), strength, detail)
