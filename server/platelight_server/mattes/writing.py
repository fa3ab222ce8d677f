"""Mattes of a shot on disk: one EXR a frame, channel A, with the plate's windows and how it was made.

A frame whose header carries its current hash is left alone, so a run that was stopped goes on at the first frame that
is missing. The hash covers the method with its numbers and models, and the contents of every plate that the matte
depends on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from platelight import __version__

from ..fingerprint import is_current
from ..plates import frames_out
from ..plates.facts import Facts
from ..plates.header import carried, stated
from ..plates.inputs import FullFrame, Inputs
from .interface import MatteSource

__all__ = ["MatteFiles", "write_mattes"]

COMPRESSION = "zips"


@dataclass(frozen=True)
class MatteFiles:
    """Where a shot's mattes go, and what their plates are: `digests` by frame."""

    folder: Path
    name: str
    inputs: Inputs
    digests: Mapping[int, str]
    dials: Mapping[str, Any]

    @staticmethod
    def of(
        folder: Path, name: str, inputs: Inputs, facts: Mapping[tuple[str, Path], Facts], dials: Mapping[str, Any]
    ) -> MatteFiles:
        """The files of an opened shot."""
        digests = {
            frame: "black" if path is None else facts["plate", path].digest
            for frame, path in inputs.plate.files.items()
        }
        return MatteFiles(folder, name, inputs, digests, dials)

    def path(self, frame: int) -> Path:
        """`NAME.####.exr`; the sign of a negative frame stands before its digits."""
        return self.folder / f"{self.name}.{'-' if frame < 0 else ''}{abs(frame):04d}.exr"

    def hash(self, frame: int, source: MatteSource) -> str:
        """Everything that the matte of a frame depends on."""
        known = {
            "version": __version__,
            "said": dict(source.said),
            "dials": dict(self.dials),
            "space": self.inputs.space.name,
            "frame": frame,
            "plates": [[one, self.digests[one]] for one in sorted(source.depends(frame))],
        }
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    def write(self, frame: int, matte: np.ndarray, full: FullFrame, source: MatteSource) -> None:
        """Writes one matte (1, H, W) over the work window, cut to the plate's data window. Raises `OutputError`."""
        work, data = self.inputs.work, full.data
        rows = slice(data.y_first - work.y_first, data.y_last - work.y_first + 1)
        columns = slice(data.x_first - work.x_first, data.x_last - work.x_first + 1)
        said = {"version": __version__, "matte": {**source.said, **self.dials}, "frame": frame}
        header = {
            **carried(full.header),
            "colorInteropID": "data",
            **stated({**said, "frameHash": self.hash(frame, source)}),
            "dataWindow": ((data.x_first, data.y_first), (data.x_last, data.y_last)),
        }
        plane = np.ascontiguousarray(matte[0, rows, columns].astype(np.float16))
        frames_out.write_frame(self.path(frame), {"A": plane}, header, COMPRESSION)


def write_mattes(
    files: MatteFiles, source: MatteSource, frames: tuple[int, ...], force: bool, cancelled: Callable[[], bool]
) -> Iterator[tuple[str, int]]:
    """Makes and writes the mattes that are not current; yields ("current" or "done", frame) as it goes.

    Ends early when `cancelled` says so between two frames; what is written by then stays.
    """
    current = [f for f in frames if not force and is_current((files.path(f),), files.hash(f, source))]
    for frame in current:
        yield "current", frame
    wanted = frozenset(frames) - frozenset(current)
    if not wanted or cancelled():
        return
    for frame, matte in source.mattes(wanted):
        files.write(frame, matte, files.inputs.read(frame), source)
        yield "done", frame
        if cancelled():
            return
