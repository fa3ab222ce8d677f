"""From a folder of clips to a dataset folder: one clip after the other, going on where an earlier command stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from platelight.frames import FrameRange
from platelight_server.training.manifest import Clip, files_of, read_manifest
from platelight_server.training.pairs.dataset import Dataset
from platelight_server.training.pairs.makers import Maker
from platelight_server.training.pairs.sources import Note, Source

__all__ = ["clips_as_sources", "make_pairs"]

Told = Callable[[Mapping[str, Any]], None]


def make_pairs(sources: Sequence[Source], maker: Maker, out: Path, height: int, width: int, told: Told) -> Dataset:
    """Makes what is not there yet. Raises what reading, models and writing raise; finished clips stay."""
    dataset = Dataset(out, height, width)
    for number, source in enumerate(sources):
        key = maker.key(source, height, width)
        done = dataset.holds(source.name, key)
        said = {"event": "clip", "clip": source.name, "done": number, "of": len(sources)}
        told({**said, "frames": len(source.frames), "kept": done})
        if not done:
            dataset.add(_clip(source, maker, key), maker.pictures(source, height, width))
    return dataset


def clips_as_sources(folder: Path) -> tuple[list[Source], int, int]:
    """The clips of a dataset as sources of another stage, with their height and width."""
    manifest = read_manifest(folder)
    return [_source(folder, clip) for clip in manifest.clips], manifest.height, manifest.width


def _source(folder: Path, clip: Clip) -> Source:
    roles = {
        role: dict(zip(clip.frames, files_of(folder, clip, role, clip.frames), strict=True)) for role in clip.roles
    }
    made = f"{clip.source}, {clip.stage} by {', '.join(clip.models)}" if clip.models else clip.source
    return Source(clip.name, Note(clip.licence, made, clip.commercial), clip.frames.frames, roles)


def _clip(source: Source, maker: Maker, key: str) -> Clip:
    """The clip's line without its pictures; what was used of others is named with it."""
    notes = (source.note, *maker.notes(source))
    licences = dict.fromkeys(note.licence for note in notes)
    places = dict.fromkeys(note.source or source.name for note in notes)
    return Clip(
        name=source.name,
        stage=maker.stage,
        frames=FrameRange.of(source.frames),
        licence="; ".join(licences),
        source="; ".join(places),
        commercial=maker.commercial and all(note.allows for note in notes),
        key=key,
        models=maker.models,
    )
