"""Subjects before screens whose matte is known: an uneven screen with a shadow on it, light of the screen on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.shots import small

WIDTH, HEIGHT = 160, 90
FRAMES = tuple(range(1001, 1007))
GREEN, BLUE, YELLOW = (0.1, 0.55, 0.12), (0.08, 0.15, 0.6), (0.55, 0.5, 0.02)
SHADOW = 0.45  # what is left of the screen's light in the shadow


def alpha_of(frame: int) -> np.ndarray:
    """(H, W) float32: a disc with an edge of four pixels that moves to the right."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    distance = np.hypot(x - 60 - 3 * (frame - FRAMES[0]), y - 45)
    return np.clip((24 - distance) / 4 + 0.5, 0, 1).astype(np.float32)


def in_shadow() -> np.ndarray:
    """(H, W) bool: the middle of the shadow, which lies below the subject."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.asarray((y > 78) & (x > 30) & (x < 110))


def plate_of(frame: int, color: tuple[float, float, float] = GREEN, spill: float = 0.0) -> np.ndarray:
    """(3, H, W) float16, scene-linear: grain, a highlight of 12, a dark and a light half; values below 0 in the grain.

    The screen loses a stop and a half towards the right.
    """
    rng = np.random.default_rng(frame)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    light = 2.0 ** (-1.5 * x / WIDTH) * np.where(in_shadow(), SHADOW, 1.0)
    screen = np.array(color)[:, None, None] * light
    subject = np.where(x < 70, 0.04, 0.5) * np.ones((3, 1, 1)) * np.array([1.1, 0.9, 0.8])[:, None, None]
    subject = subject + (np.hypot(x - 80, y - 35) < 3) * 12.0 + spill * screen
    alpha = alpha_of(frame)
    return (alpha * subject + (1 - alpha) * screen + rng.normal(0, 0.004, (3, HEIGHT, WIDTH))).astype(np.float16)


def write_plates(folder: Path, color: tuple[float, float, float] = GREEN, frames: tuple[int, ...] = FRAMES) -> str:
    """Writes them; returns the pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        header = small.plate_header(small.REC709, frame)
        small.write(folder / f"plate.{frame}.exr", plate_of(frame, color), "RGB", header)
    return str(folder / "plate.####.exr")
