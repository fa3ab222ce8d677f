"""Pictures of the screen made small enough for a README: cropped, in 256 colours, scaled down where needed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

BYTES_MOST = 150_000  # of a picture
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)
COLORS, KMEANS = 256, 4  # rounds that move the palette to where the colours are


def cropped(taken: Path, folder: Path, boxes: Mapping[str, list[int]]) -> None:
    """Writes NAME.png of each box (left, top, right, bottom in pixels). Raises ValueError where it stays too large."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (left, top, right, bottom) in boxes.items():
        whole = Image.open(taken / f"{name}.png").convert("RGB").crop((left, top, right, bottom))
        if not any(_written(whole, scale, folder / f"{name}.png") for scale in SCALES):
            raise ValueError(f"{name}.png: expected less than {BYTES_MOST} bytes, got more at {SCALES[-1]:.0%}")


def _written(whole: Image.Image, scale: float, path: Path) -> bool:
    """Writes it at this scale. Returns whether it is small enough."""
    size = round(whole.width * scale), round(whole.height * scale)
    small = whole if scale == 1.0 else whole.resize(size, Image.Resampling.LANCZOS)
    small.quantize(COLORS, kmeans=KMEANS, dither=Image.Dither.NONE).save(path, optimize=True)
    return path.stat().st_size < BYTES_MOST
