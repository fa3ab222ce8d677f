"""The camera: a clip's solve with its lens and tracks, an animated camera object, or a camera file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import CameraError, CameraSource, FrameRange, TrackedPoint
from . import files, timeline
from .findings import Findings
from .mapping import named
from .plates import Source, clip_source, folder_of
from .space import (
    Optics,
    Picture,
    SolveOptics,
    lens_model,
    object_camera_frame,
    point_y_up,
    solve_camera_frame,
)

Rows = Sequence[Sequence[float]]


def solved_camera(
    scene: Any, clip: Any, plate: Source, frames: FrameRange, points: str, findings: Findings
) -> CameraSource:
    """A clip's solve, for the plate's file numbers `frames`, with none of its points, the points, or their marks too.

    `points` is NONE, POINTS or TRACKS. Raises Stopped.
    """
    tracked = next((one for one in clip.tracking.objects if one.is_camera), None)
    rebuilt = tracked.reconstruction if tracked else None
    if rebuilt is None or not rebuilt.is_valid:
        raise findings.stop(f"The clip {clip.name} has no solve: solve it, or choose a camera object.", "camera_kind")
    own = plate if plate.clip_to_file is not None else clip_source(clip, "clip with the solve", findings, "camera_clip")
    optics = _solve_optics(clip, own, findings)
    to_file = (own.clip_to_file or 0) + own.mapping.to(plate.mapping)
    basis, unit_m = _solver_basis(scene, clip), scene.unit_settings.scale_length
    held = {one.frame + to_file: one.matrix for one in rebuilt.cameras}
    missing = [frame for frame in frames if frame not in held]
    if missing:
        raise findings.stop(
            f"The solve of {clip.name} does not cover frames {named(missing, plate.mapping)} of the plate: solve them"
            " too, or shorten the range.",
            "range_kind",
        )

    def mark(track: Any) -> dict[int, tuple[float, float]] | None:
        return _marks(track, optics, to_file, frames) or None if points == "TRACKS" else None

    poses = {n: held[n] if basis is None else basis @ held[n] for n in frames}
    return _rigid(
        lambda: CameraSource(
            frames=tuple(solve_camera_frame(n, rows(matrix), optics, unit_m) for n, matrix in poses.items()),
            sensor_mm=_sensor(clip, optics),
            focal_mm=clip.tracking.camera.focal_length,
            lens=lens_model(clip.tracking.camera),
            points=_points(tracked, basis, unit_m, mark) if points != "NONE" else (),
            error_px=rebuilt.average_error,
        ),
        f"the solve of {clip.name}",
        findings,
    )


def _solve_optics(clip: Any, own: Source, findings: Findings) -> SolveOptics:
    camera = clip.tracking.camera
    width, height = own.size_px if all(own.size_px) else (int(clip.size[0]), int(clip.size[1]))
    x, y = camera.principal_point_pixels
    if own.header and (own.header.data_width_px, own.header.data_height_px) != (width, height):
        # Blender solves on the data window alone; the recipe's camera is that of the display window.
        inner = own.header
        x, y = x + inner.data_x, y + height - inner.data_y - inner.data_height_px
        if camera.distortion_model == "NUKE":
            findings.note(f"The lens of {clip.name} is told for its data window, and Nuke's model depends on the size.")
        corner = (inner.data_x, inner.data_y, inner.data_width_px, inner.data_height_px)
        return SolveOptics(camera.focal_length_pixels, (x, y), camera.pixel_aspect, width, height, corner)
    return SolveOptics(camera.focal_length_pixels, (x, y), camera.pixel_aspect, width, height, (0, 0, width, height))


def _sensor(clip: Any, optics: SolveOptics) -> tuple[float, float]:
    """Width and height of the sensor, mm; Blender knows its width."""
    width = clip.tracking.camera.sensor_width
    return (width, width * optics.height_px / optics.width_px / optics.pixel_aspect)


def _solver_basis(scene: Any, clip: Any) -> Any:
    """What moves a solve into the scene: the own matrix of the camera that a Camera Solver constraint drives with this
    clip, or None. Any other camera, the scene's too, has nothing to do with the solve."""
    for one in sorted(scene.objects, key=lambda candidate: candidate != scene.camera):
        if one.type != "CAMERA" or one.parent is not None:
            continue
        for constraint in one.constraints:
            if constraint.type == "CAMERA_SOLVER" and not constraint.mute:
                used = scene.active_clip if constraint.use_active_clip else constraint.clip
                if used == clip:
                    return one.matrix_basis.copy()
    return None


