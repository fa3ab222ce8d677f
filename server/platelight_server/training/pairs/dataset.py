"""Writing a dataset folder: a clip is there whole or not at all, and is not made again while its key is the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from platelight.errors import InputError, OutputError
from platelight.frames import SequencePath
from platelight_server.plates.frames_out import prepare_folder, write_frame
from platelight_server.training.manifest import (
    MANIFEST,
    Clip,
    Manifest,
    Pictures,
    files_of,
    hash_files,
    read_manifest,
    write_manifest,
)

__all__ = ["Dataset"]

HEADER = {"colorInteropID": "lin_rec709_scene"}
HALF_MOST = 65504.0
COMPRESSION = "zip"


class Dataset:
    """The dataset in `folder`, new or begun before. Raises InputError where it has pictures of another size."""

    def __init__(self, folder: Path, height: int, width: int) -> None:
        self.folder = folder
        prepare_folder(folder)
        self.manifest = read_manifest(folder) if (folder / MANIFEST).is_file() else Manifest(height, width)
        if (self.manifest.height, self.manifest.width) != (height, width):
            came = f"{self.manifest.width}x{self.manifest.height}"
            raise InputError(f"{folder}: expected a dataset of {width}x{height}, it has {came}; name another folder")

    def holds(self, name: str, key: str) -> bool:
        """Whether a clip was made with this key and all its files are there."""
        clip = next((one for one in self.manifest.clips if one.name == name), None)
        if clip is None or clip.key != key:
            return False
        return all(path.is_file() for role in clip.roles for path in files_of(self.folder, clip, role, clip.frames))

    def add(self, clip: Clip, made: Iterable[tuple[int, Mapping[str, np.ndarray]]]) -> Clip:
        """Writes a clip's pictures as they come, then its line in the manifest; replaces one of its name.

        made   frame, role -> (3, h, w) float32, linear Rec.709 (a matte (1, h, w), 0..1)
        Raises OutputError; what `made` raises passes. Either leaves the dataset as it was.
        """
        fresh = self.folder / f".{clip.name}.{os.getpid()}"
        for leftover in self.folder.glob(f".{clip.name}.*"):
            shutil.rmtree(leftover, ignore_errors=True)
        patterns: dict[str, str] = {}
        try:
            for frame, pictures in made:
                for role, pixels in pictures.items():
                    patterns[role] = f"{clip.name}/{role}/{role}.####.exr"
                    _write(fresh / role / f"{role}.{frame:04d}.exr", pixels)
            shutil.rmtree(self.folder / clip.name, ignore_errors=True)
            fresh.rename(self.folder / clip.name)
        except OSError as error:
            raise OutputError(f"{self.folder / clip.name}: cannot be written: {error.strerror or error}") from None
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return self._note(clip, patterns)

    def _note(self, clip: Clip, patterns: Mapping[str, str]) -> Clip:
        roles = {}
        for role, pattern in sorted(patterns.items()):
            sequence = SequencePath.parse(self.folder / pattern)
            roles[role] = Pictures(pattern, hash_files(sequence.path(frame) for frame in clip.frames))
        whole = Clip(**{**vars(clip), "roles": roles})
        self.manifest = self.manifest.with_clip(whole)
        write_manifest(self.folder, self.manifest)
        return whole


def _write(path: Path, pixels: np.ndarray) -> None:
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
    planes = np.clip(pixels, -HALF_MOST, HALF_MOST).astype(np.float16)
    names = "A" if len(planes) == 1 else "RGB"
    write_frame(path, dict(zip(names, planes, strict=True)), HEADER, COMPRESSION)
