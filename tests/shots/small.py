"""Small shots on disk: a textured plate with highlights over 1 and values under 0, a moving soft disc as matte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

from platelight.recipe import Recipe
from platelight_server.plates import exr

WIDTH, HEIGHT = 96, 64
REC709 = {"colorInteropID": "lin_rec709_scene"}


@dataclass(frozen=True)
class Shot:
    """A shot's folder and its frames."""

    folder: Path
    frames: tuple[int, ...]

    @property
    def range(self) -> str:
        return f"{self.frames[0]}-{self.frames[-1]}"

    def recipe(self, **tables: Any) -> Recipe:
        """The recipe of the shot; keyword arguments replace or add whole tables, None removes one."""
        document: dict[str, Any] = {
            "platelight": 1,
            "name": "small",
            "frames": self.range,
            "plate": {"path": str(self.folder / "plate" / "plate.####.exr")},
            "matte": {"path": str(self.folder / "matte" / "matte.####.exr")},
            "background": {"still": str(self.folder / "background.exr")},
            "engine": {"name": "test_wavy"},
            "output": {"directory": str(self.folder / "out")},
        }
        document.update(tables)
        return Recipe.from_dict({key: value for key, value in document.items() if value is not None})


def make_shot(
    folder: Path, count: int = 4, width: int = WIDTH, height: int = HEIGHT, header: Mapping[str, Any] = REC709
) -> Shot:
    """Writes plate, matte and background for frames 1001 onwards."""
    frames = tuple(range(1001, 1001 + count))
    for name in ("plate", "matte"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for frame in frames:
        write(
            folder / "plate" / f"plate.{frame}.exr",
            plate_pixels(frame, width, height),
            "RGB",
            plate_header(header, frame),
        )
        write(folder / "matte" / f"matte.{frame}.exr", matte_pixels(frame, width, height), "A")
    write(folder / "background.exr", np.flip(plate_pixels(7, width, height), 2) * np.float16(0.5), "RGB", header)
    return Shot(folder, frames)


def plate_header(color: Mapping[str, Any], frame: int) -> dict[str, Any]:
    """A header as a camera's: time code, rate, owner, and a studio's own attribute."""
    code = OpenEXR.TimeCode(1, 2, 3, frame % 24, False, False, False, False, False, False, 0, 0, 0, 0, 0, 0, 0, 0)
    return {
        **color,
        "timeCode": code,
        "framesPerSecond": Fraction(24000, 1001),
        "owner": "ACME",
        "studio/shot": "sh010",
    }


def plate_pixels(frame: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(3, height, width) float16, from about -0.02 to 20."""
    rng = np.random.default_rng(frame)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    base = np.stack([0.3 + 0.2 * np.sin(9 * x + c) * np.cos(7 * y) for c in range(3)])
    grain = rng.normal(0, 0.02, base.shape)
    spark = 20.0 * (rng.random((height, width)) > 0.995)
    dark = (x + y < 0.1) * -0.3
    return (base + grain + spark + dark).astype(np.float16)


def matte_pixels(frame: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(1, height, width) float16: a disc with a soft edge that moves with the frame; exact 0 and 1 on either side."""
    y, x = np.mgrid[0:height, 0:width]
    centre = width * 0.45 + (frame - 1001) % 12
    distance = np.hypot(x - centre, y - height * 0.5)
    return np.clip((height * 0.33 - distance) / 4 + 0.5, 0, 1)[None].astype(np.float16)


def write(
    path: Path, pixels: np.ndarray, names: str, header: Mapping[str, Any] | None = None, compression: str = "zip"
) -> None:
    """(C, H, W) as channels `names`."""
    exr.write(path, dict(zip(names, pixels, strict=True)), dict(header or {}), compression)
