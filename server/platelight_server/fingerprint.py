"""What makes a finished frame current: one hash over everything that its pixels depend on.

It covers what the recipe says, the contents of every file that the frame (or its context, or the engine's look at the
whole shot) is read from, the camera, the engine's version and the version of our own pixel code. It does not cover where
files lie, when they were written, or which part of the shot a run renders.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from platelight.errors import FrameError
from platelight.recipe import Recipe

from .check import Checked
from .engines.interface import sample_frames
from .plan import Window
from .plates import exr, header
from .plates.opening import digests


# Raised whenever the same inputs give other pixels or other layers.
PIXELS_VERSION = 1


def frame_hashes(checked: Checked) -> dict[int, str]:
    """The hash of every wanted frame of a checked job."""
    assert checked.inputs is not None and checked.capabilities is not None
    shot = _hash(
        {
            "pixels": PIXELS_VERSION,
            "engine": [checked.capabilities.name, checked.capabilities.version],
            "recipe": checked.recipe.content_hash(),
            "space": checked.inputs.space.name,
            "sampled": [_frame_inputs(checked, f) for f in _sampled(checked) if f in checked.inputs.plate.files],
        }
    )
    found = {}
    for window in checked.windows:
        for frame in window.answered:
            found[frame] = _hash({"shot": shot, "frame": frame, "read": _context(checked, window, frame)})
    return found


def is_current(paths: Sequence[Path], frame_hash: str) -> bool:
    """True where all files of a frame exist and carry this hash."""
    for path in paths:
        if not path.is_file():
            return False
        try:
            if header.read_stated(exr.read_info(path).header).get("frameHash") != frame_hash:
                return False
        except FrameError:
            return False
    return True


def header_recipe(written: Recipe) -> str:
    """The recipe for headers, as JSON: as written, without the folder that the file lies in anyway."""
    document = written.to_dict()
    document.get("output", {}).pop("directory", None)
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _sampled(checked: Checked) -> tuple[int, ...]:
    assert checked.capabilities is not None
    return sample_frames(tuple(checked.recipe.frames), checked.capabilities.sampled_frames)


def _context(checked: Checked, window: Window, frame: int) -> list[Any]:
    """Inputs of the frame and of the frames of its window and context."""
    return [_frame_inputs(checked, other) for other in window.needed]


def _frame_inputs(checked: Checked, frame: int) -> list[Any]:
    assert checked.inputs is not None
    camera = checked.inputs.camera
    seen: Mapping[str, str] = digests(checked.inputs, checked.facts, frame)
    return [frame, dict(seen), None if camera is None else list(astuple(camera.at(frame)))]


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
