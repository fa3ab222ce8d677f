"""A contact sheet of a finished job: for a few frames, what went in and what came out, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from platelight.frames import sample_frames

from ..check import Checked
from ..plates import delivery, fence, picture_io
from . import pictures

MARGIN = 32
COLUMNS = ("plate", "matte", "background", "composite", "gain")


def sheet_png(checked: Checked, frames: int = 3, tile_width: int = 292) -> bytes:
    """PNG bytes of a page with a row per shown frame. Layers that are not there are left out."""
    rows = [row(checked, frame, COLUMNS, tile_width) for frame in sample_frames(checked.wanted, frames)]
    height = max((pixels.shape[0] for one in rows for _, pixels in one), default=0) + 34
    width = 2 * MARGIN + max(sum(pixels.shape[1] + 12 for _, pixels in one) for one in rows) - 12
    sheet, pen = pictures.page(width, 84 + height * len(rows))
    pen.text(
        (MARGIN, 24), f"{checked.recipe.output_name}: {checked.recipe.engine.name}", pictures.INK, pictures.font(26)
    )
    for number, one in enumerate(rows):
        pictures.tiles(sheet, pen, 76 + number * height, MARGIN, one)
    return pictures.png(sheet)


def row(checked: Checked, frame: int, columns: tuple[str, ...], tile_width: int) -> list[tuple[str, np.ndarray]]:
    """(caption, (h, w, 3) uint8) of a frame's pictures: plate, matte, background, composite, relit, gain."""
    assert checked.inputs is not None
    inputs = checked.inputs
    aspect = inputs.work.width * inputs.pixel_aspect / inputs.work.height
    size = (tile_width, max(1, round(tile_width / aspect)))
    files = delivery.files_of(checked.recipe, frame)
    outputs = {
        "composite": (files.main, ("R", "G", "B"), f"composite {frame}"),
        "relit": (files.main, ("relit.R", "relit.G", "relit.B"), "relit"),
        "gain": (
            files.aux,
            ("gain.X", "gain.Y", "gain.Z"),
            f"gain, grey = 0, white = +{pictures.GAIN_SPAN_STOPS:g} stops",
        ),
    }
    full = inputs.read(frame) if set(columns) - set(outputs) else None
    found = []
    for column in columns:
        if full is not None and column == "plate":
            found.append((f"plate {frame}", pictures.to_display(full.plate, inputs.space, *size)))
        elif full is not None and column == "matte":
            found.append(("matte", pictures.grey_to_display(full.matte[0], *size)))
        elif full is not None and column == "background" and full.background is not None:
            found.append(("background", pictures.to_display(full.background, inputs.space, *size)))
        elif column in outputs:
            path, names, caption = outputs[column]
            pixels = _layer(path, names)
            if pixels is not None and column == "gain":
                found.append((caption, pictures.gain_to_display(pixels, *size)))
            elif pixels is not None:
                found.append((caption, pictures.to_display(pixels, inputs.space, *size)))
    return found


def _layer(path: Path | None, names: tuple[str, ...]) -> np.ndarray | None:
    if path is None or not fence.is_file(path) or not set(names) <= set(picture_io.read_info(path).channels):
        return None
    return picture_io.read(path, names).pixels
