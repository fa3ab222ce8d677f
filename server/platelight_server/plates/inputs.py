"""The shot's pictures, opened: which file serves which frame, and reading one frame in the plate's space and windows.

Everything is laid over the *work window*, the box around the data windows of all plates, so that cropped plates whose
window moves still make one picture size. Colours arrive in the working space: the plate's own primaries, unless the
recipe delivers in others.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from platelight.camera import Camera
from platelight.errors import ColorError, FrameError
from platelight.lights import Probe, ProbeFrame
from platelight.recipe import Recipe

from ..color.identify import identify
from ..color.spaces import Space, convert, matrix, named
from ..mattes.screen import Screen
from . import picture_io
from .geometry import check_probe, fit, over_plate, resize
from .header import untimed
from .keying import keyed
from .picture import Box, Picture, PictureInfo

T = TypeVar("T")

PROBE_LINES = 256
# What has no picture is shown at the size that the classic engine brings probes to.
PLAIN_LINES = 64
# The bits of 1.0: halves from 0 to 1 are the unsigned numbers up to it, and numpy clips half slowly.
HALF_ONE = 0x3C00


@dataclass(frozen=True)
class Source:
    """One kind of input: the channels read from it, its colour space, and the file that serves each frame.

    `files` maps a frame to its file; `None` stands for black (policy `black`). A still serves every frame.
    `held` are the frames that another frame's file stands in for (policy `hold`).
    """

    role: str
    channels: tuple[str, ...]
    files: Mapping[int, Path | None]
    space: Space | None = None
    held: frozenset[int] = frozenset()

    def file(self, frame: int) -> Path | None:
        """The file of a frame; raises `FrameError` where the shot has none."""
        if frame not in self.files:
            raise FrameError(f"{self.role}: frame {frame} has no file")
        return self.files[frame]


@dataclass(frozen=True)
class FullFrame:
    """One frame as read, over the work window, in the working primaries.

    plate       (3, H, W) float16 or float32, scene-linear, as filmed, finite, may be <0 and >1
    matte       (1, H, W) float16 or float32, 0..1
    background  (3, H, W) float16 or float32, scene-linear; `None` where the plate's is kept
    normal      (3, H, W) float32, camera space; `None` where not given
    repaired    how many values were not finite and were replaced
    relit       (3, H, W) float16 or float32, scene-linear, the subject relit by something else; `None` where not given
    """

    frame: int
    plate: np.ndarray
    matte: np.ndarray
    background: np.ndarray | None
    normal: np.ndarray | None
    header: Mapping[str, object]
    data: Box
    repaired: int
    relit: np.ndarray | None = None


@dataclass(frozen=True)
class Inputs:
    """All sources of a shot, agreed with one another by the check."""

    recipe: Recipe
    plate: Source
    plate_space: Space
    space: Space
    work: Box
    display: Box
    pixel_aspect: float
    first_header: Mapping[str, object] = field(default_factory=dict, repr=False)
    matte: Source | None = None
    background: Source | None = None
    normal: Source | None = None
    probe_background: Source | None = None
    probe_plate: Source | None = None
    camera: Camera | None = None
    screen: Screen | None = None  # where the recipe keys the matte
    relit: Source | None = None
    _stills: dict[str, tuple[object, Any]] = field(default_factory=dict, compare=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, compare=False, repr=False)

    def sources(self) -> tuple[Source, ...]:
        """Every source there is, the plate first."""
        found = (
            self.plate, self.matte, self.background, self.normal, self.probe_background, self.probe_plate, self.relit,
        )  # fmt: skip
        return tuple(source for source in found if source is not None)

    def read(self, frame: int) -> FullFrame:
        """Reads one frame. Raises `FrameError` naming the file."""
        path = self.plate.file(frame)
        matte_in_plate = self.matte is not None and self.matte.files is self.plate.files
        header: Mapping[str, object]
        if path is None:
            header = untimed(self.first_header)
            data, repaired = self.work, 0
            plate = np.zeros((3, self.work.height, self.work.width), np.float16)
            alpha = plate[:1] if matte_in_plate or self.screen is not None else None
        else:
            names = self.plate.channels + (self.matte.channels if self.matte is not None and matte_in_plate else ())
            picture = picture_io.read(path, names)
            header, data = picture.info.header, picture.info.data
            if frame in self.plate.held:
                header = untimed(header)
            pixels, repaired = repaired_pixels(over_plate(picture, self.work, self.display))
            plate, alpha = self._in_work_space(pixels[:3], self.plate_space), pixels[3:4] if matte_in_plate else None
            if self.screen is not None:
                alpha = keyed(self, pixels[:3])
        matte = self._matte(frame) if alpha is None else self._finished_matte(alpha)
        return FullFrame(
            frame, plate, matte, self._background(frame), self._normal(frame), header, data, repaired,
            self._relit(frame),
        )  # fmt: skip

    def filmed(self, frame: int) -> np.ndarray:
        """The plate of one frame alone, in its own primaries: (3, H, W) over the work window. Raises `FrameError`."""
        path = self.plate.file(frame)
        if path is None:
            return np.zeros((3, self.work.height, self.work.width), np.float16)
        return repaired_pixels(over_plate(picture_io.read(path, self.plate.channels), self.work, self.display))[0]

    def probe(self, role: str, frame: int) -> np.ndarray | None:
        """The lat-long probe of a frame in the working primaries, turned and exposed as the recipe says.

        `role` is "probe_background" or "probe_plate". What does not change from frame to frame is the same array.

        -> (3, h, 2h) float32, scene-linear radiance, at most 256 lines; `None` where the recipe has none
        """
        asked, source = self.asked_probe(role), self.source_of(role)
        if asked is None:
            return None
        shown = asked.at(frame)
        if source is None:
            return self._still(role, shown, lambda: plain(shown, self.space)) if shown.color is not None else None
        path = source.file(frame)
        if path is None:
            return None

        def made() -> np.ndarray:
            return turned(self._still(f"{role} as it is", path, lambda: self.radiance(source, path)), shown)

        return self._still(role, (path, shown), made)

    def asked_probe(self, role: str) -> Probe | None:
        """What the recipe says of a probe."""
        return self.recipe.probe_background if role == "probe_background" else self.recipe.probe_plate

    def source_of(self, role: str) -> Source | None:
        """The files of a probe; `None` for one that has a colour instead."""
        return self.probe_background if role == "probe_background" else self.probe_plate

    def radiance(self, source: Source, path: Path) -> np.ndarray:
        """A probe's file as `probe` gives it, before it is turned and exposed. Raises `FrameError`."""
        picture = picture_io.read(path, source.channels)
        height, width = picture.pixels.shape[-2:]
        check_probe(path, width, height)
        pixels, _ = repaired_pixels(picture.pixels)
        lines = min(height, PROBE_LINES)
        return self._in_work_space(resize(pixels, lines, 2 * lines), source.space)

    def behind(self, frame: int) -> np.ndarray | None:
        """The background of one frame alone, as in `FullFrame`. Raises `FrameError`."""
        return self._background(frame)

    def normals(self, frame: int) -> np.ndarray | None:
        """The normals of one frame alone, as in `FullFrame`. Raises `FrameError`."""
        return self._normal(frame)

    def _matte(self, frame: int) -> np.ndarray:
        if self.matte is None:
            return np.ones((1, self.work.height, self.work.width), np.float16)
        path = self.matte.file(frame)
        if path is None:
            return np.zeros((1, self.work.height, self.work.width), np.float16)
        pixels, _ = repaired_pixels(over_plate(picture_io.read(path, self.matte.channels), self.work, self.display))
        return self._finished_matte(pixels[:1])

    def _finished_matte(self, pixels: np.ndarray) -> np.ndarray:
        inside = pixels.dtype == np.float16 and pixels.view(np.uint16).max() <= HALF_ONE
        matte = pixels if inside else np.clip(pixels, 0, 1)
        if self.recipe.matte is not None and self.recipe.matte.invert:
            matte = 1 - matte
        return np.ascontiguousarray(matte)

    def _background(self, frame: int) -> np.ndarray | None:
        source = self.background
        if source is None:
            return None
        path = source.file(frame)
        if path is None:
            return np.zeros((3, self.work.height, self.work.width), np.float16)
        if self.recipe.background.move == "camera":
            return self._carried(source, path, frame)
        if self.recipe.background.still is not None:
            return self._still(source.role, path, lambda: self._read_background(source, path))
        return self._read_background(source, path)

    def _read_background(self, source: Source, path: Path) -> np.ndarray:
        picture = picture_io.read(path, source.channels)
        pixels, _ = repaired_pixels(picture.pixels)
        fitted = fit(
            Picture(picture.info, pixels), self.work, self.display, self.recipe.background.fit, self.pixel_aspect
        )  # fmt: skip
        return self._exposed(self._in_work_space(fitted, source.space))

    def _carried(self, source: Source, path: Path, frame: int) -> np.ndarray:
        """A still as the frame's camera shows it; where that is the reference's view, the fitted still itself."""
        from . import carried  # it is built on this module

        camera = carried.camera_over_work(self, frame)
        placed = self._still(
            "place of the background", path, lambda: carried.Placed.of(picture_io.read_info(path), self)
        )
        if placed.carry.is_still(camera) and placed.covers and self.work == self.display:
            return self._still(source.role, path, lambda: self._read_background(source, path))

        def opened() -> carried.CarriedStill:
            picture = picture_io.read(path, source.channels)
            pixels, _ = repaired_pixels(picture.pixels)
            return carried.CarriedStill.of(
                picture, self._exposed(self._in_work_space(pixels, source.space)), placed
            )  # fmt: skip

        return self._still("carried background", path, opened).shown(camera)

    def _exposed(self, pixels: np.ndarray) -> np.ndarray:
        stops = self.recipe.background.exposure_stops
        return pixels if stops == 0 else np.asarray(pixels.astype(np.float32) * np.float32(2.0**stops))

    def _normal(self, frame: int) -> np.ndarray | None:
        path = None if self.normal is None else self.normal.file(frame)
        if self.normal is None or path is None:
            return None
        pixels, _ = repaired_pixels(over_plate(picture_io.read(path, self.normal.channels), self.work, self.display))
        return pixels.astype(np.float32)

    def _relit(self, frame: int) -> np.ndarray | None:
        source = self.relit
        path = None if source is None else source.file(frame)
        if source is None or path is None:
            return None
        pixels, _ = repaired_pixels(over_plate(picture_io.read(path, source.channels), self.work, self.display))
        return self._in_work_space(pixels, source.space)

    def _in_work_space(self, pixels: np.ndarray, space: Space | None) -> np.ndarray:
        if space is None or replace(space, why="") == replace(self.space, why=""):
            return pixels
        return convert(pixels.astype(np.float32), space, self.space)

    def _still(self, role: str, key: object, read: Callable[[], T]) -> T:
        """What was read last for a role, or anew under another key."""
        with self._lock:
            held = self._stills.get(role)
            if held is None or held[0] != key:
                held = self._stills[role] = (key, read())
            kept: T = held[1]
            return kept


