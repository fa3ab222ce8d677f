"""Reading a light basis: per frame what each lamp does to the foreground, to the set, and to the empty set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from platelight.errors import FrameError

from ...plates import exr
from .spec import Basis, read_basis

Array: TypeAlias = npt.NDArray[np.float32]

RGB = ("R", "G", "B")
FAR_M = 1e6  # Blender's depth where there is nothing is 1e10


@dataclass(frozen=True)
class BasisFrame:
    """One frame of a basis, L lamps in the order of `Basis.lamps`; scene-linear Rec.709.

    fg         (L, 3, H, W) premultiplied with `alpha`      set_       (L, 3, H, W) with the foreground's shadow
    clean      (L, 3, H, W) the set without the foreground  alpha      (H, W) 0..1
    normal     (3, H, W) world, Z-up, unit or zero          albedo     (3, H, W) 0..1, not premultiplied
    motion     (2, H, W) pixels: where a point was in the frame before, minus where it is; y down
    depth      (H, W) metres along the camera's axis, 0 where there is no foreground
    `set_` and `clean` are None where the basis has no set.
    """

    fg: Array
    set_: Array | None
    clean: Array | None
    alpha: Array
    normal: Array
    albedo: Array
    motion: Array
    depth: Array


class BasisFolder:
    """A basis on disk. Raises FrameError where there is none or a frame is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.basis: Basis = read_basis(folder)
        spec = self.basis.spec
        self.frames = range(spec.first, spec.first + spec.frames)
        missing = [number for number in self.frames if not self._path("light", number).is_file()]
        if missing or not (folder / "tracks.json").is_file():
            raise FrameError(
                f"{folder}: {len(missing)} of {spec.frames} frames are not rendered; run data render again"
            )

    def frame(self, number: int) -> BasisFrame:
        """One frame of all lamps."""
        light, data = self._path("light", number), self._path("data", number)
        alpha = _plane(light, "alpha.V").clip(0, 1)
        has_set = self.basis.spec.set == "ground"
        # A denoiser leaves traces where nothing is.
        fg = self._lamps(light, "fg") * (alpha > 0)
        vector = exr.read(data, ["vector.R", "vector.G"]).pixels.astype(np.float32)
        solid = np.maximum(alpha, 1e-3)
        normal = _planes(data, "normal", ("X", "Y", "Z"))
        length = np.linalg.norm(normal, axis=0)
        depth = _plane(data, "depth.V")
        return BasisFrame(
            fg=fg,
            set_=self._lamps(light, "set") if has_set else None,
            clean=self._clean(number) if has_set else None,
            alpha=alpha,
            normal=np.where(length > 1e-3, normal / np.maximum(length, 1e-3), 0).astype(np.float32),
            albedo=(_planes(data, "albedo", RGB) / solid).clip(0, 1) * (alpha > 0),
            motion=vector * np.array([1, -1], np.float32)[:, None, None] * (alpha > 0),
            depth=np.where(depth < FAR_M, depth, 0).astype(np.float32),
        )

    @cached_property
    def bounce(self) -> tuple[Array, Array]:
        """Per lamp what the set sends to the centre, (L, 3, 64, 128) lat-long, and how much of each pixel it covers."""
        path = self.folder / "probe.exr"
        if self.basis.spec.set == "none":
            return np.zeros((len(self.basis.lamps), 3, 64, 128), np.float32), np.zeros((64, 128), np.float32)
        found = np.stack([_planes(path, lamp.name, RGB) for lamp in self.basis.lamps])
        cover = _plane(path, "alpha.V").clip(0, 1)
        # Film is transparent, so the world is not in the picture of any lamp: all of it is the set's.
        return np.maximum(found, 0), cover

    @cached_property
    def cameras(self) -> list[dict[str, Any]]:
        """Per frame: frame, camera-to-world matrix (Z-up), focal_px."""
        found: list[dict[str, Any]] = json.loads((self.folder / "cameras.json").read_text("utf-8"))
        return found

    @cached_property
    def tracks(self) -> dict[str, npt.NDArray[Any]]:
        """world (F, P, 3) Z-up; pixel (F, P, 3) x, y down, depth, hidden points too; kind (P,) fg or bg."""
        held = json.loads((self.folder / "tracks.json").read_text("utf-8"))
        return {key: np.asarray(value, np.str_ if key == "kind" else np.float32) for key, value in held.items()}

    def _path(self, what: str, number: int) -> Path:
        return self.folder / f"{what}.{number:04d}.exr"

    def _lamps(self, path: Path, layer: str) -> Array:
        names = [f"{layer}_{lamp.name}.{channel}" for lamp in self.basis.lamps for channel in RGB]
        pixels = exr.read(path, names).pixels.astype(np.float32)
        return pixels.reshape(-1, 3, *pixels.shape[1:])

    def _clean(self, number: int) -> Array:
        if self.basis.spec.camera == "locked":
            return self._still
        return self._lamps(self._path("clean", number), "clean")

    @cached_property
    def _still(self) -> Array:
        return self._lamps(self._path("clean", self.frames[0]), "clean")


def combined(path: Path, layer: str) -> Array:
    """The combined pass of a layer as Cycles has it, (3, H, W)."""
    return _planes(path, f"{layer}_all", RGB)


def _planes(path: Path, name: str, channels: tuple[str, ...]) -> Array:
    return exr.read(path, [f"{name}.{channel}" for channel in channels]).pixels.astype(np.float32)


def _plane(path: Path, name: str) -> Array:
    return np.asarray(exr.read(path, [name]).pixels[0], np.float32)
