"""What the tests are made of: EXR sequences, clips solved from cameras that are known, masks, small Cycles renders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

WIDTH, HEIGHT, COUNT, FIRST = 320, 180, 8, 1001


def write_exr(path: Path, channels: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> Path:
    """An EXR of float32 channels (H, W)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **(header or {})}
    with OpenEXR.File(held, {k: np.ascontiguousarray(v, np.float32) for k, v in channels.items()}) as file:
        file.write(str(path))
    return path


def read_exr(path: Path) -> dict[str, Any]:
    """The channels of an EXR, each (H, W)."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {name: channel.pixels.copy() for name, channel in file.channels().items()}


def make_plate(
    folder: Path, name: str = "plate", first: int = FIRST, count: int = COUNT, size: tuple[int, int] = (WIDTH, HEIGHT),
    header: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """A sequence whose blue is the frame's index / 10. Returns its first file."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for i in range(count):
        channels = {"R": x / width * 4, "G": y / height, "B": np.full_like(x, i / 10)}
        write_exr(folder / f"{name}.{first + i:04d}.exr", channels, header)
    return folder / f"{name}.{first:04d}.exr"


def pose(i: int, count: int = COUNT) -> Any:
    """Where the known camera stands on the clip's frame i + 1, in the solve's own space."""
    from mathutils import Matrix

    angle = 0.08 * (i - count / 2)
    place = Matrix.Translation((8 * math.sin(angle), 0.05 * i, 8 * math.cos(angle)))
    return place @ Matrix.Rotation(angle, 4, "Y")


def places(count: int = 40) -> Any:
    """Points (n, 3) in front of that camera."""
    drawn = np.random.default_rng(1)
    return np.c_[drawn.uniform(-3, 3, count), drawn.uniform(-1.2, 1.2, count), drawn.uniform(-2, 2, count)]


def distorted(model: str, k: Sequence[float], x: float, y: float, f: float, half: float) -> tuple[float, float]:
    """Square pixels from the principal point, y up: Blender's formulas, written apart from ours."""
    c = [*k, *[0.0] * 6]
    r2 = x * x + y * y
    if model == "POLYNOMIAL":
        d = 1 + c[0] * r2 + c[1] * r2**2 + c[2] * r2**3
        return x * d * f, y * d * f
    if model == "BROWN":
        d = 1 + c[0] * r2 + c[1] * r2**2 + c[2] * r2**3 + c[3] * r2**4
        xd = x * d + c[4] * (r2 + 2 * x * x) + 2 * c[5] * x * y
        yd = y * d + c[5] * (r2 + 2 * y * y) + 2 * c[4] * x * y
        return xd * f, yd * f
    if model == "DIVISION":
        d = 1 / (1 + c[0] * r2 + c[1] * r2 * r2)
        return x * d * f, y * d * f
    xu, yu = x * f / half, y * f / half
    xd, yd = xu, yu
    for _ in range(200):
        r2 = xd * xd + yd * yd
        d = 1 + c[0] * r2 + c[1] * r2 * r2
        xd, yd = xu * (d + c[2] * yd * yd), yu * (d + c[3] * xd * xd)
    return xd * half, yd * half


KEYS = {
    "POLYNOMIAL": ("k1", "k2", "k3"),
    "DIVISION": ("division_k1", "division_k2"),
    "NUKE": ("nuke_k1", "nuke_k2", "nuke_p1", "nuke_p2"),
    "BROWN": ("brown_k1", "brown_k2", "brown_k3", "brown_k4", "brown_p1", "brown_p2"),
}


def make_clip(
    path: Path, model: str = "POLYNOMIAL", k: Sequence[float] = (), principal: tuple[float, float] = (0.0, 0.0),
    pixel_aspect: float = 1.0, frame_start: int = 1, frame_offset: int = 0, solved: int = COUNT,
) -> Any:  # fmt: skip
    """A clip with exact tracks on its first `solved` frames (0: none), solved. `principal` is pixels off the centre."""
    import bpy
    from mathutils import Vector

    clip = bpy.data.movieclips.load(str(path))
    clip.frame_start, clip.frame_offset = frame_start, frame_offset
    width, height = clip.size
    camera = clip.tracking.camera
    camera.sensor_width, camera.focal_length, camera.pixel_aspect = 36, 35, pixel_aspect
    camera.distortion_model = model
    for key, value in zip(KEYS[model], k, strict=False):
        setattr(camera, key, value)
    camera.principal_point_pixels = (width / 2 + principal[0], height / 2 + principal[1])
    f, half = 35 / 36 * width, max(width, height / pixel_aspect) / 2
    for n, place in enumerate(places() if solved else ()):
        track = clip.tracking.tracks.new(name=f"T{n:02d}", frame=1)
        for i in range(solved):
            v = pose(i).inverted() @ Vector(place)
            x, y = distorted(model, k, v.x / -v.z, v.y / -v.z, f, half)
            where = ((x + principal[0]) / width + 0.5, (y * pixel_aspect + principal[1]) / height + 0.5)
            track.markers.insert_frame(i + 1, co=where)
    if solved:
        tracked = clip.tracking.objects.active
        tracked.keyframe_a, tracked.keyframe_b = 1, solved
        solve(clip)
    return clip


def solve(clip: Any) -> None:
    """Blender's own solver, in a clip editor."""
    import bpy

    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "CLIP_EDITOR"
    area.spaces.active.clip = clip
    region = next(one for one in area.regions if one.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.clip.solve_camera()
    assert clip.tracking.reconstruction.is_valid


def make_mask(name: str = "Roto", keyed: bool = False) -> Any:
    """A rectangle 80 x 64 pixels of 320 x 180; keyed, it moves right by 27 pixels a frame over scene frames 1 to 3."""
    import bpy

    mask = bpy.data.masks.new(name)
    spline = mask.layers.new(name="Layer").splines.new()
    spline.use_cyclic = True
    spline.points.add(3)
    for scene_frame, moved in ((1, 0.0), (3, 0.2)) if keyed else ((1, 0.0),):
        if keyed:
            bpy.context.scene.frame_set(scene_frame)  # before the points move: it puts them back where keys say
        corners = ((0.25, 0.4), (0.5, 0.4), (0.5, 0.6), (0.25, 0.6))
        for point, (x, y) in zip(spline.points, corners, strict=True):
            point.handle_left_type = point.handle_right_type = "VECTOR"
            point.co = point.handle_left = point.handle_right = (x + moved, y)
        if keyed:
            key_mask(mask)
    return mask


def key_mask(mask: Any) -> None:
    """A shape key of a mask as it is now, on the scene's frame; it needs a clip in the file."""
    import bpy

    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "CLIP_EDITOR"
    area.spaces.active.clip = bpy.data.movieclips[0]
    area.spaces.active.mode, area.spaces.active.mask = "MASK", mask
    region = next(one for one in area.regions if one.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        mask.layers.active = mask.layers[0]
        for point in mask.layers[0].splines[0].points:
            point.select = True
        bpy.ops.mask.shape_key_insert()


def linear(action: Any) -> None:
    """All curves of an action without easing, so that values between keys are known."""
    curves = action.fcurves if hasattr(action, "fcurves") else action.layers[0].strips[0].channelbags[0].fcurves
    for curve in curves:
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"
