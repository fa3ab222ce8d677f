"""A still opened to be seen from the shot's cameras: placed in the reference view as `background.fit` says, and sampled
at its own resolution. Also what the check says of it, from headers alone.

Where the camera turns beyond the still its edge is repeated, and the check says on which frames and how far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from platelight.camera import CameraFrame
from platelight.errors import FrameError
from platelight.frames import FrameRange

from . import picture_io
from .cameras import over_box
from .carry import Carry, carry_of, reference_frame
from .exr import place
from .geometry import placed
from .opening import Found
from .picture import Box, Picture, PictureInfo

if TYPE_CHECKING:
    from .inputs import Inputs
    from .resample import Pyramid

# The share of a frame outside the still is measured at the middles of a grid this fine.
PROBES = 48
# Rounding at the still's own border.
BORDER_PX = 0.5


@dataclass(frozen=True)
class Placed:
    """Where a still lies: pixels of the reference's display window times `scale`, plus `offset`, are pixels of the
    still over `box`, which is its display window with what it holds beyond (overscan)."""

    carry: Carry
    box: Box
    scale: tuple[float, float]
    offset: tuple[float, float]
    covers: bool  # the reference view is filled

    @classmethod
    def of(cls, info: PictureInfo, inputs: Inputs) -> Placed:
        """Raises `RecipeError` and `CameraError` where the recipe lacks what it takes."""
        carry = carry_of(inputs.recipe, inputs.camera, inputs.display)
        shown, how = info.display, inputs.recipe.background.fit
        aspect = info.pixel_aspect / inputs.pixel_aspect
        height, width, left, top = placed(shown.height, shown.width, inputs.display, how, aspect)
        if how == "exact" and (shown.width, shown.height) != (inputs.display.width, inputs.display.height):
            raise FrameError(
                f"{info.path}: expected {inputs.display} like the plate, got {shown} (background.fit = 'exact')"
            )
        scale = (shown.width / width, shown.height / height)
        box = shown.around(info.data)
        offset = (left * scale[0] + shown.x_first - box.x_first, top * scale[1] + shown.y_first - box.y_first)
        return cls(carry, box, scale, offset, left >= 0 and top >= 0)

    def at(self, camera: CameraFrame, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of a frame's camera -> pixels of the still, from the corner of its box; anywhere, also outside."""
        u, v = self.carry.lookup(camera)(x, y)
        return u * self.scale[0] + self.offset[0], v * self.scale[1] + self.offset[1]

    def outside(self, camera: CameraFrame) -> float:
        """The share of a frame, 0 to 1, in which the still has no picture."""
        x, y = np.meshgrid(*((np.arange(PROBES) + 0.5) / PROBES * size for size in (camera.width_px, camera.height_px)))
        u, v = self.at(camera, x, y)
        inside = (u > -BORDER_PX) & (v > -BORDER_PX)
        inside &= (u < self.box.width + BORDER_PX) & (v < self.box.height + BORDER_PX)
        return 1 - float(inside.mean())


@dataclass(frozen=True)
class CarriedStill:
    """A still's pixels, in the working primaries, exposed, with their place."""

    placed: Placed
    pyramid: Pyramid

    @classmethod
    def of(cls, picture: Picture, pixels: np.ndarray, placed: Placed) -> CarriedStill:
        """`pixels` (3, H, W) over the picture's data window, as they are to be shown."""
        from .resample import Pyramid  # loads torch, which the check does without

        return cls(placed, Pyramid(place(pixels, picture.info.data, placed.box)))

    def shown(self, camera: CameraFrame) -> np.ndarray:
        """(3, camera.height_px, camera.width_px) float32, scene-linear, working primaries, not clamped."""
        from .resample import resampled

        at, step = self.placed.at, self.placed.carry.step
        return resampled(self.pyramid, camera.height_px, camera.width_px, lambda x, y: at(camera, x, y), step)


def is_carried(inputs: Inputs) -> bool:
    """Whether the background is a still that moves with the camera."""
    return inputs.recipe.background.move == "camera"


def camera_over_work(inputs: Inputs, frame: int) -> CameraFrame:
    """The camera of a frame for the work window. Raises `CameraError` where there is none."""
    assert inputs.camera is not None
    return over_box(inputs.camera.at(frame), inputs.display, inputs.work, inputs.work.width, inputs.work.height)


def known_by(inputs: Inputs, frame: int) -> tuple[Any, ...]:
    """What a frame's carried background depends on beside the still and the recipe's background."""
    if not is_carried(inputs) or inputs.camera is None:
        return ()
    recipe = inputs.recipe
    points = () if recipe.camera is None else tuple(point.position for point in recipe.camera.points)
    cameras = [astuple(inputs.camera.at(number)) for number in (frame, reference_frame(recipe))]
    return (*cameras, recipe.ground, points)


def check_carried(inputs: Inputs, needed: Sequence[int], found: Found) -> None:
    """Whether the still can be carried, and how far the shot's cameras leave it. Files' headers are read alone."""
    source, camera = inputs.background, inputs.camera
    if source is None:
        return
    path = next((file for file in source.files.values() if file is not None), None)
    if path is None:
        return
    info = picture_io.read_info(path)
    placed = found.attempt(lambda: Placed.of(info, inputs))
    if placed is None or camera is None:
        return
    if camera.lens.kind != "none":
        found.warnings.append(
            "background.move: the lens that is still in the plate is not applied to the moving background;"
            " undistort the plate, or expect it to slide towards the edges"
        )
    outside = found.attempt(lambda: {frame: placed.outside(camera_over_work(inputs, frame)) for frame in needed})
    left = {frame: share for frame, share in (outside or {}).items() if share > 0}
    if left:
        found.warnings.append(_left(path, left))


def _left(path: Path, left: dict[int, float]) -> str:
    worst = max(left, key=left.__getitem__)
    return (
        f"background.still: {path}: the camera leaves it on frames {FrameRange.of(left)}, most on frame {worst}"
        f" ({max(left[worst] * 100, 0.1):.1f} % of the picture); its edge is repeated there, bring a wider still"
    )
