"""The plate that a shot names, and which of its frames are meant."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import bpy

from .. import compat
from ..core import FrameRange
from .findings import Findings
from .mapping import named
from .plates import Source, clip_source, image_source, strip_source


def plate_source(scene: Any, shot: Any, context: Any, findings: Findings) -> Source:
    """Where the plate lies. A strip is looked for in the scene that the sequencer shows. Raises Stopped."""
    if shot.plate_kind == "CLIP":
        if shot.plate_clip is None:
            raise findings.stop(_which_clip(), "plate_clip")
        return clip_source(shot.plate_clip, "plate", findings, "plate_clip")
    if shot.plate_kind == "IMAGE":
        if shot.plate_image is None:
            raise findings.stop("The shot has no plate: choose an image sequence.", "plate_image")
        return image_source(shot.plate_image, scene, shot.image_scene_first, "plate", findings, "plate_image")
    if not shot.plate_strip:
        raise findings.stop("The shot has no plate: choose an image strip.", "plate_strip")
    shown = compat.sequencer_scene(context) if context else scene
    return strip_source(shot.plate_strip, shown, "plate", findings, "plate_strip")


def _which_clip() -> str:
    count = len(bpy.data.movieclips)
    if count > 1:
        return f"The shot has no plate, and this file has {count} clips: choose the one that is relit."
    return "The shot has no plate: open its first frame in the clip editor and choose it."


def shot_frames(scene: Any, shot: Any, plate: Source, findings: Findings) -> FrameRange:
    """The file numbers that are relit. Raises Stopped for what lies past the plate, and for gaps where they matter."""
    mapping = plate.mapping
    wanted = _wanted(scene, shot, plate, findings)
    outside = [number for number in wanted if not plate.first_shown <= number <= plate.last_shown]
    if outside:
        there = named(range(plate.first_shown, plate.last_shown + 1), mapping)
        raise findings.stop(
            f"The range reaches past the plate, which has frames {there}: take all of the plate, or shorten it.",
            "range_kind",
        )
    gaps = [number for number in wanted if number not in plate.numbers]
    if gaps and shot.missing == "refuse":
        raise findings.stop(
            f"Frames {named(gaps, mapping)} of the plate are missing on disk: copy them again, or say what stands for"
            " them.",
            "missing",
        )
    return FrameRange.of(wanted)


def _wanted(scene: Any, shot: Any, plate: Source, findings: Findings) -> range:
    if shot.range_kind == "PLATE":
        return range(plate.first_shown, plate.last_shown + 1)
    own = shot.range_kind == "OWN"
    first, last = (shot.frame_first, shot.frame_last) if own else (scene.frame_start, scene.frame_end)
    wanted = range(plate.mapping.file(first), plate.mapping.file(last) + 1, 1 if own else scene.frame_step)
    if not wanted:
        raise findings.stop(
            f"The range {first} to {last} has no frames: set the last one after the first.", "frame_last"
        )
    return wanted


def told_space(plate: Source) -> str:
    """The plate's colour space for its badge: what the file says, else what Blender takes it for."""
    told = plate.header.colorspace if plate.header else ""
    return told if told not in {"", "own"} else plate.colorspace


def frame_rate(fps: int, fps_base: float) -> Fraction:
    """Blender's rate as a fraction: 24 and 1.001 are 24000/1001. Blender keeps the base in single precision."""
    return Fraction(fps) / Fraction(fps_base).limit_denominator(10_000)
