"""Bringing other pictures to the plate's size: mattes over its data window, backgrounds in its display window."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from platelight.errors import FrameError

from .exr import place
from .picture import Box, Picture

FITS = ("exact", "fit", "fill", "stretch")


def over_plate(picture: Picture, data: Box, display: Box) -> np.ndarray:
    """A picture of the plate's own size, over the plate's data window; zero where it knows nothing.

    -> (C, data.height, data.width), as stored. Raises `FrameError` where its display size is another.
    """
    info = picture.info
    if (info.display.width, info.display.height) != (display.width, display.height):
        raise FrameError(f"{info.path}: expected {display} like the plate, got {info.display}")
    # A matte rendered at (0, 0) belongs to a plate whose display window starts elsewhere.
    moved = info.data.moved(display.x_first - info.display.x_first, display.y_first - info.display.y_first)
    return place(picture.pixels, moved, data)


def fit(picture: Picture, data: Box, display: Box, how: str, plate_aspect: float = 1.0) -> np.ndarray:
    """A background brought to the plate's display window, then cut or extended to its data window.

    (C, H, W) any size -> (C, data.height, data.width). `fill` covers the window and crops, `fit` shows all with black
    around, `stretch` ignores the aspect, `exact` refuses another size. Pixel aspects of both are honoured. Outside the
    display window (overscan) edge pixels are repeated. Raises `FrameError`.
    """
    info = picture.info
    shown = place(picture.pixels, info.data, info.display)
    height, width = shown.shape[-2:]
    if (width, height) != (display.width, display.height):
        if how == "exact":
            raise FrameError(
                f"{info.path}: expected {display} like the plate, got {info.display} (background.fit = 'exact')"
            )
        shown = _resized(shown, display, how, info.pixel_aspect / plate_aspect)
    elif how != "exact" and abs(info.pixel_aspect / plate_aspect - 1) > 1e-3 and how != "stretch":
        shown = _resized(shown, display, how, info.pixel_aspect / plate_aspect)
    if display == data:
        return np.ascontiguousarray(shown)
    rows = np.clip(np.arange(data.y_first, data.y_last + 1) - display.y_first, 0, display.height - 1)
    columns = np.clip(np.arange(data.x_first, data.x_last + 1) - display.x_first, 0, display.width - 1)
    return np.ascontiguousarray(shown[:, rows][:, :, columns])


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(C, H, W) -> (C, height, width) float32: area mean when shrinking, bicubic when growing, half-pixel centres.

    When shrinking six times or more only the middle one of every three lines is read: a mean of a dozen pixels is
    enough for a picture of that size, at a third of the cost (0.27 against 0.09 s for a 4K plate, matte, background).
    """
    if pixels.shape[-2:] == (height, width):
        return pixels.astype(np.float32, copy=False)
    shrinks = height <= pixels.shape[-2] and width <= pixels.shape[-1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    if shrinks and pixels.shape[-2] >= 6 * height and pixels.shape[-2] % 3 == 0:
        pixels = pixels[:, 1::3]
    planes = [cv2.resize(plane.astype(np.float32), (width, height), interpolation=way) for plane in pixels]
    return np.stack(planes)


def model_size(height: int, width: int, most_lines: int, most_columns: int | None = None) -> tuple[int, int]:
    """The size that an engine with `most_lines` lines (and `most_columns`) sees; never larger than the plate."""
    lines = height if most_columns is None else min(height, max(1, height * most_columns // width))
    if lines <= most_lines and lines == height:
        return height, width
    lines = min(lines, most_lines)
    columns = max(1, round(width * lines / height))
    return lines, columns if most_columns is None else min(columns, most_columns)


def check_probe(path: Path, width: int, height: int) -> None:
    """A lat-long probe is twice as wide as high. Raises `FrameError`."""
    if abs(width - 2 * height) > 2:
        raise FrameError(f"{path}: expected a lat-long probe, twice as wide as high, got {width}x{height}")


def placed(height: int, width: int, display: Box, how: str, aspect: float) -> tuple[int, int, int, int]:
    """The size (height, width) that a picture is brought to for the display window, and the pixels (left, top) of it
    that lie outside: negative where it leaves room. `aspect` is its pixel aspect over the plate's."""
    across, down = display.width / (width * aspect), display.height / height
    if how in ("stretch", "exact"):
        return display.height, display.width, 0, 0
    scale = max(across, down) if how == "fill" else min(across, down)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * aspect * scale))
    return new_height, new_width, (new_width - display.width) // 2, (new_height - display.height) // 2


def _resized(shown: np.ndarray, display: Box, how: str, aspect: float) -> np.ndarray:
    height, width, left, top = placed(shown.shape[-2], shown.shape[-1], display, how, aspect)
    scaled = resize(shown, height, width)
    if how == "stretch":
        return scaled
    at = Box(-left, -top, width - left - 1, height - top - 1)
    return place(scaled, at, Box(0, 0, display.width - 1, display.height - 1))
