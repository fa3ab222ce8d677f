"""Which file serves which frame of a deflickering job, and what is done about missing and damaged ones.

The policies have a recipe's words. A frame without its relit or its source picture says nothing about the light of the
frames around it. Under `hold` it shows the nearest earlier frame that is whole, else the next; under `black` nothing;
under `skip` it is not written. A lost matte is held, black, or its frame is skipped; for lost vectors motion is found.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from platelight.errors import FrameError
from platelight_server.deflicker.sequence import Asked, Input
from platelight_server.plates import opening
from platelight_server.plates.channels import matte_channels, picture_channels
from platelight_server.plates.facts import FactIndex, Facts
from platelight_server.plates.listing import scan, sequence_at
from platelight_server.plates.opening import Found, Role
from platelight_server.plates.picture import PictureInfo

# Layers of vectors to the frame before, and whether their second number points up.
VECTORS = (("Vector.X", "Vector.Y", True), ("backward.u", "backward.v", True), ("mv_prev.x", "mv_prev.y", False))
CHOICES = "--missing hold, black or skip"


@dataclass(frozen=True)
class Files:
    """The files of one role. `looked` are those that were decoded so far, `damaged` says what is wrong with others."""

    role: Role
    on_disk: Mapping[int, Path]
    opened: Input
    looked: dict[Path, Facts] = field(default_factory=dict)
    damaged: dict[Path, str] = field(default_factory=dict)

    def serve(self, frames: Iterable[int], policy: str, index: FactIndex) -> Input:
        """The input with the file of each frame, looked at. Raises `FrameError` under `refuse`, and for none at all."""
        wanted = sorted(frames)
        paths = [self.on_disk[frame] for frame in wanted if frame in self.on_disk]
        if self.role.sequence.is_still:
            paths = [self.role.sequence.path(0)]
        while new := [path for path in paths if path not in self.looked and path not in self.damaged]:
            seen, damaged = opening.look_at(new, self.opened.channels, index, os.cpu_count() or 1)
            self.looked.update(seen)
            self.damaged.update(damaged)
            # A frame that is held from further away may be damaged too.
            with contextlib.suppress(FrameError):
                served = opening.table(self.role, wanted, self.damaged, policy)
                paths = [path for path in served.values() if path is not None]
        return replace(self.opened, files=opening.table(self.role, wanted, self.damaged, policy))

    def paths(self, served: Input | None) -> list[Path]:
        """The files that serve a frame; all that can be read, where frames are refused."""
        if served is None:
            return list(self.looked)
        return list(dict.fromkeys(path for path in served.files.values() if path is not None))


def files_of(name: str, text: str) -> Files:
    """A sequence and its first good header. Of a matte one file may serve all frames. Raises `FrameError`."""
    role = Role(name, f"--{name}", sequence_at(text), choices=CHOICES)
    if role.sequence.is_still and name != "matte":
        raise FrameError(f"--{name}: expected a sequence such as name.####.exr, got one file: {text}")
    on_disk = scan(role.sequence)
    info = opening.first_good(role, list(on_disk) or [0])
    if name == "vectors":
        return Files(role, on_disk, _vectors(info))
    channels = matte_channels(info) if name == "matte" else picture_channels(info)
    return Files(role, on_disk, Input(name, {}, channels, info))


def served(
    asked: Asked, files: Mapping[str, Files], wanted: Sequence[int], index: FactIndex, found: Found
) -> tuple[dict[str, Input], dict[int, int]]:
    """All frames that are needed, and which frame's pictures each of `wanted` shows: its own, where it is whole.

    What cannot be used goes into `found`.
    """
    first, last = min(files["relit"].on_disk), max(files["relit"].on_disk)

    def around(frames: Iterable[int]) -> set[int]:
        return {near for frame in frames for near in asked.near(frame) if first <= near <= last}

    both = files["relit"].on_disk.keys() & files["source"].on_disk.keys() if "source" in files else set()
    needed = around(wanted) | set(wanted)
    while True:
        inputs = _inputs(asked, files, needed, index, found)
        if found.errors or asked.missing == "refuse":
            return inputs, {frame: frame for frame in wanted}
        whole = whole_frames(inputs)
        # Frames that nobody has looked at yet may turn out to be damaged in the next round.
        candidates = sorted(whole | (both - needed))
        if not candidates:
            found.errors.append(FrameError(f"expected frames with {', '.join(files)}, found none that has all"))
        if not candidates or asked.missing == "skip":
            return inputs, {frame: frame for frame in wanted if frame in whole}
        shown = {frame: frame if frame in whole else nearest(frame, candidates) for frame in wanted}
        more = around(shown.values()) - needed
        if not more:
            return inputs, shown
        needed |= more


def whole_frames(inputs: Mapping[str, Input]) -> set[int]:
    """The frames that have all pictures but vectors."""
    return set.intersection(*(set(given.files) for role, given in inputs.items() if role != "vectors"))


def nearest(frame: int, among: Sequence[int]) -> int:
    """The nearest earlier one of `among`, which is sorted and not empty, else the next one."""
    return among[max(0, bisect_right(among, frame) - 1)]


def _inputs(
    asked: Asked, files: Mapping[str, Files], needed: Iterable[int], index: FactIndex, found: Found
) -> dict[str, Input]:
    inputs = {}
    for name, given in files.items():
        policy = asked.missing if name == "matte" or asked.missing == "refuse" else "skip"
        one = found.attempt(lambda given=given, policy=policy: given.serve(needed, policy, index))  # type: ignore[misc]
        if one is not None:
            inputs[name] = one
    return inputs


def _vectors(info: PictureInfo) -> Input:
    for x, y, flips in VECTORS:
        names = [name for name in info.channels if name == x or name.endswith(f".{x}")]
        if names:
            return Input("vectors", {}, (names[0], names[0][: -len(x)] + y), info, flips)
    wanted = " or ".join(f"{x}, {y}" for x, y, _ in VECTORS)
    has = ", ".join(info.channels)
    raise FrameError(f"{info.path}: expected motion vectors to the frame before, {wanted}, it has {has}")
