"""Rendering small shots in this process, and looking at what was delivered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import tests.shots.engines  # noqa: F401  (registers the engines that tests render with)
from platelight.frames import FrameRange
from platelight.recipe import Recipe
from platelight_server import job
from platelight_server.check import Checked, check
from platelight_server.plates import delivery, exr

STILL = {"name": "test_still"}
WAVY = {"name": "test_wavy"}


def checked(recipe: Recipe, only: str | None = None) -> Checked:
    """The check's answer on two cores."""
    return check(recipe, Path("/"), FrameRange.parse(only) if only else None, 2)


def render(recipe: Recipe, only: str | None = None, **options: Any) -> job.Outcome:
    """Checks and renders; raises what is wrong."""
    outcome = job.run(checked(recipe, only), workers=2, **options)
    outcome.raise_failed()
    return outcome


def into(recipe: Recipe, folder: Path) -> Recipe:
    """The same recipe with another output folder."""
    return replace(recipe, output=replace(recipe.output, directory=str(folder)))


def delivered(recipe: Recipe, frame: int, aux: bool = False) -> dict[str, np.ndarray]:
    """Channel name -> pixels of a result, over its data window."""
    files = delivery.files_of(recipe, frame)
    path = files.aux if aux else files.main
    assert path is not None
    names = exr.read_info(path).channels
    return dict(zip(names, exr.read(path, names).pixels, strict=True))


def stack(channels: dict[str, np.ndarray], layer: str, names: str = "RGB") -> np.ndarray:
    """(3, H, W) of a layer; "" is the composite."""
    return np.stack([channels[f"{layer}.{name}" if layer else name] for name in names])


def header(recipe: Recipe, frame: int) -> dict[str, Any]:
    """The header of a result."""
    path = delivery.files_of(recipe, frame).main
    assert path is not None
    return dict(exr.read_info(path).header)


def frames_in(folder: Path) -> dict[str, bytes]:
    """Every EXR of a folder and its bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.exr"))}
