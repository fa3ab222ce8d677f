"""Points of the set followed through frames: exactly, from the solved camera, or from the plate by a tracker.

What Diffusion as Shader is led by. The paper estimates tracks and depth; a solved camera knows them: a solved point is
projected, and where there are few a grid over the first frame is laid on the set that the recipe knows: a surface
through its points, its ground, or what is far off (rotation alone). Pure; float64 until it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from platelight.camera import CameraFrame
from platelight.errors import CameraError, InputError
from platelight.matrices import Vector3
from platelight.recipe import Ground
from platelight_server.plates.surface import POINTS_LEAST, surface_through

__all__ = ["CameraTracks", "TrackSource", "Tracker", "Tracks", "covered", "projected"]

Array = np.ndarray

GRID = 70  # the published grid of tracked points, across and down
POINTS_DENSE = 1000  # solved points that need no grid beside them
COVER_LEAST = 0.25  # of the cells below, in the first frame, that hold a point
CELLS = 8


@dataclass(frozen=True)
class Tracks:
    """N points on F frames.

    xy        (F, N, 2) float64, pixels from the top-left corner, exact: nothing is rounded
    nearness  (F, N) float64, 1 / metres along the camera's axis (or in any unit); 0 is far off
    shown     (F, N) bool: in front of the camera, and followed there
    """

    xy: Array
    nearness: Array
    shown: Array


# The tracks of these positions in the shot, of points seen at the first of them.
TrackSource = Callable[[Sequence[int]], Tracks]


class Tracker(Protocol):
    """Follows points through pictures, where no solved camera does."""

    def track(self, video: Array, matte: Array) -> Tracks:
        """Tracks of points that the first frame shows outside the matte.

        video  (F, 3, h, w) float32, codes -1..1; matte (F, 1, h, w) float32, 0..1
        Raises `InputError` where too little of the background can be followed.
        """


@dataclass(frozen=True)
class CameraTracks:
    """Exact tracks of a shot with a solved camera: a `TrackSource`.

    `cameras` are those of all frames, for pictures of the size that is drawn; `points` are solved, world, metres.
    `entering` adds grids on later frames for what the first one does not show yet; the published model knows points of
    the first frame alone.
    """

    cameras: Sequence[CameraFrame]
    points: Sequence[Vector3] = ()
    ground: Ground | None = None
    entering: bool = False
    every: int = 8  # frames between the grids of what enters

    def __call__(self, positions: Sequence[int]) -> Tracks:
        """Raises `InputError` where the points leave most of the first frame without any."""
        cameras = [self.cameras[position] for position in positions]
        solved = np.array([(*point, 1.0) for point in self.points], np.float64).reshape(-1, 4)
        if len(solved) < POINTS_DENSE:
            solved = np.concatenate([solved, self._grids(cameras)])
        tracks = projected(solved, cameras)
        found = covered(tracks, cameras[0].width_px, cameras[0].height_px)
        if found < COVER_LEAST:
            raise InputError(
                f"camera.points: expected points over {COVER_LEAST:.0%} or more of frame {cameras[0].frame}, they"
                f" cover {found:.0%}; solve points all over the set, or fewer than {POINTS_DENSE}, which lays a grid"
            )
        return tracks

    def _grids(self, cameras: Sequence[CameraFrame]) -> Array:
        """(N, 4) homogeneous world points under a grid over the first frame, and what enters later."""
        found = self._under(cameras[0])
        for camera in cameras[self.every :: self.every] if self.entering else ():
            fresh = self._under(camera)
            before = projected(fresh, [one for one in cameras if one.frame < camera.frame])
            seen = _inside(before.xy, cameras[0].width_px, cameras[0].height_px) & before.shown
            found = np.concatenate([found, fresh[~seen.any(0)]])
        return found

    def _under(self, camera: CameraFrame) -> Array:
        x, y = np.meshgrid(*((np.arange(GRID) + 0.5) / GRID * size for size in (camera.width_px, camera.height_px)))
        rays = np.stack(
            [(x - camera.principal_x) / camera.focal_px_x, -(y - camera.principal_y) / camera.focal_px_y]
        ).reshape(2, -1)
        rays = np.concatenate([rays, np.full((1, rays.shape[1]), -1.0)])
        turned = _rotation(camera) @ rays
        near = self._nearness(camera, turned, x.ravel(), y.ravel())
        return np.stack([*(turned + near * np.array(camera.position)[:, None]), near], 1)

    def _nearness(self, camera: CameraFrame, rays: Array, x: Array, y: Array) -> Array:
        if len(self.points) >= POINTS_LEAST:
            try:
                return surface_through(camera, self.points).nearness(x, y)
            except CameraError:  # too few of them in view of this frame
                pass
        if self.ground is not None:
            normal = np.array(self.ground.normal) / np.linalg.norm(self.ground.normal)
            height = normal @ (np.array(camera.position) - np.array(self.ground.point))
            if abs(height) > 1e-9:
                return np.asarray(np.maximum(-(normal @ rays) / height, 0.0))
        return np.zeros_like(x)


def projected(points: Array, cameras: Sequence[CameraFrame]) -> Tracks:
    """(N, 4) homogeneous world points (the last number 0 is a direction) as the cameras see them. Pinholes."""
    xy, near, shown = [], [], []
    for camera in cameras:
        moved = points[:, :3] - points[:, 3:] * np.array(camera.position)
        seen = moved @ _rotation(camera)
        ahead = -seen[:, 2]
        shown.append(ahead > 1e-9)
        safe = np.where(ahead > 1e-9, ahead, 1.0)
        xy.append(
            np.stack(
                [
                    camera.principal_x + camera.focal_px_x * seen[:, 0] / safe,
                    camera.principal_y - camera.focal_px_y * seen[:, 1] / safe,
                ],
                1,
            )
        )
        near.append(points[:, 3] / safe)
    return Tracks(np.stack(xy), np.stack(near), np.stack(shown))


def covered(tracks: Tracks, width: int, height: int) -> float:
    """The share of an 8x8 grid over the first frame whose cells hold a point."""
    here = tracks.shown[0] & _inside(tracks.xy[0], width, height)
    cells = (tracks.xy[0][here] / (width, height) * CELLS).astype(int)
    return len({tuple(cell) for cell in cells.tolist()}) / CELLS**2


def _inside(xy: Array, width: int, height: int) -> Array:
    return np.asarray((xy >= 0).all(-1) & (xy < (width, height)).all(-1))


def _rotation(camera: CameraFrame) -> Array:
    return np.array(camera.camera_to_world)[:3, :3]
