"""Where the plate lies: a Movie Clip, an image sequence or a strip, as a sequence of files and a frame mapping.

Reads names and numbers from Blender and headers from disk, never pixels. Frames are scene frames until `Source` says
otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import compat
from ..core import FrameRange, SequencePath
from . import files
from .findings import Findings
from .mapping import FrameMapping, solve_to_file
from .pictures import Header, read_header


@dataclass(frozen=True)
class Source:
    """A sequence in a scene. `shown` are file numbers that the scene can show; `numbers` those on disk."""

    sequence: SequencePath
    mapping: FrameMapping
    numbers: FrameRange
    first_shown: int
    last_shown: int
    colorspace: str
    header: Header | None
    size_px: tuple[int, int]
    clip_to_file: int | None = None


def folder_of(datablock: Any) -> str:
    """The folder that `//` means in a datablock's paths: its library's, or this .blend's; empty if never saved."""
    library = getattr(datablock, "library", None)
    filepath = bpy.path.abspath(library.filepath) if library else bpy.data.filepath
    return str(Path(filepath).parent) if filepath else ""


def clip_source(clip: Any, what: str, findings: Findings, fix: str) -> Source:
    """A Movie Clip's files. Raises Stopped."""
    if clip.source == "MOVIE":
        raise findings.stop(f"The {what} {clip.name} is a movie: write it as an EXR sequence and choose that.", fix)
    path = files.absolute(clip.filepath, folder_of(clip), what, findings, fix)
    first = files.numbered(path, what, findings, fix)
    mapping = FrameMapping.of_clip(first.number, clip.frame_start, clip.frame_offset)
    start = first.number + clip.frame_offset
    return _source(first, mapping, start, None, clip, what, findings, solve_to_file(first.number, clip.frame_offset))


def image_source(image: Any, scene: Any, scene_first: int, what: str, findings: Findings, fix: str) -> Source:
    """An image sequence's files; an Image node of the scene's compositor says when they are shown. Raises Stopped."""
    if image.source not in {"SEQUENCE", "FILE"}:
        kind = {"TILED": "a set of tiles", "MOVIE": "a movie"}.get(image.source, "made in Blender and on no disk")
        raise findings.stop(f"The {what} {image.name} is {kind}: choose an image sequence.", fix)
    path = files.absolute(image.filepath, folder_of(image), what, findings, fix)
    first = files.numbered(path, what, findings, fix)
    node = _image_node(scene, image)
    if scene_first:
        mapping = FrameMapping.of_first(first.number, scene_first)
    elif node is not None and image.source == "SEQUENCE":
        mapping = FrameMapping.of_image_node(node.frame_start, node.frame_offset)
    else:
        mapping = FrameMapping.of_first(first.number, scene.frame_start)
    return _source(first, mapping, None, None, image, what, findings)


def strip_source(name: str, scene: Any, what: str, findings: Findings, fix: str) -> Source:
    """An image strip's files, as far as its handles show them. Raises Stopped."""
    strip = next((one for one in compat.strips_of(scene) if one.name == name), None)
    if strip is None:
        raise findings.stop(f"There is no strip {name!r} in the sequencer of {scene.name}: choose the plate's.", fix)
    if strip.type != "IMAGE":
        raise findings.stop(
            f"The strip {name} is no image sequence ({strip.type.lower()}): choose an image strip.", fix
        )
    names = [element.filename for element in strip.elements]
    folder = files.absolute(strip.directory, folder_of(scene), what, findings, fix)
    first = files.numbered(folder / names[0], what, findings, fix)
    if [folder / one for one in names] != [first.sequence.path(first.number + i) for i in range(len(names))]:
        raise findings.stop(
            f"The strip {name} shows files out of order or with a gap: add the plate again as one sequence.", fix
        )
    left, right, content = compat.strip_times(strip)
    mapping = FrameMapping.of_first(first.number, content)
    shown = mapping.file(max(left, content)), mapping.file(min(right, content + len(names)) - 1)
    return _source(first, mapping, *shown, strip, what, findings)


def _source(
    first: files.Numbered, mapping: FrameMapping, first_shown: int | None, last_shown: int | None, block: Any,
    what: str, findings: Findings, clip_to_file: int | None = None,
) -> Source:  # fmt: skip
    numbers = files.on_disk(first.sequence, what, findings)
    start = max(numbers.first, first.number if first_shown is None else first_shown)
    end = numbers.last if last_shown is None else min(last_shown, numbers.last)
    if end < start:
        raise findings.stop(f"The {what} has no file from number {start} on: choose its first file.")
    header = read_header(first.sequence.path(start))
    size = (header.width_px, header.height_px) if header else _size(block)
    return Source(
        first.sequence, mapping, numbers, start, end, block.colorspace_settings.name, header, size, clip_to_file
    )


def _size(block: Any) -> tuple[int, int]:
    """Blender's own size of a picture, which it may have to decode for; strips have none of their own."""
    size = getattr(block, "size", (0, 0))
    return int(size[0]), int(size[1])


def _image_node(scene: Any, image: Any) -> Any:
    tree = compat.compositor_tree(scene)
    nodes = tree.nodes if tree else ()
    return next((node for node in nodes if node.bl_idname == "CompositorNodeImage" and node.image == image), None)
