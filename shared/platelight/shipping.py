"""How a recipe travels: by path, where the server sees the same files, or by value, with its files beside it.

By path its absolute paths become places (`ROOT:path`) and its relative ones stay, beside the place of the folder they
start at. By value every input file is uploaded; relative paths stay as they are, now below `job:in`, so that headers
say the same as those of a run on this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from .errors import AccessError, FrameError
from .frames import SequencePath
from .places import JOB_ROOT, Roots, is_place
from .recipe import Background, Recipe, paths_of, with_paths

DEPTH_MOST = 8  # of the names of uploaded files
IN, OUT = f"{JOB_ROOT}:in", f"{JOB_ROOT}:out"


@dataclass(frozen=True)
class Shipment:
    """A recipe ready to be sent: packed, the place that its relative paths start at, and the files to upload."""

    packed: bytes
    base: str = ""
    by_value: bool = False
    files: Mapping[str, Path] = field(default_factory=dict)


def by_path(recipe: Recipe, base: Path, roots: Roots) -> Shipment:
    """For a server that sees the files. Raises `AccessError` naming the roots where it does not."""
    folder = _without_dots(base.absolute())
    clean = with_paths(recipe, lambda text: str(_without_dots(Path(text))) if Path(text).is_absolute() else text)
    try:
        place = roots.place(folder)
    except AccessError:
        place = ""
        clean = with_paths(clean, lambda text: text if is_place(text) else str(_without_dots(folder / text)))
    if not any(not Path(text).is_absolute() and not is_place(text) for _, text in paths_of(clean)):
        place = ""
    return Shipment(roots.to_wire(clean).pack(), place)


def by_value(recipe: Recipe, base: Path) -> Shipment:
    """For a server that does not. Raises `FrameError` where a folder holds no sequence, or more than one."""
    files: dict[str, Path] = {}
    moved: dict[str, str] = {}
    frames = recipe.frames

    def take(text: str, offset: int = 0) -> str:
        if is_place(text):
            return text
        key = f"{text}\0{offset}"
        if key not in moved:
            moved[key] = _take(text, base.absolute() / text, range(frames.first + offset, frames.last + offset + 1))
        return moved[key]

    def _take(text: str, path: Path, wanted: range) -> str:
        found = list(_files_of(path, wanted))
        folder = _kept_name(text)
        if folder is None:
            folder = f"_{len(moved) + 1}"
            new_text = folder if path.is_dir() else f"{folder}/{path.name}"
        else:
            new_text, folder = folder, folder if path.is_dir() else str(PurePosixPath(folder).parent)
        files.update({str(PurePosixPath(folder, one.name)): one for one in found})
        return new_text

    background = with_paths(recipe.background, lambda text: take(text, recipe.background.frame_offset))
    output = replace(recipe.output, directory=OUT)
    kept = with_paths(replace(recipe, background=Background(), output=output), take)
    kept = replace(kept, background=background)
    return Shipment(kept.pack(), IN, True, files)


def _kept_name(text: str) -> str | None:
    """A relative path that may stay as it is; None where it leads up, is absolute or too deep."""
    path = Path(text)
    name = PurePosixPath(path.as_posix())
    plain = not path.is_absolute() and ".." not in name.parts and 1 <= len(name.parts) < DEPTH_MOST
    return str(name) if plain and not {":", "\\"} & set(str(name)) else None


def _files_of(path: Path, wanted: Iterable[int]) -> Iterable[Path]:
    """The files that a path of a recipe stands for, as far as they are there; the check says what is missing."""
    sequence = SequencePath.from_path(path)
    if sequence.is_still:
        still = sequence.path(0)
        return [still] if still.is_file() else []
    numbers = set(wanted)
    try:
        return [file for frame, file in sequence.scan().items() if frame in numbers]
    except FrameError:
        return []


def _without_dots(path: Path) -> Path:
    """The same file without `..`, as the disk has it: a link before `..` leads elsewhere than its text."""
    if ".." not in path.parts:
        return path
    last = max(i for i, part in enumerate(path.parts) if part == "..")
    return Path(*path.parts[: last + 1]).resolve().joinpath(*path.parts[last + 1 :])
