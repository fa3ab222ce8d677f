"""The synthetic shot that speed and memory are measured on: grain, highlights, a soft moving matte, half ZIPS."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from platelight.recipe import Recipe

from ..plates.frames_out import write_frame

REC709 = {"colorInteropID": "lin_rec709_scene"}


def make_bench_shot(folder: Path, width_px: int, height_px: int, frames: int, distinct: int = 4) -> Recipe:
    """Writes plate, matte and background, and returns the recipe (classic engine, all standard layers).

    Grain decides how well an EXR compresses, hence its cost: the plates have it, as filmed plates do. Only `distinct`
    frames are drawn, the others are links to them.
    """
    for role in ("plate", "matte", "background"):
        (folder / role).mkdir(parents=True, exist_ok=True)
    for number in range(min(distinct, frames)):
        plate, matte, background = _drawn(number, width_px, height_px)
        _write(folder, "plate", number, plate, "RGB")
        _write(folder, "matte", number, matte, "A")
        _write(folder, "background", number, background, "RGB")
    for number in range(distinct, frames):
        for role in ("plate", "matte", "background"):
            _path(folder, role, number).hardlink_to(_path(folder, role, number % distinct))
    return Recipe.from_dict(
        {
            "platelight": 1,
            "name": "bench",
            "frames": f"1001-{1000 + frames}",
            "plate": {"path": str(folder / "plate" / "plate.####.exr")},
            "matte": {"path": str(folder / "matte" / "matte.####.exr")},
            "background": {"sequence": str(folder / "background" / "background.####.exr")},
            "output": {"directory": str(folder / "out")},
        }
    )


def _drawn(number: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    coarse = rng.random((3, 34, 60), dtype=np.float32) ** 2
    smooth = np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC) for plane in coarse])
    fine = np.stack(
        [cv2.resize(rng.random((height // 4, width // 4), dtype=np.float32), (width, height)) for _ in range(3)]
    )
    grain = rng.standard_normal((3, height, width), dtype=np.float32) * 0.02
    spark = (rng.random((height, width), dtype=np.float32) > 0.9999) * np.float32(12)
    plate = smooth * (0.6 + 0.4 * fine) * (1 + grain) + spark
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((x - width * (0.45 + 0.01 * number)) * 1.4, y - height * 0.55)
    matte = np.clip((height * 0.36 - distance) / (height / 270) + 0.5, 0, 1)[None]
    background = np.flip(smooth, 2) * 0.5 * (1 + np.roll(grain, 7, 2))
    return plate.astype(np.float16), matte.astype(np.float16), background.astype(np.float16)


def _write(folder: Path, role: str, number: int, pixels: np.ndarray, names: str) -> None:
    path = _path(folder, role, number)
    write_frame(path, dict(zip(names, np.ascontiguousarray(pixels), strict=True)), REC709, "zips")


def _path(folder: Path, role: str, number: int) -> Path:
    return folder / role / f"{role}.{1001 + number:04d}.exr"
