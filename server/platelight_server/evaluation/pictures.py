"""Pictures for people: linear layers to display, laid out on a page with text. Nothing here measures anything."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..color.spaces import Space, convert, named
from ..plates.geometry import resize

INK, PAPER, FAINT = (32, 32, 36), (250, 250, 248), (150, 150, 155)
# A gain of this many stops is white (or black) in a picture of a gain; none is middle grey.
GAIN_SPAN_STOPS = 3.0


def to_display(picture: np.ndarray, space: Space, width: int, height: int) -> np.ndarray:
    """(3, H, W) scene-linear in `space` -> (height, width, 3) uint8 sRGB, clipped at 1."""
    small = np.nan_to_num(resize(picture.astype(np.float32), height, width), posinf=65504.0, neginf=-65504.0)
    encoded = convert(
        np.clip(convert(small, space, named("lin_rec709_scene")), 0, 1), named("lin_rec709_scene"), named("sRGB")
    )
    return _bytes(encoded)


def grey_to_display(plane: np.ndarray, width: int, height: int) -> np.ndarray:
    """(H, W) 0..1, shown as it is -> (height, width, 3) uint8."""
    return _bytes(np.repeat(resize(plane[None].astype(np.float32), height, width), 3, axis=0))


def gain_to_display(gain: np.ndarray, width: int, height: int) -> np.ndarray:
    """(3, H, W) stops -> (height, width, 3) uint8: grey is no change, white is +3 stops, black -3."""
    return _bytes(0.5 + resize(gain.astype(np.float32), height, width) / (2 * GAIN_SPAN_STOPS))


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that Pillow brings."""
    return ImageFont.load_default(size)


def page(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty page and its pen."""
    sheet = Image.new("RGB", (width, height), PAPER)
    return sheet, ImageDraw.Draw(sheet)


def tiles(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    top: int,
    left: int,
    pictures: Sequence[tuple[str, np.ndarray]],
    gap: int = 12,
) -> int:
    """A row of pictures with captions under them; returns where the next row may begin."""
    bottom, x = top, left
    for caption, pixels in pictures:
        sheet.paste(Image.fromarray(pixels), (x, top))
        pen.text((x, top + pixels.shape[0] + 3), caption, INK, font(13))
        x += pixels.shape[1] + gap
        bottom = max(bottom, top + pixels.shape[0] + 24)
    return bottom


def curve(
    pen: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    title: str,
    series: Sequence[tuple[str, Sequence[float], tuple[int, int, int]]],
) -> None:
    """A small line graph in `box` (left, top, right, bottom), all series on one scale, extremes written beside it."""
    left, top, right, bottom = box
    pen.rectangle(box, outline=FAINT)
    pen.text((left, top - 18), title, INK, font(13))
    values = [v for _, line, _ in series for v in line]
    if not values:
        return
    low, high = min(values), max(values)
    low, high = (low - 0.05, high + 0.05) if high - low < 0.1 else (low, high)
    for number, (name, line, ink) in enumerate(series):
        across = (right - left - 8) / max(1, len(line) - 1)
        points = [
            (left + 4 + i * across, bottom - 4 - (v - low) / (high - low) * (bottom - top - 8))
            for i, v in enumerate(line)
        ]
        if len(points) > 1:
            pen.line(points, ink, 2)
        pen.text((left + 8 + number * 110, bottom + 3), name, ink, font(12))
    pen.text((right - 44, top + 2), f"{high:.2f}", FAINT, font(11))
    pen.text((right - 44, bottom - 15), f"{low:.2f}", FAINT, font(11))


def png(sheet: Image.Image) -> bytes:
    """The page as PNG bytes."""
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0))
