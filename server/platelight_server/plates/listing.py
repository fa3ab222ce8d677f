"""Listing the files of a sequence through the fence; messages name the folder as it was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from platelight.errors import FrameError
from platelight.frames import SequencePath

from . import fence


def sequence_at(text: str) -> SequencePath:
    """As `SequencePath.from_path`. Raises `FrameError` and `ForbiddenPathError`."""
    path = Path(text)
    if not fence.stands():
        return SequencePath.from_path(text)
    if fence.is_dir(path):
        with _folder(path) as name:
            return replace(SequencePath.from_path(name), directory=path)
    return SequencePath(path.parent, path.name) if fence.is_file(path) else SequencePath.parse(text)


def scan(sequence: SequencePath) -> dict[int, Path]:
    """As `SequencePath.scan`. Raises `FrameError` and `ForbiddenPathError`."""
    if not fence.stands() or sequence.is_still:
        return sequence.scan()
    with _folder(sequence.directory) as name:
        found = replace(sequence, directory=name).scan()
    return {frame: sequence.directory / path.name for frame, path in found.items()}


@contextmanager
def _folder(directory: Path) -> Iterator[Path]:
    name = directory
    try:
        with fence.folder(directory) as name:
            yield name
    except FrameError as error:
        raise FrameError(str(error).replace(str(name), str(directory))) from None
    except OSError as error:
        raise FrameError(
            f"{directory}: expected a directory with frames, got: {error.strerror or error}; check the path"
        ) from None
