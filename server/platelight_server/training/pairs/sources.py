"""Folders of clips that pairs are made from: a folder a clip, with pictures in folders inside it.

    CLIPS/NAME/plate/      as filmed: one sequence of EXR, PNG, ... (also plate_a)
    CLIPS/NAME/matte/      of its foreground
    CLIPS/NAME/background/, relit/, clean/    where there are: a sequence or a still (also bg_b, comp_b,
                           bg_a: the layout of rendered shots)
    CLIPS/NAME/clip.toml   what it is: licence, source, colour space; or CLIPS/clip.toml for all

A clip without a stated licence is refused: it could not be said later what a network was trained on.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from platelight.document import decode, entry
from platelight.errors import FrameError, InputError, RecipeError
from platelight.frames import PICTURE_SUFFIXES, FrameRange, SequencePath
from platelight_server.color.spaces import convert, named
from platelight_server.plates import picture_io
from platelight_server.plates.channels import matte_channels, picture_channels
from platelight_server.plates.inputs import repaired_pixels, space_of
from platelight_server.plates.listing import scan, sequence_at
from platelight_server.training.clips import covering
from platelight_server.training.manifest import SPACE, hash_files

__all__ = ["FOLDERS", "NOTE", "Note", "Source", "note_of", "read_picture", "sources_in"]

NOTE = "clip.toml"
FOLDERS = {
    "plate": ("plate", "plate_a"),
    "matte": ("matte",),
    "background": ("background", "bg_b"),
    "relit": ("relit", "comp_b"),
    "flicker": ("flicker",),
    "clean": ("clean", "bg_a"),
}


_FREE = re.compile(r"(CC0|CC[ -]BY\b|public domain|MIT\b|Apache|BSD)", re.IGNORECASE)
_NOT_FREE = re.compile(r"\bNC\b|non-?commercial|evaluation only|unclear", re.IGNORECASE)


@dataclass(frozen=True)
class Note:
    """What a clip is: `clip.toml`."""

    licence: str = entry("of the pictures, as their owner states it")
    source: str = entry("where they come from", default="")
    commercial: bool | None = entry(
        "whether the licence allows commercial use; default: of CC0, CC-BY and the like", default=None
    )
    colorspace: str = entry("of the pictures; auto: as their headers say", default="auto")

    @property
    def allows(self) -> bool:
        """Whether commercial use is allowed: as stated, else only where the licence's name leaves no doubt."""
        if self.commercial is not None:
            return self.commercial
        return _FREE.match(self.licence) is not None and _NOT_FREE.search(self.licence) is None


@dataclass(frozen=True)
class Source:
    """A clip as it lies on disk. `frames` are those of its plate; all roles have them."""

    name: str
    note: Note
    frames: tuple[int, ...]
    roles: dict[str, dict[int, Path]]

    def read(self, role: str, frame: int, height: int, width: int) -> np.ndarray:
        """(3, height, width) float32, linear Rec.709; of a matte (1, height, width), 0..1. Raises FrameError."""
        return read_picture(self.roles[role][frame], role == "matte", self.note.colorspace, height, width)

    def content(self) -> dict[str, str]:
        """A hash of each role's files."""
        return {role: hash_files(files[frame] for frame in self.frames) for role, files in self.roles.items()}


def sources_in(folder: Path, licence: str = "") -> list[Source]:
    """All clips in `folder`, by name. `licence` stands for those that do not state one.

    Raises InputError where there are none, FrameError where a plate's frames have no matte or another role's gap.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of clips, found none")
    given = _given_note(folder, licence)
    found = [_source(one, given) for one in sorted(folder.iterdir()) if one.is_dir() and _inside(one, "plate")]
    if not found:
        raise InputError(f"{folder}: expected folders of clips with plate/ and matte/ in them, found none")
    return found


def read_picture(path: Path, is_matte: bool, colorspace: str, height: int, width: int) -> np.ndarray:
    """One picture at a size, covering it; see `Source.read`."""
    info = picture_io.read_info(path)
    names = matte_channels(info) if is_matte else picture_channels(info)
    pixels = repaired_pixels(picture_io.read(path, names).pixels)[0].astype(np.float32)
    if is_matte:
        if pixels.min() < 0 or pixels.max() > 1:
            raise FrameError(f"{path}: expected a matte of 0 to 1, got {pixels.min():g} to {pixels.max():g}")
        return covering(pixels[:1], height, width).clip(0, 1)
    light = convert(pixels, space_of(info, colorspace, f"{NOTE}: colorspace"), named(SPACE))
    return covering(light, height, width)


def note_of(folder: Path) -> Note | None:
    """What `clip.toml` in `folder` says; None without one. Raises RecipeError with file and key."""
    path = folder / NOTE
    if not path.is_file():
        return None
    try:
        return decode(Note, tomllib.loads(path.read_text("utf-8-sig")))
    except RecipeError as error:
        raise RecipeError(f"{path}: {error.path}", error.expected, error.found) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}", "TOML", str(error)) from None


def _given_note(folder: Path, licence: str) -> Note | None:
    return note_of(folder) or (Note(licence) if licence else None)


def _source(folder: Path, given: Note | None) -> Source:
    note = note_of(folder) or _rendered_note(folder) or given
    if note is None:
        raise InputError(
            f'{folder}: expected a licence: in {NOTE} (licence = "CC0"), there or in the folder above, or as --licence'
        )
    inside = {role: found for role in FOLDERS if (found := _inside(folder, role)) is not None}
    if "matte" not in inside:
        raise FrameError(f"{folder}: expected the folder matte/ beside the plate, found none")
    frames = tuple(_files(inside["plate"]))
    listed = {role: _still(one, frames) or _files(one) for role, one in inside.items()}
    for role, files in listed.items():
        absent = [frame for frame in frames if frame not in files]
        if absent:
            raise FrameError(f"{folder}: {role}: expected all frames of the plate, {FrameRange.of(absent)} are missing")
    return Source(folder.name, note, frames, listed)


def _inside(folder: Path, role: str) -> Path | None:
    return next((folder / name for name in FOLDERS[role] if (folder / name).is_dir()), None)


def _still(folder: Path, frames: Sequence[int]) -> dict[int, Path]:
    """The one picture in a folder for all frames; {} where there are more. A locked-off background needs no copies."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES]
    return dict.fromkeys(frames, found[0]) if len(found) == 1 else {}


def _files(folder: Path) -> dict[int, Path]:
    sequence: SequencePath = sequence_at(str(folder))
    found = scan(sequence)
    if not found:
        raise FrameError(f"{folder}: expected a sequence of pictures, found none")
    return found


def _rendered_note(folder: Path) -> Note | None:
    """Rendered shots say their licence in `shot.json`."""
    path = folder / "shot.json"
    try:
        said = json.loads(path.read_text("utf-8")).get("licence", "") if path.is_file() else ""
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: expected a shot's JSON, got {error}") from None
    return Note(str(said), f"shot {folder.name}") if said else None
