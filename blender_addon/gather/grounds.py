"""The plane that shadows fall on: through an object, or through the largest mesh of a collection."""

from __future__ import annotations

from typing import Any

from ..core import Ground
from . import timeline
from .cameras import rows
from .findings import Findings
from .space import axis_lengths, direction_y_up, point_y_up


def ground(context: Any, scene: Any, shot: Any, scene_frame: int, findings: Findings) -> Ground | None:
    """The plane on `scene_frame`, across the object's own Z axis, its normal upwards. Raises Stopped."""
    if shot.ground_kind == "NONE":
        return None
    one = _chosen(shot, findings)
    at = timeline.now(context, scene, [one])
    matrix = rows(at[0].matrix_world) if at else timeline.over_frames(scene, [one], [scene_frame], _matrix)[0]
    if min(axis_lengths(matrix)) < 1e-12:
        raise findings.stop(f"The ground {one.name} is scaled to nothing: give it a size.", "ground_object")
    normal = direction_y_up([matrix[i][2] / axis_lengths(matrix)[2] for i in range(3)])
    upwards = normal if normal[1] >= 0 else (-normal[0], -normal[1], -normal[2])
    place = point_y_up([matrix[i][3] for i in range(3)], scene.unit_settings.scale_length)
    return Ground(place, upwards)


def _matrix(evaluated: list[Any]) -> Any:
    return rows(evaluated[0].matrix_world)


def _chosen(shot: Any, findings: Findings) -> Any:
    if shot.ground_kind == "OBJECT":
        if shot.ground_object is None:
            raise findings.stop("The ground is an object, and none is chosen: choose one.", "ground_object")
        return shot.ground_object
    if shot.ground_collection is None:
        raise findings.stop("The ground is a collection, and none is chosen: choose one.", "ground_collection")
    meshes = sorted(
        (one for one in shot.ground_collection.all_objects if one.type == "MESH"),
        key=lambda one: (-one.dimensions[0] * one.dimensions[1], one.name),
    )
    if not meshes:
        raise findings.stop(
            f"The collection {shot.ground_collection.name} has no mesh for a ground: put a plane into it.",
            "ground_collection",
        )
    if len(meshes) > 1:
        findings.note(f"The ground is one plane, that of {meshes[0].name}, the largest mesh of its collection.")
    return meshes[0]
