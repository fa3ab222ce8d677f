"""What a job has delivered so far, as a value: which files, which frames, at which time of the scene.

Knows files and numbers, not Blender. Three numbers are kept apart: a *file number* stands in a file's name, a *scene
frame* is Blender's time, and `scene_frame_first` ties the first file number to one of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..core import FrameError, FrameRange, InputError, SequencePath
from .versions import version_of

_PART = re.compile(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?", re.ASCII)


@dataclass(frozen=True)
class Run:
    """Scene frames `first`, `first + step` ... up to `last`."""

    first: int
    last: int
    step: int


@dataclass(frozen=True)
class Delivery:
    """One version of a shot's result.

    folder              where `NAME.####.exr` and `NAME.aux.####.exr` lie, as this machine sees it
    frames              file numbers that the job was asked for
    scene_frame_first   the scene frame at which the first of them shows
    delivered           file numbers that are on disk, whole
    colorspace          Blender's name of the plate's colour space
    aux                 whether the artist wants the auxiliary layers, with them the dials
    """

    folder: Path
    name: str
    frames: FrameRange
    scene_frame_first: int
    delivered: FrameRange
    colorspace: str
    aux: bool = True

    def __post_init__(self) -> None:
        if self.delivered.first < 0:
            text = f"{self.name}: Blender reads no sequence with negative file numbers, got {self.delivered.first}"
            raise FrameError(f"{text}. Renumber the plate so that it begins at 0 or later, and relight again.")

    def main_file(self, number: int) -> Path:
        """The file with the composite and what it is made of."""
        return self.folder / f"{self.name}.{number:04d}.exr"

    def aux_file(self, number: int) -> Path:
        """The file with the layers that the composite can be rebuilt from."""
        return self.folder / f"{self.name}.aux.{number:04d}.exr"

    def scene_frame(self, number: int) -> int:
        """When a file shows."""
        return self.scene_frame_first + number - self.frames.first

    def file_number(self, scene_frame: int) -> int:
        """Which file shows; the inverse of `scene_frame`."""
        return scene_frame - self.scene_frame_first + self.frames.first

    def runs(self) -> tuple[Run, ...]:
        """The scene frames that are delivered, in as few evenly stepped runs as their text has."""
        found = []
        for part in str(self.delivered).split(","):
            first, last, step = re.fullmatch(_PART, part).groups()
            first, last = int(first), int(last if last is not None else first)
            found.append(Run(self.scene_frame(first), self.scene_frame(last), int(step or 1)))
        return tuple(found)

    def missing(self) -> str:
        """`frames 1003-1005 not delivered`, or nothing where all frames are there."""
        absent = [number for number in self.frames if number not in self.delivered]
        if not absent:
            return ""
        return f"frame{'s' if len(absent) > 1 else ''} {FrameRange.of(absent)} not delivered"

    def title(self) -> str:
        """Name and version, as a node's label begins."""
        return f"{self.name} {self.folder.name}" if version_of(self.folder) is not None else self.name


def found_in(folder: Path, name: str) -> FrameRange:
    """The file numbers of `NAME.####.exr` that lie in a folder. Raises InputError where there is none."""
    numbers = SequencePath.parse(folder / f"{name}.####.exr").scan()
    if not numbers:
        raise InputError(f"{folder}: expected {name}.####.exr, found none. Relight the shot, or check the folder.")
    return FrameRange.of(numbers)
