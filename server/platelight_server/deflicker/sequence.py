"""Opens the sequences of a deflickering job, compares them, and reads one frame: the door to disk of this folder.

All is held against the relit sequence: its frames, display window and colour space. Every file that is needed is
decoded and hashed before work, as for a relight; the facts are remembered beside the result.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from platelight.errors import FrameError
from platelight.frames import FrameRange, SequencePath
from platelight_server.color.spaces import Space, convert, is_linear, named
from platelight_server.deflicker.steady import RADIUS_MOST, VERSION
from platelight_server.fingerprint import color_test
from platelight_server.plates import opening, picture_io
from platelight_server.plates.channels import matte_channels, picture_channels
from platelight_server.plates.facts import FactIndex
from platelight_server.plates.geometry import over_plate
from platelight_server.plates.inputs import repaired_pixels, space_of
from platelight_server.plates.listing import scan, sequence_at
from platelight_server.plates.picture import Box, PictureInfo
from platelight_server.plates.shot import MATTE_MOST

# Layers of vectors to the frame before, and whether their second number points up.
VECTORS = (("Vector.X", "Vector.Y", True), ("backward.u", "backward.v", True), ("mv_prev.x", "mv_prev.y", False))


@dataclass(frozen=True)
class Asked:
    """A deflickering job as it is asked for. Patterns are those of sequences, or folders."""

    source: str
    relit: str
    out: str
    matte: str | None = None
    vectors: str | None = None
    frames: FrameRange | None = None
    radius: int = 6
    strength: float = 1.0
    detail: float = 0.0
    lines: int = 540
    source_space: str = "auto"
    relit_space: str = "auto"
    repair: bool = False
    compression: str = "zips"


@dataclass(frozen=True)
class Input:
    """One sequence, opened. `flips` says that its second channel points up."""

    role: str
    files: Mapping[int, Path]
    channels: tuple[str, ...]
    info: PictureInfo
    flips: bool = False


@dataclass(frozen=True)
class Opened:
    """Sequences that agree. `frames` are all of the shot, `wanted` those to be written; `work` is the box around the
    relit pictures' data windows."""

    asked: Asked
    inputs: Mapping[str, Input]
    frames: tuple[int, ...]
    wanted: tuple[int, ...]
    work: Box
    space: Space
    source_space: Space
    digests: Mapping[Path, str]
    index: FactIndex
    warnings: tuple[str, ...]

    def window(self, frame: int) -> tuple[int, ...]:
        """The frames that a frame's result depends on."""
        at = self.frames.index(frame)
        return self.frames[max(0, at - self.asked.radius) : at + self.asked.radius + 1]

    def read(self, role: str, frame: int) -> np.ndarray | None:
        """(C, H, W) float32 over the work window, finite, in the relit sequence's primaries; `None` where not given."""
        given = self.inputs.get(role)
        if given is None:
            return None
        path = given.files[frame]
        display = self.inputs["relit"].info.display
        pixels, _ = repaired_pixels(over_plate(picture_io.read(path, given.channels), self.work, display))
        pixels = pixels.astype(np.float32)
        if role == "source" and self.source_space.name != self.space.name:
            pixels = convert(pixels, self.source_space, self.space)
        if role == "matte":
            return np.asarray(np.clip(pixels[:1], 0, 1))
        if given.flips:
            pixels[1] *= -1
        return pixels

    def hash_of(self, frame: int) -> str:
        """Everything that a frame's pixels depend on."""
        asked = self.asked
        document: dict[str, Any] = {
            "deflicker": VERSION,
            "dials": [asked.radius, asked.strength, asked.detail, asked.lines],
            "space": [self.space.name, *color_test(self.source_space, self.space)],
            "work": str(self.work),
            "frame": frame,
            "read": [
                [other, {role: self.digests[given.files[other]] for role, given in self.inputs.items()}]
                for other in self.window(frame)
            ],
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def open_sequences(asked: Asked) -> Opened:
    """Raises `FrameError` and `ColorError` for what cannot be used: the first thing that is wrong."""
    if not 0 <= asked.radius <= RADIUS_MOST:
        raise FrameError(f"--radius: expected 0 to {RADIUS_MOST}, got {asked.radius}")
    given = {"relit": asked.relit, "source": asked.source, "matte": asked.matte, "vectors": asked.vectors}
    sequences = {role: sequence_at(text) for role, text in given.items() if text is not None}
    on_disk = _frames_on_disk(asked.relit, sequences["relit"])
    frames = tuple(sorted(on_disk))
    wanted = tuple((asked.frames or FrameRange.of(frames)).frames)
    near = {f for frame in wanted for f in _near(frames, frame, asked.radius)}
    needed = [f for f in range(min(near | set(wanted)), max(near | set(wanted)) + 1)]
    inputs = {role: _input(role, sequence, needed) for role, sequence in sequences.items()}
    work = _agree(inputs, needed)
    space, source_space = (
        _linear(inputs[role], name, f"--{role}-colorspace")
        for role, name in (("relit", asked.relit_space), ("source", asked.source_space))
    )
    target = output_of(asked, wanted[0])
    index = FactIndex(FactIndex.place(target.parent, target.name.partition(".")[0]))
    digests, warnings = _looked_at(inputs, needed, index, asked.repair)
    _not_over_itself(asked, inputs, wanted)
    return Opened(asked, inputs, frames, wanted, work, space, source_space, digests, index, tuple(warnings))


def output_of(asked: Asked, frame: int) -> Path:
    """The file of a frame: `--out` names a pattern, or a folder in which the relit files' names are kept."""
    if asked.out.lower().endswith(".exr"):
        pattern = SequencePath.parse(asked.out)
        if pattern.is_still:
            raise FrameError(f"--out: expected a folder or a pattern such as name.####.exr, got {asked.out}")
        return pattern.path(frame)
    relit = sequence_at(asked.relit)
    return Path(asked.out) / relit.path(frame).with_suffix(".exr").name


def _frames_on_disk(text: str, sequence: SequencePath) -> dict[int, Path]:
    if sequence.is_still:
        raise FrameError(f"--relit: expected a sequence such as name.####.exr, got one file: {text}")
    found = scan(sequence)
    if not found:
        raise FrameError(f"--relit: {sequence}: no frame found")
    return found


def _near(frames: Sequence[int], frame: int, radius: int) -> Sequence[int]:
    if frame not in frames:
        raise FrameError(f"--frames: frame {frame}: expected one of the relit sequence, it has {FrameRange.of(frames)}")
    at = frames.index(frame)
    return frames[max(0, at - radius) : at + radius + 1]


def _input(role: str, sequence: SequencePath, needed: Sequence[int]) -> Input:
    """A sequence with a file for every needed frame. A still serves all, as a matte."""
    if sequence.is_still and role != "matte":
        raise FrameError(f"--{role}: expected a sequence such as name.####.exr, got one file: {sequence}")
    on_disk = dict.fromkeys(needed, sequence.path(0)) if sequence.is_still else scan(sequence)
    lost = [frame for frame in needed if frame not in on_disk]
    if lost:
        there = f"it has {FrameRange.of(on_disk)}" if on_disk else "it has no frame"
        raise FrameError(f"--{role}: {sequence}: missing frames {FrameRange.of(lost)} ({there})")
    info = picture_io.read_info(on_disk[needed[0]])
    files = {frame: on_disk[frame] for frame in needed}
    if role == "matte":
        return Input(role, files, matte_channels(info), info)
    if role == "vectors":
        for x, y, flips in VECTORS:
            found = [name for name in info.channels if name == x or name.endswith(f".{x}")]
            if found:
                return Input(role, files, (found[0], found[0][: -len(x)] + y), info, flips)
        names = " or ".join(f"{x}, {y}" for x, y, _ in VECTORS)
        raise FrameError(f"{info.path}: expected motion vectors to the frame before, {names}, it has {info.channels}")
    return Input(role, files, picture_channels(info), info)


def _agree(inputs: Mapping[str, Input], needed: Sequence[int]) -> Box:
    """The box around the relit pictures. Raises `FrameError` where a display window is another, or a channel lacks."""
    display = inputs["relit"].info.display
    boxes = {}
    for role, given in inputs.items():
        if (given.info.display.width, given.info.display.height) != (display.width, display.height):
            raise FrameError(
                f"--{role}: {given.info.path}: expected {display} like the relit picture, got {given.info.display}"
            )
        boxes[role], wrong = opening.agree([given.files[f] for f in needed], given.info, given.channels, f"--{role}")
        if wrong:
            raise FrameError(wrong[0])
    return boxes["relit"]


def _linear(given: Input, asked: str, key: str) -> Space:
    space = space_of(given.info, asked, key) if asked == "auto" else named(asked)
    if space.is_data or not is_linear(space):
        raise FrameError(
            f"{given.info.path}: expected a scene-linear picture, got {space.name}; convert it first ({key})"
        )
    return space


def _looked_at(
    inputs: Mapping[str, Input], needed: Sequence[int], index: FactIndex, repair: bool
) -> tuple[dict[Path, str], list[str]]:
    """Digests of all files, and what is to be said of them. Raises `FrameError` for damaged and not finite ones."""
    digests: dict[Path, str] = {}
    warnings = []
    for role, given in inputs.items():
        facts, damaged = opening.look_at([given.files[f] for f in needed], given.channels, index, os.cpu_count() or 1)
        if damaged:
            raise FrameError(f"--{role}: {next(iter(damaged.values()))}")
        bad = {path: sum(fact.nonfinite) for path, fact in facts.items() if sum(fact.nonfinite)}
        if bad and not repair:
            path, count = next(iter(bad.items()))
            raise FrameError(
                f"--{role}: {path}: expected finite pixels, got {count} NaN or Inf values ({len(bad)} such frames);"
                " repair the file, or give --repair (NaN becomes 0, Inf becomes 65504)"
            )
        if bad:
            warnings.append(f"{role}: {len(bad)} frames with NaN or Inf values, which become 0 and 65504")
        for path, fact in facts.items():
            if role == "matte" and (max(fact.highs) > MATTE_MOST or min(fact.lows) < 1 - MATTE_MOST):
                raise FrameError(
                    f"--matte: {path}: expected a matte from 0 to 1, got {min(fact.lows):g} to {max(fact.highs):g}"
                )
            digests[path] = fact.digest
    return digests, warnings


def _not_over_itself(asked: Asked, inputs: Mapping[str, Input], wanted: Sequence[int]) -> None:
    """A result written over its own input would be read as input of the next frame."""
    read = {path.resolve() for given in inputs.values() for path in given.files.values()}
    for frame in wanted:
        if output_of(asked, frame).resolve() in read:
            raise FrameError(f"--out: {output_of(asked, frame)} is one of the inputs; name another folder or file")
