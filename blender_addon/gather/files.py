"""Paths as a .blend holds them, to files on this machine: `//`, sequences by their first file, UDIM, other machines.

Owns the sentences about files that are not where they should be. It looks at names and folders, never into pictures,
and knows no `bpy`: the folder of the .blend (or of the library that holds a datablock) is an argument.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..core import FrameError, FrameRange, SequencePath
from .findings import Findings

FIND_MISSING = "file.find_missing_files"
SAVE = "wm.save_as_mainfile"
MOVIES = frozenset({".mov", ".mp4", ".mkv", ".avi", ".webm", ".mxf", ".m4v", ".mpg", ".mpeg", ".ogv"})

_LAST_NUMBER = re.compile(r"^(?P<head>.*\D|)(?P<number>\d+)(?P<tail>\D*)$", re.DOTALL)
_WINDOWS = re.compile(r"^([A-Za-z]:[\\/]|\\\\)")


@dataclass(frozen=True)
class Numbered:
    """A sequence by one of its files: where it lies, and the number in that file's name."""

    sequence: SequencePath
    number: int


def absolute(text: str, folder: str, what: str, findings: Findings, fix: str = "") -> Path:
    """The path that a .blend's text means; `folder` is the .blend's, empty where it was never saved.

    Raises Stopped, after telling what to do, for a relative path in an unsaved .blend, for one of another system,
    and for tiles.
    """
    if not text:
        raise findings.stop(f"The {what} has no file: choose one.", fix)
    if "<UDIM>" in text or "<UVTILE>" in text:
        raise findings.stop(f"The {what} is a set of tiles ({Path(text).name}): choose a sequence of frames.", fix)
    if text.startswith("//"):
        if not folder:
            raise findings.stop(
                f"The {what} has a relative path ({text}), and this .blend was never saved: save it first.", SAVE
            )
        text = os.path.join(folder, text[2:].replace("\\", "/") if os.sep == "/" else text[2:])  # noqa: PTH118
    elif os.sep == "/" and _WINDOWS.match(text):
        raise findings.stop(f"The {what} ({text}) lies on a Windows machine: find it here.", FIND_MISSING)
    elif os.sep == "\\" and text.startswith("/"):
        raise findings.stop(f"The {what} ({text}) lies on a Linux or macOS machine: find it here.", FIND_MISSING)
    if not os.path.isabs(text):  # noqa: PTH117
        raise findings.stop(f"The {what} ({text}) has a path that starts nowhere: choose the file again.", fix)
    return Path(os.path.normpath(text))


def numbered(path: Path, what: str, findings: Findings, fix: str = "") -> Numbered:
    """The sequence that a file belongs to, by the last number of its name, as Blender reads it.

    Raises Stopped for a movie, for a name without a number, and for one that no pattern can name.
    """
    if path.suffix.lower() in MOVIES:
        raise findings.stop(f"The {what} {path.name} is a movie: write it as an EXR sequence and choose that.", fix)
    match = _LAST_NUMBER.match(path.stem)
    if match is None:
        raise findings.stop(
            f"The {what} {path.name} has no frame number in its name: choose a file such as sh010.1001.exr.", fix
        )
    digits = match["number"]
    sequence = SequencePath(path.parent, match["head"], match["tail"] + path.suffix, len(digits))
    if SequencePath.parse(str(sequence)) != sequence:
        raise findings.stop(f"The {what} {path.name} has a # or % after its frame number: rename its files.", fix)
    return Numbered(sequence, int(digits))


def on_disk(sequence: SequencePath, what: str, findings: Findings, fix: str = "") -> FrameRange:
    """The frames of a sequence that are on disk. Raises Stopped where there are none, or no folder."""
    folder, name = sequence.directory, Path(str(sequence)).name
    try:
        frames = sequence.scan()
    except FrameError:
        raise findings.stop(
            f"The {what} {name} is not on this machine, there is no folder {folder}: find it, or mount its disk.",
            FIND_MISSING,
        ) from None
    if not frames:
        raise findings.stop(f"The {what} {name} has no files in {folder}: find them, or choose others.", FIND_MISSING)
    return FrameRange.of(frames)


def require_file(path: Path, what: str, findings: Findings, fix: str = "") -> Path:
    """The file, if it is there. Raises Stopped naming what is missing: the file or its folder."""
    if path.is_file():
        return path
    if not path.parent.is_dir():
        raise findings.stop(
            f"The {what} {path.name} is not on this machine, there is no folder {path.parent}: find it, or mount its"
            " disk.",
            FIND_MISSING,
        )
    raise findings.stop(f"The {what} {path.name} is not in {path.parent}: find it, or choose another.", FIND_MISSING)


def pattern_or_still(path: Path, what: str, findings: Findings, fix: str = "") -> SequencePath:
    """What a file stands for that was chosen alone: the sequence it belongs to where it has numbered brothers.

    A path with a frame token (`####`) is that sequence. Raises Stopped where nothing is on disk.
    """
    given = SequencePath.from_path(path) if path.is_file() else SequencePath.parse(path)
    if not given.is_still:
        on_disk(given, what, findings, fix)
        return given
    if path.suffix.lower() in MOVIES:
        raise findings.stop(f"The {what} {path.name} is a movie: write it as an EXR sequence and choose that.", fix)
    require_file(path, what, findings, fix)
    match = _LAST_NUMBER.match(path.stem)
    if match is None:
        return given
    sequence = SequencePath(path.parent, match["head"], match["tail"] + path.suffix, len(match["number"]))
    pairs = SequencePath.parse(str(sequence)) == sequence
    return sequence if pairs and len(sequence.scan()) > 1 else given
