"""Solved cameras: where the camera stands on each frame, and how it projects.

Convention, everywhere in Platelight: world right-handed, Y-up, metres; the camera looks down its -Z, +Y is up, +X is
right; pixels have their origin at the top-left corner of the picture, x to the right, y down, so the centre of the
first pixel is (0.5, 0.5). Files that mean something else are converted by `camera_files`, or refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Literal

from .errors import CameraError
from .frames import FrameRange
from .matrices import Matrix4, Vector3, rigid_inverse, rigid_problem, transform_point

LensKind = Literal["none", "polynomial", "brown", "division", "nuke"]

_COEFFICIENTS_MOST: Mapping[str, int] = {"none": 0, "polynomial": 3, "brown": 6, "division": 2, "nuke": 4}


@dataclass(frozen=True)
class LensModel:
    """How a lens bends the picture, in Blender's formulas, which were checked to 6e-6 px (facts/blender.md §2.3).

    x, y are ideal normalised coordinates (pixels from the principal point / focal length; x right, y up), r² = x² + y²:

        none        no distortion: what an undistorted plate has
        polynomial  (k1, k2, k3)              d = 1 + k1 r² + k2 r⁴ + k3 r⁶;           xd = x d, yd = y d
        brown       (k1, k2, k3, k4, p1, p2)  d = 1 + k1 r² + k2 r⁴ + k3 r⁶ + k4 r⁸;
                                              xd = x d + p1 (r² + 2x²) + 2 p2 x y
                                              yd = y d + p2 (r² + 2y²) + 2 p1 x y      (p1, p2 swapped against OpenCV)
        division    (k1, k2)                  xd = x / (1 + k1 r² + k2 r⁴)             (r of the undistorted point)
        nuke        (k1, k2, p1, p2)          on square pixels from the principal point / (max(W, H/pixel_aspect)/2):
                                              xu = xd / (1 + k1 rd² + k2 rd⁴ + p1 yd²)  (rd of the distorted point)
                                              yu = yd / (1 + k1 rd² + k2 rd⁴ + p2 xd²)

    Coefficients that are left out at the end are 0. Raises CameraError for too many of them. `lenses.bent` applies it.
    """

    kind: LensKind = "none"
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in _COEFFICIENTS_MOST:
            raise CameraError(f"lens: expected one of {', '.join(_COEFFICIENTS_MOST)}, got {self.kind!r}")
        most = _COEFFICIENTS_MOST[self.kind]
        if len(self.coefficients) > most:
            raise CameraError(
                f"lens: expected at most {most} coefficients for {self.kind}, got {len(self.coefficients)}"
            )


@dataclass(frozen=True)
class CameraFrame:
    """The camera on one frame, for a picture of `width_px` x `height_px`.

    `camera_to_world` is rigid (column vectors, translation in the last column, metres). `focal_px_x` and `focal_px_y`
    differ where pixels are not square. `principal_x`, `principal_y` in pixels from the top-left corner.
    Raises CameraError for a matrix that is not rigid or for sizes and focal lengths that are not positive.
    """

    frame: int
    camera_to_world: Matrix4
    focal_px_x: float
    focal_px_y: float
    principal_x: float
    principal_y: float
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        problem = rigid_problem(self.camera_to_world)
        if problem:
            raise CameraError(f"camera, frame {self.frame}: {problem}; export it without scale or shear")
        numbers = (self.focal_px_x, self.focal_px_y, float(self.width_px), float(self.height_px))
        if not all(isfinite(number) and number > 0 for number in numbers):
            raise CameraError(
                f"camera, frame {self.frame}: expected focal lengths and a size above 0, got focal "
                f"{self.focal_px_x:g} x {self.focal_px_y:g} px for {self.width_px} x {self.height_px} px"
            )
        if not (isfinite(self.principal_x) and isfinite(self.principal_y)):
            raise CameraError(f"camera, frame {self.frame}: expected a principal point in pixels, got no finite number")

    @property
    def position(self) -> Vector3:
        """Where the camera stands, in the world, metres."""
        m = self.camera_to_world
        return (m[0][3], m[1][3], m[2][3])

    @property
    def world_to_camera(self) -> Matrix4:
        """The inverse of `camera_to_world`."""
        return rigid_inverse(self.camera_to_world)

    def scaled(self, width_px: int, height_px: int) -> CameraFrame:
        """The same view of the picture brought to another size (all of the picture, so x and y scale apart)."""
        across, down = width_px / self.width_px, height_px / self.height_px
        return replace(
            self,
            focal_px_x=self.focal_px_x * across,
            focal_px_y=self.focal_px_y * down,
            principal_x=self.principal_x * across,
            principal_y=self.principal_y * down,
            width_px=width_px,
            height_px=height_px,
        )

    def project(self, point: Vector3) -> tuple[float, float, float]:
        """World point (metres) to pixel x, y and depth along the camera axis (metres; <= 0 is behind the camera).

        The lens is not applied. Raises ZeroDivisionError for a point in the plane of the camera itself.
        """
        x, y, z = transform_point(self.world_to_camera, point)
        return (
            self.principal_x + self.focal_px_x * x / -z,
            self.principal_y - self.focal_px_y * y / -z,
            -z,
        )


@dataclass(frozen=True)
class Camera:
    """A solved camera: one `CameraFrame` per frame, and the lens. Frames that it does not hold are an error."""

    frames: Mapping[int, CameraFrame]
    lens: LensModel = field(default_factory=LensModel)

    def __post_init__(self) -> None:
        if not self.frames:
            raise CameraError("camera: expected at least one frame, got none")
        object.__setattr__(self, "frames", dict(sorted(self.frames.items())))

    @classmethod
    def of(cls, frames: Iterable[CameraFrame], lens: LensModel | None = None) -> Camera:
        """A camera from its frames. Raises CameraError when a frame comes twice."""
        held: dict[int, CameraFrame] = {}
        for one in frames:
            if one.frame in held:
                raise CameraError(f"camera: frame {one.frame} comes twice")
            held[one.frame] = one
        return cls(held, lens or LensModel())

    def at(self, frame: int) -> CameraFrame:
        """The camera on `frame`. Raises CameraError naming what there is when it has none."""
        if frame not in self.frames:
            raise CameraError(f"camera: no frame {frame}, it holds {self.range}; solve or export the whole shot")
        return self.frames[frame]

    @property
    def range(self) -> FrameRange:
        """The frames that the camera holds."""
        return FrameRange.of(self.frames)

    def missing(self, frames: Iterable[int]) -> tuple[int, ...]:
        """Those of `frames` that the camera does not hold."""
        return tuple(frame for frame in frames if frame not in self.frames)

    def covers(self, frames: Iterable[int]) -> bool:
        """Whether the camera holds all of `frames`."""
        return not self.missing(frames)

    def require(self, frames: Iterable[int]) -> None:
        """Raises CameraError listing the frames that the camera does not hold."""
        missing = self.missing(frames)
        if missing:
            raise CameraError(
                f"camera: expected all frames of the shot, missing {FrameRange.of(missing)}; it holds {self.range}"
            )

    def scaled(self, width_px: int, height_px: int) -> Camera:
        """The same camera for pictures of another size."""
        return Camera({n: one.scaled(width_px, height_px) for n, one in self.frames.items()}, self.lens)
