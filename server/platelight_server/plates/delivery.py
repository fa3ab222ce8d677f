"""What a job delivers per frame: file names, which layer goes into which file, and the header."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from platelight.recipe import Recipe

from ..color.spaces import Space
from . import frames_out
from .header import carried, color_attributes, stated
from .picture import Box

# One-dot layer names in single-part files are what Blender 4.2 to 5.2 and Nuke both read as layers.
MAIN_LAYERS = ("composite", "background", "relit", "alpha")
AUX_LAYERS = ("foreground", "gain", "fill", "shadow", "confidence", "normal", "albedo", "depth", "model")
# Stored as float: half has too few steps for metres.
FLOAT_LAYERS = ("depth",)


@dataclass(frozen=True)
class Files:
    """The files of one frame; `aux` is `None` where no auxiliary layer is delivered, `main` likewise."""

    main: Path | None
    aux: Path | None

    def all(self) -> tuple[Path, ...]:
        """Those that exist in this delivery."""
        return tuple(path for path in (self.main, self.aux) if path is not None)


def files_of(recipe: Recipe, frame: int) -> Files:
    """`NAME.####.exr` and `NAME.aux.####.exr`; the sign of a negative frame stands before its digits."""
    folder, number = Path(recipe.output.directory), f"{'-' if frame < 0 else ''}{abs(frame):04d}"
    layers = recipe.output.layers
    main = folder / f"{recipe.output_name}.{number}.exr" if set(layers) & set(MAIN_LAYERS) else None
    aux = folder / f"{recipe.output_name}.aux.{number}.exr" if set(layers) & set(AUX_LAYERS) else None
    return Files(main, aux)


def layer_of(channel: str) -> str:
    """The layer a channel belongs to; the top-level channels are the composite."""
    return channel.rpartition(".")[0] or "composite"


def write(
    files: Files,
    channels: Mapping[str, np.ndarray],
    data: Box,
    work: Box,
    plate_header: Mapping[str, Any],
    space: Space,
    said: Mapping[str, Any],
    recipe: Recipe,
) -> None:
    """Writes a frame's files, each whole or not at all; the main file last, so that it never stands without the other.

    channels  name -> (H, W) float16 or float32 over the work window; cut to the plate's data window here
    """
    header = {**carried(plate_header), **color_attributes(space), **stated(said)}
    if recipe.rate is not None:
        header["framesPerSecond"] = recipe.rate
    header["dataWindow"] = ((data.x_first, data.y_first), (data.x_last, data.y_last))
    rows = slice(data.y_first - work.y_first, data.y_last - work.y_first + 1)
    columns = slice(data.x_first - work.x_first, data.x_last - work.x_first + 1)
    for path, layers in ((files.aux, AUX_LAYERS), (files.main, MAIN_LAYERS)):
        if path is not None:
            chosen = _chosen(channels, set(layers) & set(recipe.output.layers))
            cut = {name: plane[rows, columns] for name, plane in chosen.items()}
            frames_out.write_frame(path, cut, header, recipe.output.compression)


def _chosen(channels: Mapping[str, np.ndarray], layers: Collection[str]) -> dict[str, np.ndarray]:
    return {name: plane for name, plane in channels.items() if layer_of(name) in layers}
