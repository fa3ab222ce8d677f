"""Frame numbers: the scene's, the clip's and those in file names, and the way between them. No `bpy` here.

A recipe speaks of file numbers only. For a clip (facts/blender.md §2.1):

    clip frame  = scene frame - clip.frame_start + 1
    file number = number of the first file + (scene frame - clip.frame_start) + clip.frame_offset

For an Image node file number = scene frame - frame_start + 1 + frame_offset; for a strip the element is
scene frame - content start.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..core import FrameRange


@dataclass(frozen=True)
class FrameMapping:
    """`file number = scene frame + file_minus_scene`, for one sequence in one scene."""

    file_minus_scene: int

    @classmethod
    def of_clip(cls, first_number: int, frame_start: int, frame_offset: int) -> FrameMapping:
        """Of a Movie Clip, whose path names the file `first_number`."""
        return cls(first_number - frame_start + frame_offset)

    @classmethod
    def of_image_node(cls, frame_start: int, frame_offset: int) -> FrameMapping:
        """Of an Image node's frame settings (and of an Environment Texture's)."""
        return cls(1 - frame_start + frame_offset)

    @classmethod
    def of_first(cls, first_number: int, scene_first: int) -> FrameMapping:
        """The file `first_number` is shown on the scene frame `scene_first`."""
        return cls(first_number - scene_first)

    def file(self, scene_frame: int) -> int:
        """The number in the name of the file shown on a scene frame."""
        return scene_frame + self.file_minus_scene

    def scene(self, file_number: int) -> int:
        """The scene frame on which a file is shown; the inverse of `file`."""
        return file_number - self.file_minus_scene

    def scenes(self, files: Iterable[int]) -> FrameRange:
        """The scene frames of files."""
        return FrameRange.of(self.scene(number) for number in files)

    def to(self, other: FrameMapping) -> int:
        """What is to be added to a file number of this sequence for the file that `other` shows at the same time."""
        return other.file_minus_scene - self.file_minus_scene


def solve_to_file(first_number: int, frame_offset: int) -> int:
    """What is to be added to a clip frame (markers and solves have those) for the file number of its own clip."""
    return first_number - 1 + frame_offset


def named(frames: Iterable[int], mapping: FrameMapping) -> str:
    """Files in the numbers of both the timeline and the disk, for sentences: `1005 (scene 5)`."""
    held = FrameRange.of(frames)
    scene = mapping.scenes(held)
    return str(held) if mapping.file_minus_scene == 0 else f"{held} (scene {scene})"