def _points(tracked: Any, basis: Any, unit_m: float, mark: Callable[[Any], Any]) -> tuple[TrackedPoint, ...]:
    found = []
    for track in tracked.tracks:
        if track.has_bundle:
            place = track.bundle if basis is None else basis @ track.bundle
            error = max(track.average_error, 0.0)
            found.append(TrackedPoint(point_y_up(place, unit_m), track.name, error, mark(track)))
    return tuple(found)


def _marks(track: Any, optics: SolveOptics, to_file: int, frames: FrameRange) -> dict[int, tuple[float, float]]:
    """A track's markers in pixels from the top-left corner, by file number; muted ones are not there."""
    count = len(track.markers)
    numbers, muted, places = np.empty(count, np.int32), np.empty(count, bool), np.empty(count * 2, np.float32)
    track.markers.foreach_get("frame", numbers)
    track.markers.foreach_get("mute", muted)
    track.markers.foreach_get("co", places)
    numbers += to_file
    kept = ~muted & np.isin(numbers, frames.frames)
    x, y = places.astype(np.float64).reshape(-1, 2)[kept].T
    left, top, width, height = optics.clip_px
    across, down = left + x * width, top + (1 - y) * height
    return dict(zip(numbers[kept].tolist(), zip(across.tolist(), down.tolist(), strict=True), strict=True))


def object_camera(
    context: Any, scene: Any, camera: Any, plate: Source, frames: FrameRange, findings: Findings
) -> CameraSource:
    """A camera object, evaluated on every frame. Raises Stopped."""
    if camera.type != "CAMERA":
        raise findings.stop(f"The object {camera.name} is no camera: choose a camera.", "camera_object")
    if camera.data.type != "PERSP":
        raise findings.stop(
            f"The camera {camera.name} is not a perspective one: choose a camera with a focal length.", "camera_object"
        )
    render = scene.render
    picture = Picture(*plate.size_px, (render.pixel_aspect_x, render.pixel_aspect_y))
    at = timeline.now(context, scene, [camera])
    if at is not None:
        seen = [_camera_now(at)] * len(frames)
    else:
        seen = timeline.over_frames(scene, [camera], [plate.mapping.scene(n) for n in frames], _camera_now)
    unit_m = scene.unit_settings.scale_length
    return _rigid(
        lambda: CameraSource(
            frames=tuple(
                object_camera_frame(n, matrix, optics, picture, unit_m)
                for n, (matrix, optics) in zip(frames, seen, strict=True)
            ),
            sensor_mm=(seen[0][1].sensor_width_mm, seen[0][1].sensor_height_mm),
            focal_mm=seen[0][1].focal_mm,
        ),
        f"the camera {camera.name}",
        findings,
    )


def camera_file(shot: Any, findings: Findings) -> CameraSource:
    """A camera file, which the server reads. Raises Stopped."""
    path = files.absolute(shot.camera_path, folder_of(shot.id_data), "camera file", findings, "camera_path")
    if path.suffix.lower() not in {".chan", ".json"}:
        raise findings.stop(
            f"The camera file {path.name} is neither .chan nor .json: export one of these.", "camera_path"
        )
    return CameraSource(path=str(files.require_file(path, "camera file", findings, "camera_path")))


def rows(matrix: Any) -> tuple[tuple[float, ...], ...]:
    """A matrix of Blender's as rows of numbers that outlive it."""
    return tuple(map(tuple, matrix))


def _camera_now(evaluated: list[Any]) -> tuple[Rows, Optics]:
    (one,) = evaluated
    held = one.data
    return rows(one.matrix_world), Optics(
        held.lens, held.sensor_width, held.sensor_height, held.sensor_fit, held.shift_x, held.shift_y
    )


def _rigid(make: Any, what: str, findings: Findings) -> CameraSource:
    try:
        made: CameraSource = make()
    except (CameraError, ValueError) as error:
        raise findings.stop(f"Cannot use {what}: {error}.", "camera_kind") from None
    return made
