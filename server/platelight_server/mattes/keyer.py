"""The chroma keyer: alpha of the foreground before a fitted screen, one pixel at a time, in scene-linear light.

The colour difference of a pixel, as a share of the bare screen's, says how much screen shows through (Vlahos 1978, in
the form of Smith and Blinn 1996, "Blue Screen Matting"). What is as pure as the screen and only darker is its shade,
down to a dial. What lies deep inside the foreground is foreground, whatever light of the screen falls on it.

All numbers hold for the shot (`screen`); a frame's matte depends on that frame and on them, so it does not flicker.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from platelight.recipe_parts import Keying

from .screen import Screen, measured

__all__ = ["boxed", "key"]

# From this share of the screen's purity on, a darker pixel begins to be shade; at the second it is nothing else.
SHADE_FROM, SHADE_FULL = 0.82, 0.96
# What shows more of the screen than this is seen as screen where the inside of the foreground is measured.
OPEN = 0.7
STRIP = 32


def key(plate: np.ndarray, screen: Screen, dials: Keying = Keying(), offset: tuple[int, int] = (0, 0)) -> np.ndarray:  # noqa: B008
    """The matte of one frame. `offset` is where the work window begins within the display window (x, y).

    plate  (3, H, W) float16 or float32, scene-linear, plate primaries, finite, may be <0 and >1
    -> (1, H, W) float32, 0..1
    """
    clear = transparency(plate.astype(np.float32), screen, dials.shade)
    black = screen.black if dials.black is None else dials.black
    alpha = np.clip((1 - clear - black) / max(dials.white - black, 1e-3), 0, 1)
    if dials.core > 0:
        alpha = _with_core(alpha, clear, dials.core * plate.shape[1])
    alpha[boxed(dials.garbage, alpha.shape, offset)] = 0
    alpha[boxed(dials.hold_out, alpha.shape, offset)] = 1
    return alpha[None]


def transparency(plate: np.ndarray, screen: Screen, shade: float) -> np.ndarray:
    """How much of the screen is seen, (H, W) float32; 1 is the bare screen, beyond 0..1 for noise and other hues."""
    # Grain on a dark screen is of any hue; its neighbourhood is not.
    around = np.stack([cv2.blur(channel, (3, 3)) for channel in plate])
    found = np.empty(plate.shape[1:], np.float32)
    for top in range(0, len(found), STRIP):  # a strip's planes stay in the processor's cache
        rows = slice(top, min(top + STRIP, len(found)))
        level, purity = measured(plate[:, rows], screen.bright)
        lit, pure = level / screen.levels(rows), purity / np.float32(screen.purity)
        near = measured(around[:, rows], screen.bright)[1] / np.float32(screen.purity)
        part = np.clip((near - SHADE_FROM) / (SHADE_FULL - SHADE_FROM), 0, 1)
        shaded = part * part * (3 - 2 * part)
        found[rows] = pure * lit / (1 + shaded * (np.clip(lit, 1 - shade, 1) - 1))
    return found


def boxed(
    boxes: Iterable[tuple[float, float, float, float]], shape: tuple[int, ...], offset: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """(H, W) bool: the pixels whose centres lie in one of the boxes."""
    inside = np.zeros(shape[-2:], bool)
    for x0, y0, x1, y1 in boxes:
        rows = slice(max(0, round(y0) - offset[1]), max(0, round(y1) - offset[1]))
        columns = slice(max(0, round(x0) - offset[0]), max(0, round(x1) - offset[0]))
        inside[rows, columns] = True
    return inside


def _with_core(alpha: np.ndarray, clear: np.ndarray, reach_px: float) -> np.ndarray:
    """Alpha with the inside of the foreground filled: from `reach_px` off the nearest screen on, full at twice that."""
    openings = (clear >= OPEN).astype(np.uint8)
    # One that stands alone, or has one neighbour, is grain and no gap.
    around = cv2.boxFilter(openings, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    solid = 1 - openings * (around > 2).astype(np.uint8)
    if solid.all():
        return np.ones_like(alpha)
    inside = np.clip(cv2.distanceTransform(solid, cv2.DIST_L2, 5) / max(reach_px, 1) - 1, 0, 1)
    return np.asarray(alpha + (1 - alpha) * inside, np.float32)
