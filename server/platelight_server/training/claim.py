"""A run's folder belongs to one process at a time: of two, each would go on with the other's checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platelight.errors import OutputError, ResourceError
from platelight_server.alone import holder, only_one
from platelight_server.plates.frames_out import prepare_folder

__all__ = ["claimed"]


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder is this process's while the block runs; what a killed process left behind does not count.

    Raises ResourceError naming who trains there, OutputError where the folder cannot be written.
    """
    path = folder / "lock"
    prepare_folder(folder)
    try:
        lock = only_one(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be locked: {error.strerror or error}") from None
    if lock is None:
        raise ResourceError(
            f"{folder}: expected a run that nobody else trains, it is being trained by {holder(path)}; "
            "wait for its end, or name another run"
        )
    with lock:
        yield
