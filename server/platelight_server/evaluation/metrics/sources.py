"""A clip on disk: which files play which part, and the frames that are read from them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from platelight.errors import ColorError, FrameError
from platelight.frames import FrameRange, SequencePath

from ...color.identify import identify
from ...color.spaces import Space, convert, named
from ...plates import exr, picture_io
from ...plates.channels import matte_channels, picture_channels
from ...plates.picture import Picture, PictureInfo
from .frame import Frame

__all__ = ["PARTS", "FilesClip", "of_shot", "open_clip"]

PARTS = ("truth", "plate", "matte", "background", "foreground", "truth_foreground", "motion")
MOTION = ("mv_prev.x", "mv_prev.y")
RELIT = ("relit.R", "relit.G", "relit.B", "relit.A")
# What stands for an infinite value of a result, so that one pixel does not hide all others.
BRIGHTEST = 1e4


@dataclass(frozen=True)
class FilesClip:
    """Sequences that have the same frames and the same size. Frames are read anew each time, one at a time."""

    name: str
    numbers: Sequence[int]
    result: SequencePath
    parts: Mapping[str, SequencePath]
    colorspace: str = "auto"
    motion_channels: tuple[str, str] = MOTION

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(at) for at in range(len(self.numbers)))

    def frame(self, at: int) -> Frame:
        """The frame at a place of the clip, from 0. Raises `FrameError` and `ColorError` naming the file."""
        number = self.numbers[at]
        result, relit, nonfinite = self._result(self.result.path(number))
        size = (result.shape[1], result.shape[0])
        pictures: dict[str, Any] = {}
        for part, sequence in self.parts.items():
            path = sequence.path(number)
            picture = self._read(part, path)
            if (picture.shape[1], picture.shape[0]) != size:
                raise FrameError(
                    f"{path}: expected {size[0]}x{size[1]}, as the result has, "
                    f"got {picture.shape[1]}x{picture.shape[0]} for --{part.replace('_', '-')}"
                )
            pictures[part] = picture
        return Frame(number, at, result, relit=relit, nonfinite=nonfinite, **pictures)

    def _result(self, path: Path) -> tuple[np.ndarray, np.ndarray | None, int]:
        info = picture_io.read_info(path)
        has_layer = set(RELIT) <= set(info.channels)
        names = (*picture_channels(info), *(RELIT if has_layer else ()))
        picture = picture_io.read(path, names)
        pixels = _over_display(picture)
        space = self._space(info)
        composite = _hwc(convert(pixels[:3], space, named("lin_rec709_scene")))
        nonfinite = int(np.count_nonzero(~np.isfinite(composite)))
        relit = None
        if has_layer:
            layer = _hwc(convert(pixels[3:6], space, named("lin_rec709_scene")))
            relit = _finite(np.concatenate([layer, pixels[6][..., None]], -1))
        return _finite(composite), relit, nonfinite

    def _read(self, part: str, path: Path) -> np.ndarray:
        info = picture_io.read_info(path)
        if part == "matte":
            return np.asarray(_over_display(picture_io.read(path, matte_channels(info)))[0])
        if part == "motion":
            return _hwc(_over_display(picture_io.read(path, self.motion_channels)))
        pixels = _over_display(picture_io.read(path, picture_channels(info)))
        return _hwc(convert(pixels, self._space(info), named("lin_rec709_scene")))

    def _space(self, info: PictureInfo) -> Space:
        try:
            asked = self.colorspace if self.colorspace != "auto" else (info.space_hint or "auto")
            return identify(info.path, info.header, asked)
        except ColorError as error:
            said = str(error).partition("; name it")[0]
            raise ColorError(f"{said}; name it with --colorspace") from None


def open_clip(
    result: str,
    parts: Mapping[str, str],
    frames: str | None = None,
    name: str = "",
    colorspace: str = "auto",
    motion_channels: tuple[str, str] = MOTION,
) -> FilesClip:
    """Finds all files and reads none. Frames are those of the truth, else of the plate, else of the result.

    Raises `FrameError` naming a sequence and the frames that it lacks, `RecipeError` for a range that cannot be read.
    """
    sequences = {part: SequencePath.from_path(text) for part, text in parts.items()}
    found = _result_sequence(result)
    if found.is_still:
        raise FrameError(f"{result}: expected a sequence such as name.####.exr, got one picture")
    leading = next((s for s in (*(sequences.get(p) for p in ("truth", "plate")), found) if s and not s.is_still), found)
    on_disk = tuple(leading.scan())
    if not on_disk:
        raise FrameError(f"{leading}: expected frames, found none")
    numbers = FrameRange.of(on_disk) if frames is None else FrameRange.parse(frames)
    for part, sequence in {"result": found, **sequences}.items():
        _require(part, sequence, numbers)
    return FilesClip(
        name or Path(str(found)).stem.split(".")[0], tuple(numbers), found, sequences, colorspace, motion_channels
    )


def of_shot(folder: Path) -> tuple[str, dict[str, str], str | None]:
    """Name, parts and frames of a shot laid out as the development set's are. Raises `FrameError`."""
    try:
        told = json.loads((folder / "shot.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FrameError(f"{folder}: expected a shot with a shot.json, got {error}") from None
    names = {"truth": "comp_b", "background": "bg_b", "foreground": "fg_a", "truth_foreground": "fg_b", "motion": "aov"}
    names |= {"plate": "plate_a" if (folder / "plate_a").is_dir() else "plate", "matte": "matte"}
    found = {part: str(folder / name) for part, name in names.items() if (folder / name).is_dir()}
    still = folder / "bg_b" / "bg_b.exr"
    if still.is_file():
        found["background"] = str(still)
    if "matte" not in found and "plate" in found:
        found["matte"] = found["plate"]  # its alpha
    first, count = int(told.get("first", 1001)), told.get("frames")
    return str(told.get("name", folder.name)), found, f"{first}-{first + int(count) - 1}" if count else None


def _result_sequence(text: str) -> SequencePath:
    """The result's frames; of a folder that a job wrote, those of the composite."""
    folder = Path(text)
    if folder.is_dir():
        patterns = {
            re.sub(r"-?\d+$", lambda number: "#" * len(number.group()), path.stem) + path.suffix
            for path in folder.glob("*.exr")
            if not re.search(r"\.aux\.-?\d+$", path.stem)
        }
        if len(patterns) == 1:
            return SequencePath.parse(folder / patterns.pop())
    return SequencePath.from_path(text)


def _require(part: str, sequence: SequencePath, numbers: FrameRange) -> None:
    lost = sequence.missing(numbers)
    if not lost:
        return
    flag = f"--{part.replace('_', '-')}"
    if sequence.is_still:
        raise FrameError(f"{sequence}: no such file, given for {flag}")
    raise FrameError(
        f"{sequence}: expected frames {numbers} for {flag}, {len(lost)} of {len(numbers)} are missing: "
        f"{FrameRange.of(lost)}; give them, or choose others with --frames"
    )


def _over_display(picture: Picture) -> np.ndarray:
    """(C, H, W) float32 over the display window; 0 where the file has no data."""
    return exr.place(np.asarray(picture.pixels, np.float32), picture.info.data, picture.info.display)


def _hwc(planes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(planes.transpose(1, 2, 0), np.float32)


def _finite(pixels: np.ndarray) -> np.ndarray:
    """NaN and -Inf become 0, +Inf the brightest."""
    return np.asarray(np.nan_to_num(pixels, nan=0.0, posinf=BRIGHTEST, neginf=0.0))
