"""Synthetic clips: a textured picture that moves under a disc-shaped matte, and its relit version."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from platelight_server.deflicker import pictures
from platelight_server.deflicker.steady import Seen, Steadier
from platelight_server.evaluation.bench_deflicker import Clip
from tests.shots.small import REC709, write

HEIGHT, WIDTH, SPEED = 72, 112, 2


def source(count: int, seed: int = 1, speed: int = SPEED) -> np.ndarray:
    """(F, 3, HEIGHT, WIDTH) float32: a texture of 0.02 to about 4 that moves to the left."""
    rng = np.random.default_rng(seed)
    wide = WIDTH + speed * count
    coarse = rng.normal(-2, 1.2, (HEIGHT // 6, wide // 6, 3)).astype(np.float32)
    fine = rng.normal(0, 0.4, (HEIGHT // 2, wide // 2, 3)).astype(np.float32)
    stops = sum(cv2.resize(x, (wide, HEIGHT), interpolation=cv2.INTER_CUBIC) for x in (coarse, fine))
    whole = np.exp2(np.clip(stops, -5.5, 2)).transpose(2, 0, 1)
    return np.stack([whole[:, :, f * speed : f * speed + WIDTH] for f in range(count)]).astype(np.float32)


def mattes(count: int) -> np.ndarray:
    """(F, 1, HEIGHT, WIDTH) float32: a soft disc."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    distance = np.hypot(x - WIDTH / 2, y - HEIGHT / 2)
    return np.repeat(np.clip((HEIGHT * 0.42 - distance) / 3 + 0.5, 0, 1)[None, None], count, 0).astype(np.float32)


def clip(count: int) -> Clip:
    """A clip whose relit version is lit from the left, a stop at most."""
    plate, matte = source(count), mattes(count)
    light = np.exp2(np.linspace(1, -1, WIDTH, dtype=np.float32))
    return Clip("synthetic", plate, (plate * light).astype(np.float32), matte)


def corrections(gains: list[float], radius: int, plate: np.ndarray | None = None) -> list[float]:
    """What is added, in stops at the middle of the picture, to frames relit by these gains in stops."""
    plate = source(len(gains)) if plate is None else plate
    seen = [lit(i, plate[i], gain) for i, gain in enumerate(gains)]
    steadier, found = Steadier(radius), []
    for at in range(len(seen)):
        window = seen[max(0, at - radius) : at + radius + 1]
        found.append(float(steadier.correction(window, at - window[0].frame)[HEIGHT // 2, WIDTH // 2].mean()))
    return found


def lit(frame: int, plate: np.ndarray, gain: float) -> Seen:
    """A frame under an even gain in stops, without a floor, as it is steadied."""
    look = pictures.look(frame, plate, plate, np.ones_like(plate[:1]))
    return Seen(frame, look.look, np.full_like(look.signal, gain), look.weight)


def write_clip(folder: Path, made: Clip, relit: np.ndarray, first: int = 1001) -> None:
    """source/, relit/ and matte/ with one EXR a frame, half; relit has an alpha and a name of its camera."""
    for role in ("source", "relit", "matte"):
        (folder / role).mkdir(parents=True)
    for i, frame in enumerate(range(first, first + len(relit))):
        write(folder / "source" / f"source.{frame}.exr", made.source[i].astype(np.float16), "RGB", REC709)
        four = np.concatenate([relit[i], made.matte[i]]).astype(np.float16)
        write(folder / "relit" / f"relit.{frame}.exr", four, "RGBA", {**REC709, "studio/camera": "B"})
        write(folder / "matte" / f"matte.{frame}.exr", made.matte[i].astype(np.float16), "A")
