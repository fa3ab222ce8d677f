"""A still carried through the camera solve: which point of the still each pixel of a frame shows. Pure geometry.

The still shows the set from the camera of one frame, the reference. A pixel of another frame is a ray from there; it
meets the set at some distance, or at infinity, and that point of the set lies somewhere in the reference view:

    direction from the reference camera = ray + (1 / distance along the ray) * (camera - reference camera)

With distance infinite this is the homography of a pure rotation, with a plane the plane-induced homography (Hartley and
Zisserman 2004, 13.1); with solved points the distance comes from a smooth surface through them (`surface`). Nothing of
the set hides another part of it. Cameras are ideal pinholes: a lens that is still in the plate is not applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from platelight.camera import Camera, CameraFrame
from platelight.errors import CameraError, RecipeError
from platelight.recipe import Recipe

from .cameras import over_box
from .picture import Box
from .surface import Surface, surface_through

Array = np.ndarray
# A pixel of a frame's work window, x and y from its corner -> pixel of the reference's display window.
Lookup = Callable[[Array, Array], tuple[Array, Array]]

# What lies behind the reference camera is sent this many focal lengths out, where no still has a picture.
BEHIND = 1e3
FIXED_POINT_STEPS = 30
SURFACE_STEP = 4
CONVERGED_PX = 1e-4


@dataclass(frozen=True)
class Plane:
    """The points p with normal · p + offset = 0, in the camera's world, metres."""

    normal: Array
    offset: float


@dataclass(frozen=True)
class Carry:
    """A still's way through a shot. `reference` is the camera of the view that the still shows, over the display
    window; `depth` the set that it shows, `None` where it is at infinity (rotation only)."""

    reference: CameraFrame
    depth: Plane | Surface | None

    @property
    def step(self) -> int:
        """How many pixels apart a lookup is asked: a surface is smooth and dear to ask (0.001 px at 4 px on a set of
        metres), a plane has a horizon and is cheap."""
        return SURFACE_STEP if isinstance(self.depth, Surface) else 1

    def is_still(self, camera: CameraFrame) -> bool:
        """Whether a frame's camera, over the same window, shows just what the reference shows."""
        same_place = self.depth is None or camera.position == self.reference.position
        rotations = [[row[:3] for row in one.camera_to_world[:3]] for one in (camera, self.reference)]
        return same_place and rotations[0] == rotations[1] and _inner(camera) == _inner(self.reference)

    def lookup(self, camera: CameraFrame) -> Lookup:
        """Where in the reference view the pixels of a frame's camera lie. Raises `CameraError` in the plane itself."""
        turn = _rotation(self.reference).T @ _rotation(camera)
        moved = _rotation(self.reference).T @ (np.array(camera.position) - np.array(self.reference.position))
        if isinstance(self.depth, Surface):
            return _through_surface(self.reference, camera, turn, moved, self.depth)
        # A ray (x, y, -1) meets the plane at 1 / (slope · ray) of its length; behind the camera is beyond infinity.
        slope = np.zeros(3) if self.depth is None else _slope(self.depth, camera)

        def at(x: Array, y: Array) -> tuple[Array, Array]:
            rays = _rays(camera, x, y)
            nearness = np.maximum(np.tensordot(slope, rays, 1), 0.0)
            return _project(self.reference, np.tensordot(turn, rays, 1) + nearness * moved[:, None, None])

        return at


def reference_frame(recipe: Recipe) -> int:
    """The frame whose view the still shows."""
    asked = recipe.background.reference_frame
    return recipe.frames.first if asked is None else asked


def carry_of(recipe: Recipe, camera: Camera | None, display: Box) -> Carry:
    """How the recipe's still is carried. Raises `RecipeError` and `CameraError` for what it needs and has not."""
    asked = recipe.background
    if camera is None:
        raise RecipeError("camera", "a solved camera, background.move = 'camera' needs one", "none")
    reference = over_box(camera.at(reference_frame(recipe)), display, display, display.width, display.height)
    if asked.depth == "infinity":
        return Carry(reference, None)
    if asked.depth == "points":
        points = [] if recipe.camera is None else [point.position for point in recipe.camera.points]
        return Carry(reference, surface_through(reference, points))
    if asked.depth == "distance":
        assert asked.distance_m is not None
        forward = -_rotation(reference)[:, 2]
        return Carry(reference, Plane(forward, -float(forward @ np.array(reference.position)) - asked.distance_m))
    if recipe.ground is None:
        raise RecipeError("ground", "the ground's plane, background.depth = 'ground' needs it", "none")
    normal = np.array(recipe.ground.normal) / np.linalg.norm(recipe.ground.normal)
    return Carry(reference, Plane(normal, -float(normal @ np.array(recipe.ground.point))))


def _inner(camera: CameraFrame) -> tuple[float, ...]:
    sizes = (camera.width_px, camera.height_px)
    return (camera.focal_px_x, camera.focal_px_y, camera.principal_x, camera.principal_y, *sizes)


def _rotation(camera: CameraFrame) -> Array:
    """(3, 3) camera to world."""
    return np.array(camera.camera_to_world)[:3, :3]


def _slope(plane: Plane, camera: CameraFrame) -> Array:
    """The plane as 1 / depth of a ray (x, y, -1) of the camera: slope · ray."""
    height = float(plane.normal @ np.array(camera.position)) + plane.offset
    if abs(height) < 1e-9:
        raise CameraError(f"camera, frame {camera.frame}: it stands in the plane that the background is carried on")
    return np.asarray(-(_rotation(camera).T @ plane.normal) / height)


def _rays(camera: CameraFrame, x: Array, y: Array) -> Array:
    """(3, h, w): the direction of each pixel in the camera's axes, one metre ahead."""
    across = (x - camera.principal_x) / camera.focal_px_x
    up = -(y - camera.principal_y) / camera.focal_px_y
    return np.stack([across, up, np.full_like(across, -1.0)])


def _project(camera: CameraFrame, directions: Array) -> tuple[Array, Array]:
    """(3, h, w) directions in the camera's axes -> pixels; what lies behind goes far out on its own side."""
    ahead = np.maximum(-directions[2], np.hypot(directions[0], directions[1]) / BEHIND)
    ahead = np.maximum(ahead, 1e-30)
    return (
        camera.principal_x + camera.focal_px_x * directions[0] / ahead,
        camera.principal_y - camera.focal_px_y * directions[1] / ahead,
    )


def _through_surface(
    reference: CameraFrame, camera: CameraFrame, turn: Array, moved: Array, surface: Surface
) -> Lookup:
    """The surface knows its nearness by the reference's pixel, which is sought: a fixed point, from infinity on.

    It converges where parallax folds nothing over (a point of the surface moves less than its neighbour lies off).
    """

    def at(x: Array, y: Array) -> tuple[Array, Array]:
        rays = np.tensordot(turn, _rays(camera, x, y), 1)
        u, v = _project(reference, rays)
        for _ in range(FIXED_POINT_STEPS):
            # The point at depth 1 / nearness of the reference: its direction (.., .., -1) is length * ray + ...
            nearness = surface.nearness(u, v)
            length = np.maximum((1 + nearness * moved[2]) / np.maximum(-rays[2], 1e-9), 0.0)
            before = u, v
            u, v = _project(reference, length * rays + nearness * moved[:, None, None])
            if max(np.abs(u - before[0]).max(), np.abs(v - before[1]).max()) < CONVERGED_PX:
                break
        return u, v

    return at