def turned(radiance: np.ndarray, shown: ProbeFrame) -> np.ndarray:
    """A probe (3, h, 2h) float32 as it is turned and exposed on a frame; between columns it is interpolated, so that
    a slow turn is no stair."""
    # Columns run along azimuth; turning the world by +Y moves its radiance to the left.
    columns = shown.rotation_deg / 360 * radiance.shape[2]
    whole = math.floor(columns)
    part, moved = np.float32(columns - whole), np.roll(radiance, -whole, axis=2)
    if part > 0:
        moved = (1 - part) * moved + part * np.roll(moved, -1, axis=2)
    return np.asarray(moved * np.float32(2.0**shown.exposure_stops))


def plain(shown: ProbeFrame, space: Space) -> np.ndarray:
    """One radiance from all around, (3, PLAIN_LINES, 2 PLAIN_LINES) float32, linear in `space`."""
    color = matrix(named("lin_rec709_scene"), space) @ np.array(shown.color) * 2.0**shown.exposure_stops
    return np.tile(color.astype(np.float32)[:, None, None], (1, PLAIN_LINES, 2 * PLAIN_LINES))


def repaired_pixels(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """NaN becomes 0, +-Inf becomes +-65504; negatives and (in float files) values over 65504 stay. -> pixels, count."""
    from .facts import count_nonfinite

    contiguous = np.ascontiguousarray(pixels)
    count = count_nonfinite(contiguous)
    if count:
        contiguous = np.nan_to_num(contiguous, nan=0.0, posinf=65504.0, neginf=-65504.0)
    return contiguous, count


def space_of(info: PictureInfo, asked: str, key: str) -> Space:
    """The colour space of a picture, as `color.identify` finds it. Raises `ColorError` naming the recipe's `key`."""
    if asked == "auto" and info.space_hint is not None:
        return replace(named(info.space_hint), why=f"usual for {info.path.suffix} files")
    try:
        return identify(info.path, info.header, asked)
    except ColorError as error:
        raise ColorError(f"{key}: {error}") from None
