"""What a network is shown and what it has to answer: HarmoVid's dual paths (Sec. 3; facts/harmovid §1.1).

    deflicker           composite: relit frame by frame over the plate's background   target: the plate   matte: binary
    real-to-synthetic   composite: the plate's foreground over the new background     target: the relit   matte: binary
    synthetic-to-real   composite: the relit foreground over the clean plate          target: the plate   matte: soft

Targets of the second carry the edge faults of what relit them, those of the third are real: so the network learns that
a soft matte asks for real edges. The same matte composites and conditions. Composites are made in linear light.

Which sample comes when depends on the seed and its number alone (Sampler), so a run can go on from any of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch

from platelight.errors import InputError
from platelight_server.color.encoding import Encoding, Shoulder, Srgb
from platelight_server.engines.harmovid import alpha
from platelight_server.training.clips import read_role, window_frames
from platelight_server.training.config import DataPart, MaskPart, TrainConfig
from platelight_server.training.fill import filled
from platelight_server.training.manifest import NEEDS, Clip, read_manifest

__all__ = ["PATHS", "Item", "Sample", "Sampler", "build", "items_of", "paths_of", "sources_of"]

Way = Literal["deflicker", "real-to-synthetic", "synthetic-to-real"]
PATHS: dict[str, tuple[Way, ...]] = {
    "deflicker": ("deflicker",),
    "harmonizer": ("real-to-synthetic", "synthetic-to-real"),
}
_ROLES: dict[Way, tuple[str, ...]] = {
    "deflicker": ("plate", "matte", "flicker"),
    "real-to-synthetic": ("plate", "matte", "relit", "background"),
    "synthetic-to-real": ("plate", "matte", "relit", "clean"),
}


@dataclass(frozen=True)
class Item:
    """One sample as it is named: a window of a clip on one path, with one draw of its matte."""

    folder: Path
    clip: Clip
    start: int
    path: Way
    variant: int


@dataclass(frozen=True)
class Sample:
    """One sample as pictures: (F, 3, h, w) float32 codes -1..1, matte (F, 1, h, w) float32 0..1."""

    composite: torch.Tensor
    matte: torch.Tensor
    target: torch.Tensor
    background: torch.Tensor | None


def paths_of(kind: str) -> tuple[Way, ...]:
    """The paths that a network is trained on, in equal parts."""
    return PATHS[kind]


def items_of(config: TrainConfig) -> tuple[list[Item], list[Item]]:
    """All samples there are, for training and for validation, in a fixed order.

    Clips held back are the last by name. Raises InputError where a clip lacks a role or is too short, and where nothing
    is left to train on.
    """
    clips = [(Path(folder), clip) for folder in config.data.folders for clip in read_manifest(Path(folder)).clips]
    clips = [(folder, clip) for folder, clip in clips if _is_usable(folder, clip, config)]
    clips.sort(key=lambda one: (one[1].name, one[1].key))
    held = config.validation.clips
    if len(clips) <= held:
        where = " and ".join(config.data.folders)
        raise InputError(
            f"{where}: expected more than {held} clips with {', '.join(NEEDS[config.kind])} "
            f"({held} are held back for validation), got {len(clips)}"
        )
    train, kept = (clips[:-held], clips[-held:]) if held else (clips, [])
    return list(_items(train, config)), [item for item in _items(kept, config) if not item.start and not item.variant]


def _is_usable(folder: Path, clip: Clip, config: TrainConfig) -> bool:
    if any(role not in clip.roles for role in NEEDS[config.kind]):
        return False  # a folder may hold pairs for both networks
    if len(clip.frames) < config.data.frames and config.data.short == "refuse":
        raise InputError(
            f"{folder}: clip {clip.name}: expected at least {config.data.frames} frames (data.frames), "
            f"got {len(clip.frames)}; "
            'choose fewer, or data.short = "hold"'
        )
    return True


def _items(clips: Sequence[tuple[Path, Clip]], config: TrainConfig) -> Iterator[Item]:
    for folder, clip in clips:
        last = max(0, len(clip.frames) - config.data.frames)
        starts = sorted({*range(0, last + 1, config.data.frames), last})
        for start in starts:
            for path in paths_of(config.kind):
                variants = config.data.variants if path == "synthetic-to-real" else 1  # a binary mask has no width
                yield from (Item(folder, clip, start, path, variant) for variant in range(variants))


class Sampler:
    """Which item is the nth: paths in turn, each shuffled anew every time it is through. It has no state."""

    def __init__(self, items: Sequence[Item], kind: str, seed: int) -> None:
        self._groups = [[item for item in items if item.path == path] for path in paths_of(kind)]
        self._seed = seed

    def item(self, number: int) -> Item:
        """The item of sample `number` >= 0."""
        lane, within = number % len(self._groups), number // len(self._groups)
        group = self._groups[lane]
        order = list(range(len(group)))
        random.Random(f"{self._seed}/order/{lane}/{within // len(group)}").shuffle(order)
        return group[order[within % len(group)]]


def encoding_of(data: DataPart) -> Encoding:
    """The curve from light to codes."""
    return Shoulder() if data.encoding == "shoulder" else Srgb()


def build(item: Item, data: DataPart, masks: MaskPart, seed: int) -> Sample:
    """Reads and composites a sample. Equal arguments and files give equal bits. Raises FrameError."""
    frames = window_frames(item.clip, item.start, data.frames)
    seen = {role: read_role(item.folder, item.clip, role, frames, data.height, data.width) for role in sources_of(item)}
    encoding = encoding_of(data)

    def codes(light: torch.Tensor) -> torch.Tensor:
        return encoding.encode(light) * 2 - 1

    if item.path == "synthetic-to-real":
        matte = _soft(item, seen["matte"], codes(seen["plate"]), masks, seed)
        behind = seen["clean"] if "clean" in seen else filled(seen["plate"], seen["matte"])
        front, target = seen["relit"], seen["plate"]
    else:
        matte = alpha.binary(seen["matte"])
        deflickers = item.path == "deflicker"
        front, behind = (seen["flicker"], seen["plate"]) if deflickers else (seen["plate"], seen["background"])
        target = seen["plate"] if deflickers else seen["relit"]
    background = None if item.path == "deflicker" else codes(behind)
    return Sample(codes(alpha.composite(front, matte, behind)), matte, codes(target), background)


def sources_of(item: Item) -> tuple[str, ...]:
    """The roles that a sample is made of."""
    return tuple(role for role in _ROLES[item.path] if role in item.clip.roles)


def _soft(item: Item, matte: torch.Tensor, picture: torch.Tensor, masks: MaskPart, seed: int) -> torch.Tensor:
    """The pseudo-alpha of a variant: maker and share of the subject's size, drawn by the clip's name."""
    drawn = random.Random(f"{seed}/matte/{item.clip.name}/{item.variant}")
    maker = drawn.choice(masks.makers)
    width = alpha.width_px(matte, drawn.uniform(masks.width_least, masks.width_most))
    return alpha.path_matte(cast(alpha.Path, item.path), matte, maker, width, picture)
