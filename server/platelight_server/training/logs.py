"""TensorBoard's logs of a run. What a resumed run writes again takes the place of what is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image

from platelight.errors import MissingExtraError, OutputError

__all__ = ["Logs"]


class Logs:
    """Figures and pictures by step. Only one process of a run writes; the others' calls do nothing."""

    def __init__(self, folder: Path, step: int, writes: bool) -> None:
        self._folder, self._writer = folder, None if not writes else _writer(folder, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is None:
            return
        try:
            self._writer.close()
        except OSError:
            if error is None:
                raise OutputError(f"{self._folder}: the logs cannot be written; is the disk full?") from None

    def figures(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Numbers of a step. Raises OutputError."""
        for name, value in values.items():
            self._write("add_scalar", f"{group}/{name}", value, step)

    def picture(self, name: str, path: Path, step: int) -> None:
        """A picture that is on disk. Raises OutputError."""
        with Image.open(path) as opened:
            self._write("add_image", name, np.asarray(opened.convert("RGB")), step, dataformats="HWC")

    def _write(self, what: str, *values: Any, **more: Any) -> None:
        if self._writer is None:
            return
        try:
            getattr(self._writer, what)(*values, **more)
            self._writer.flush()
        except OSError as error:
            raise OutputError(
                f"{self._folder}: the logs cannot be written: {error.strerror or error}; the last checkpoint is whole"
            ) from None


def _writer(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError(
            "training logs need tensorboard, which is not installed; run: pip install 'platelight[train]'"
        ) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
    except OSError as error:
        raise OutputError(f"{folder}: the logs cannot be written: {error.strerror or error}") from None
