"""The recipe's camera, from its file, its own frames or the plates' headers, for the picture size of the plate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from platelight.camera import Camera, CameraFrame
from platelight.camera_files import camera_from_world_to_camera, read_camera
from platelight.errors import CameraError
from platelight.frames import FrameRange
from platelight.recipe import CameraSource, Recipe

from . import fence, picture_io
from .inputs import Source
from .picture import Box, PictureInfo


def load_camera(recipe: Recipe, first: PictureInfo, needed: Sequence[int], plate: Source) -> Camera | None:
    """The camera of all needed frames; `None` where the recipe has none.

    Raises `CameraError` naming the file and the frames that it does not cover.
    """
    asked = recipe.camera
    if asked is None:
        return None
    width, height = first.display.width, first.display.height
    if asked.path is not None:
        camera = _from_file(Path(asked.path), asked, first)
        where = asked.path
    elif asked.frames:
        camera, where = Camera.of(asked.frames, asked.lens), "camera.frames"
    else:
        camera, where = _from_headers(asked, plate, needed, width, height), "the plate's headers"
    lacking = [frame for frame in needed if frame not in camera.frames]
    if lacking:
        raise CameraError(
            f"{where}: expected the camera of frames {FrameRange.of(needed)}, it has none for {FrameRange.of(lacking)}"
            f" (it holds {FrameRange.of(camera.frames)})"
        )
    return camera


def _from_file(path: Path, asked: CameraSource, first: PictureInfo) -> Camera:
    try:
        with fence.readable(path) as name:
            return read_camera(
                path, first.display.width, first.display.height, sensor_mm=asked.sensor_mm, focal_mm=asked.focal_mm,
                pixel_aspect=first.pixel_aspect, lens=asked.lens, opened=name,
            )  # fmt: skip
    except OSError as error:
        raise CameraError(f"{path}: cannot read the camera file: {error.strerror or error}; check the path") from error


def over_box(camera: CameraFrame, display: Box, work: Box, width_px: int, height_px: int) -> CameraFrame:
    """The camera of the display window, as seen by a picture of the work window at another size."""
    shown = camera.scaled(display.width, display.height)
    moved = CameraFrame(
        shown.frame, shown.camera_to_world, shown.focal_px_x, shown.focal_px_y,
        shown.principal_x + display.x_first - work.x_first, shown.principal_y + display.y_first - work.y_first,
        work.width, work.height,
    )  # fmt: skip
    return moved.scaled(width_px, height_px)


def _from_headers(asked: CameraSource, plate: Source, needed: Sequence[int], width: int, height: int) -> Camera:
    if asked.focal_mm is None or asked.sensor_mm is None:
        raise CameraError(
            "camera.from_plate_header: expected camera.focal_mm and camera.sensor_mm beside it, the header's"
            " worldToCamera says only where the camera stands"
        )
    frames = []
    for frame in needed:
        path = plate.files.get(frame)
        if path is None:
            continue
        header = picture_io.read_info(path).header
        if "worldToCamera" not in header:
            raise CameraError(f"{path}: expected worldToCamera in the header (camera.from_plate_header), found none")
        frames.append(
            camera_from_world_to_camera(
                header["worldToCamera"],
                frame=frame,
                focal_px_x=asked.focal_mm / asked.sensor_mm[0] * width,
                focal_px_y=asked.focal_mm / asked.sensor_mm[1] * height,
                width_px=width,
                height_px=height,
            )
        )
    return Camera.of(frames, asked.lens)
