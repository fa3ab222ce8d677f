"""What makes a finished frame current: one hash over everything that its pixels depend on.

It covers what the recipe says, the contents of every file that the frame (or its context, or the engine's look at the
whole shot) is read from, the camera, the engine's version and the version of our own pixel code. It does not cover
where files lie, when they were written, or which part of the shot a run renders.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from platelight.errors import FrameError
from platelight.frames import sample_frames
from platelight.recipe import Recipe

from .check import Checked
from .color.spaces import Space, convert
from .mattes.finding import KEYER_VERSION
from .plan import Window
from .plates import exr, fence, header
from .plates.carry import reference_frame
from .plates.inputs import Inputs
from .plates.keying import screen_frames
from .plates.opening import digests

# Raised whenever the same inputs give other pixels or other layers.
PIXELS_VERSION = 2


def frame_hashes(checked: Checked) -> dict[int, str]:
    """The hash of every wanted frame of a checked job."""
    assert checked.inputs is not None and checked.capabilities is not None
    inputs = checked.inputs
    shot = _hash(
        {
            "pixels": PIXELS_VERSION,
            "engine": [checked.capabilities.name, checked.capabilities.version],
            "recipe": checked.recipe.content_hash(),
            # An engine is told all frame numbers, and its notes go into every header.
            "frames": [str(checked.recipe.frames), sorted(set(checked.recipe.frames) & set(_skipped(checked)))],
            "work": [astuple(inputs.work), astuple(inputs.display), inputs.pixel_aspect],
            "color": [inputs.space.name, *(color_test(space, inputs.space) for space in _spaces(inputs))],
            "lens": None if inputs.camera is None else list(astuple(inputs.camera.lens)),
            **_whole_camera(checked),
            **({"models": list(checked.depends_on)} if checked.depends_on else {}),
            **_reference_camera(checked),
            **_screen(checked),
            "sampled": [_frame_inputs(checked, f) for f in _sampled(checked) if f in checked.inputs.plate.files],
        }
    )
    found = {}
    for window in checked.windows:
        for frame in window.answered:
            found[frame] = _hash({"shot": shot, "frame": frame, "read": _context(checked, window)})
    return found


def is_current(paths: Sequence[Path], frame_hash: str) -> bool:
    """True where all files of a frame exist and carry this hash."""
    for path in paths:
        if not fence.is_file(path):
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
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # A path that is no valid text (bytes of an old Linux disk) is escaped: headers hold text.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def color_test(source: Space, target: Space) -> list[float]:
    """How a few colours of `source` come out in `target`: the conversion itself, whatever config it comes from."""
    colors = np.concatenate([np.eye(3), np.full((1, 3), 0.18), np.full((1, 3), 4.0), [[-0.1, 0.5, 0.9]]])
    moved = convert(colors.T.reshape(3, 1, -1).astype(np.float32), source, target)
    return [float(f"{value:.4e}") + 0.0 for value in moved.ravel()]


def _spaces(inputs: Inputs) -> list[Space]:
    return [inputs.plate_space, *(source.space for source in inputs.sources() if source.space is not None)]


def _skipped(checked: Checked) -> list[int]:
    """The sampled frames that the policy leaves out: an engine is told of these."""
    assert checked.inputs is not None
    return [frame for frame in _sampled(checked) if frame not in checked.inputs.plate.files]


def _whole_camera(checked: Checked) -> dict[str, Any]:
    """The camera of every frame, for engines that look at all of it; the points stand in the recipe."""
    assert checked.inputs is not None and checked.capabilities is not None
    if checked.inputs.camera is None or not checked.capabilities.whole_camera:
        return {}
    return {"camera": [list(astuple(one)) for one in checked.inputs.camera.frames.values()]}


def _reference_camera(checked: Checked) -> dict[str, Any]:
    """The camera of the frame whose view a moving still shows: it may be outside the windows rendered."""
    assert checked.inputs is not None
    camera, recipe = checked.inputs.camera, checked.recipe
    if camera is None or recipe.background.move != "camera":
        return {}
    return {"reference": list(astuple(camera.at(reference_frame(recipe))))}


def _screen(checked: Checked) -> dict[str, Any]:
    """The frames that the screen is measured on, where the matte is keyed."""
    assert checked.inputs is not None
    frames = [frame for frame in screen_frames(checked.recipe) if frame in checked.inputs.plate.files]
    return {"screen": [KEYER_VERSION, *(_frame_inputs(checked, frame) for frame in frames)]} if frames else {}


def _sampled(checked: Checked) -> tuple[int, ...]:
    assert checked.capabilities is not None
    return sample_frames(tuple(checked.recipe.frames), checked.capabilities.sampled_frames)


def _context(checked: Checked, window: Window) -> list[Any]:
    """Inputs of the frames of a window and its context."""
    return [_frame_inputs(checked, other) for other in window.needed]


def _frame_inputs(checked: Checked, frame: int) -> list[Any]:
    assert checked.inputs is not None
    camera = checked.inputs.camera
    seen: Mapping[str, str] = digests(checked.inputs, checked.facts, frame)
    return [frame, dict(seen), None if camera is None else list(astuple(camera.at(frame)))]


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
