"""Pictures of dataset clips at the size of training: the one place of training that reads pixels from disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from platelight.errors import FrameError
from platelight_server.plates import picture_io
from platelight_server.plates.geometry import resize
from platelight_server.training.manifest import Clip, files_of

__all__ = ["covering", "read_role", "window_frames"]

_CHANNELS = {"matte": ("A",)}


def window_frames(clip: Clip, start: int, count: int) -> list[int]:
    """`count` frames of a clip from its frame number `start` on (counted from 0); what is beyond holds the last."""
    frames = clip.frames.frames[start : start + count]
    return [*frames, *[frames[-1]] * (count - len(frames))]


def read_role(folder: Path, clip: Clip, role: str, frames: Sequence[int], height: int, width: int) -> torch.Tensor:
    """(F, 3, height, width) float32, linear Rec.709; for mattes (F, 1, height, width), 0..1.

    Raises FrameError where a file is missing or damaged, or its size differs from the first one's.
    """
    names = _CHANNELS.get(role, ("R", "G", "B"))
    pictures = _read(files_of(folder, clip, role, frames), names, height, width)
    return pictures.clamp(0, 1) if role == "matte" else pictures


def _read(files: Iterable[Path], names: tuple[str, ...], height: int, width: int) -> torch.Tensor:
    read: dict[Path, np.ndarray] = {}
    planes, size = [], None
    for path in files:
        if path not in read:
            pixels = picture_io.read(path, names).pixels
            size = size or pixels.shape
            if pixels.shape != size:
                raise FrameError(
                    f"{path}: expected {size[2]}x{size[1]}, as the clip's first frame, "
                    f"got {pixels.shape[2]}x{pixels.shape[1]}"
                )
            read[path] = covering(
                np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=65504.0, neginf=0.0), height, width
            )
        planes.append(read[path])
    return torch.from_numpy(np.stack(planes))


def covering(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(C, H, W) -> (C, height, width) float32: scaled to cover the size, what is beyond cut off on both sides alike."""
    scale = max(height / pixels.shape[1], width / pixels.shape[2])
    rows, columns = max(height, round(pixels.shape[1] * scale)), max(width, round(pixels.shape[2] * scale))
    scaled = resize(pixels, rows, columns)
    top, left = (rows - height) // 2, (columns - width) // 2
    return np.ascontiguousarray(scaled[:, top : top + height, left : left + width])
