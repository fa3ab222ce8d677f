"""A source and its relit picture as a change of light, and the steadied picture back: at plate size, in linear light.

L = log2(relit + e) - log2(source + e). The result is (source + e) * 2^(L steadied) - e, with L carried up along the
source's edges from the size that light is steadied at: finer detail is the source's, and what flickers there is gone.
In the soft edge of a matte, where the two pictures show different backgrounds, it is the relit picture times the
correction.
"""

from __future__ import annotations

import numpy as np

from platelight_server.deflicker.smoothing import fit_lines
from platelight_server.deflicker.steady import Seen
from platelight_server.plates.geometry import resize

Array = np.ndarray

# Light added on both sides of every ratio: grain in the black is no change of light.
FLOOR = 2e-3
DEFAULT_LINES = 540
# Pixels at that size over which light is carried up along edges, and the contrast (stops) that counts as an edge.
_REACH_PX, _EDGE_STOPS = 1.0, 0.1


def look(
    frame: int, source: Array, relit: Array, matte: Array, lines: int = DEFAULT_LINES, to_last: Array | None = None
) -> Seen:
    """A frame at the size that light is steadied at, at most `lines` lines.

    source, relit  (3, H, W) float32, scene-linear, the same primaries, may be <0, >1, NaN and Inf: these say nothing
    matte          (1, H, W) float32, 0..1
    to_last        (2, H, W) float32 pixels of the full picture, right and down, to the frame before
    """
    height, width = source.shape[1:]
    size = _size(height, width, lines)
    sound = (np.isfinite(source) & np.isfinite(relit)).all(0, keepdims=True)
    source, relit = (resize(np.where(sound, x, np.float32(0)), *size) for x in (source, relit))
    weight = resize(solid(matte) * sound, *size)[0]
    stops = _stops(source)
    vectors = None
    if to_last is not None:
        scale = np.array([size[1] / width, size[0] / height], np.float32)
        vectors = _planes_last(resize(np.nan_to_num(to_last), *size)) * scale
    return Seen(frame, _planes_last(stops), _planes_last(_stops(relit) - stops), np.clip(weight, 0, 1), vectors)


def steadied(
    source: Array, relit: Array, matte: Array, seen: Seen, correction: Array, strength: float = 1.0, detail: float = 0.0
) -> Array:
    """The relit picture with its flicker taken off, (3, H, W) float32; outside the matte it is `relit` bit for bit.

    correction  of `seen`, see `Steadier.correction`
    strength    0 gives back `relit`, 1 takes all flicker off
    detail      whose detail finer than the size of `seen`: 0 the source's, 1 the relit picture's own
    """
    if strength == 0 or not matte.any():
        return relit
    known = np.isfinite(source).all(0, keepdims=True) & np.isfinite(relit).all(0, keepdims=True)
    clean_source, clean_relit = (np.where(known, x, 0).astype(np.float32) for x in (source, relit))
    guide = _planes_last(_stops(clean_source))
    flicker = np.moveaxis(_at_size(correction, seen, _planes_last(_stops(clean_relit))), 2, 0) * np.float32(strength)
    base: Array = clean_relit
    if detail < 1 and guide.shape != seen.look.shape:
        share = solid(matte) * np.float32((1 - detail) * strength)
        base = base + share * (_with_source_detail(clean_source, seen, guide) - base)
    changed = np.where(base > 0, (base + FLOOR) * np.exp2(flicker) - FLOOR, base * np.exp2(flicker))
    changed = np.where(base > 0, np.maximum(changed, 0), changed)
    return np.asarray(np.where((matte > 0) & known, relit + matte * (changed - clean_relit), relit), np.float32)


def solid(matte: Array) -> Array:
    """How far a pixel shows the foreground alone: in a soft edge both pictures are mixtures."""
    return np.asarray(np.clip(matte * 2 - 1, 0, 1) ** 2, np.float32)


def _with_source_detail(source: Array, seen: Seen, guide: Array) -> Array:
    """The source under the frame's own light, which is no finer than the size that light is steadied at."""
    light = fit_lines(seen.signal, seen.look, seen.weight, _REACH_PX, _EDGE_STOPS**2).at(guide)
    gain = np.exp2(np.moveaxis(light, 2, 0))
    return np.asarray(np.where(source > 0, (source + FLOOR) * gain - FLOOR, source * gain), np.float32)


def _at_size(correction: Array, seen: Seen, guide: Array) -> Array:
    """The correction at the guide's size, along the guide's edges."""
    if guide.shape[:2] == correction.shape[:2]:
        return correction
    return fit_lines(correction, seen.relit, seen.weight, _REACH_PX, _EDGE_STOPS**2).at(guide)


def _size(height: int, width: int, lines: int) -> tuple[int, int]:
    if height <= lines:
        return height, width
    return lines, max(1, round(width * lines / height))


def _stops(light: Array) -> Array:
    return np.asarray(np.log2(np.maximum(light, 0) + np.float32(FLOOR)), np.float32)


def _planes_last(planes: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(planes, 0, 2))


__all__ = ["DEFAULT_LINES", "FLOOR", "look", "solid", "steadied"]
