"""Samples as latents, kept on disk: a clip is read and encoded once, for all runs of one base.

A file is named by the hash of all that its numbers depend on: contents of the pictures, frames, size, path, matte,
encoding, codec. So a changed clip is another file, and a hit gives the bits that encoding would. A damaged file is made
again. Means of the codec's distribution are kept, not draws from it, as the engine uses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from platelight.document import encode
from platelight_server.models.video.expanded import Condition, Kind, condition, matte_video
from platelight_server.models.video.interface import VideoBackbone
from platelight_server.models.video.padding import pad_frames
from platelight_server.plates.frames_out import prepare_folder, write_bytes
from platelight_server.training.config import DataPart, MaskPart
from platelight_server.training.manifest import hash_text
from platelight_server.training.samples import Item, build, sources_of

__all__ = ["LatentCache", "Latents"]

FORM = 1  # raised when the numbers in a file come to mean something else


@dataclass(frozen=True)
class Latents:
    """A sample as the network sees it: target (F', C, h', w') float32, condition (F', C * conditions, h', w')."""

    target: torch.Tensor
    condition: torch.Tensor


class LatentCache:
    """The encoded samples in `folder`. `codec` stands for the base's codec, by contents."""

    def __init__(self, folder: Path, codec: str, kind: Kind, data: DataPart, masks: MaskPart, seed: int) -> None:
        self.folder, self._codec, self._kind = folder, codec, kind
        self._data, self._masks, self._seed = data, masks, seed

    def key(self, item: Item) -> str:
        """The name of a sample's file, without its suffix."""
        soft = item.path == "synthetic-to-real"
        data = self._data
        return hash_text(
            {
                "form": FORM,
                "codec": self._codec,
                "pictures": {role: item.clip.roles[role].sha256 for role in sources_of(item)},
                "frames": [str(item.clip.frames), item.start, data.frames],
                "size": [data.height, data.width],
                "encoding": data.encoding,
                "path": item.path,
                # what the draw of a soft matte depends on, see samples._soft
                "matte": [encode(self._masks), self._seed, item.clip.name, item.variant] if soft else None,
            }
        )

    def holds(self, item: Item) -> bool:
        """Whether a sample is there (its file may be damaged)."""
        return self._path(item).is_file()

    def read(self, item: Item) -> Latents | None:
        """A sample, None where it is not there or damaged."""
        try:
            return self._assembled(load_file(self._path(item)))
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def make(self, item: Item, backbone: VideoBackbone) -> Latents:
        """Encodes and keeps a sample. Raises FrameError for its pictures, OutputError where the disk is full."""
        parts = self._encoded(item, backbone)
        path = self._path(item)
        prepare_folder(path.parent)
        write_bytes(path, save(parts))
        return self._assembled(parts)

    def _path(self, item: Item) -> Path:
        key = self.key(item)
        return self.folder / key[:2] / f"{key}.safetensors"

    def _encoded(self, item: Item, backbone: VideoBackbone) -> dict[str, torch.Tensor]:
        sample = build(item, self._data, self._masks, self._seed)
        videos = {"target": sample.target, "composite": sample.composite, "matte": matte_video(sample.matte)}
        if sample.background is not None:
            videos["background"] = sample.background
        return {
            name: backbone.encode(pad_frames(video, backbone.facts)).mean.cpu().contiguous()
            for name, video in videos.items()
        }

    def _assembled(self, parts: Mapping[str, torch.Tensor]) -> Latents:
        named: dict[Condition, torch.Tensor] = {
            name: parts[name] for name in ("composite", "background", "matte") if name in parts
        }
        return Latents(parts["target"], condition(self._kind, named))
