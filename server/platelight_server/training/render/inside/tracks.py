"""Ground-truth trajectories: points of the foreground's surfaces, and of the set, in the world and in the picture."""

from __future__ import annotations

import random
from typing import Any

import bpy
from bpy_extras.object_utils import world_to_camera_view

POINTS_FG, POINTS_SET = 200, 60


def cameras(scene: Any, camera: Any, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Per frame the camera-to-world matrix (Z-up, looking down its own -Z) and the focal length in pixels."""
    found = []
    for frame in range(job["first"], job["first"] + job["frames"]):
        scene.frame_set(frame)
        focal = camera.data.lens / camera.data.sensor_width * job["width"]
        found.append({"frame": frame, "matrix": [list(row) for row in camera.matrix_world], "focal_px": focal})
    return found


def points(scene: Any, camera: Any, job: dict[str, Any]) -> dict[str, Any]:
    """World places (F, P, 3, Z-up), picture places (F, P, 3: x, y down, depth; hidden points too), kinds (P)."""
    rng = random.Random(f"tracks/{job['seed']}")
    scene.frame_set(job["first"])
    chosen = _choose(rng, "foreground", POINTS_FG) + _choose(rng, "set", POINTS_SET)
    world, pixel = [], []
    for frame in range(job["first"], job["first"] + job["frames"]):
        scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        places = _places(graph, chosen)
        world.append([list(place) for place in places])
        seen = [world_to_camera_view(scene, camera, place) for place in places]
        pixel.append([[at.x * job["width"], (1 - at.y) * job["height"], at.z] for at in seen])
    kinds = ["fg" if collection == "foreground" else "bg" for collection, _, _ in chosen]
    return {"world": world, "pixel": pixel, "kind": kinds}


def _choose(rng: random.Random, collection: str, most: int) -> list[tuple[str, str, int]]:
    graph = bpy.context.evaluated_depsgraph_get()
    every = [
        (collection, one.name, index)
        for one in bpy.data.collections[collection].objects
        if one.type == "MESH"
        for index in range(len(one.evaluated_get(graph).data.vertices))
    ]
    return rng.sample(every, min(most, len(every)))


def _places(graph: Any, chosen: list[tuple[str, str, int]]) -> list[Any]:
    held = {name: bpy.data.objects[name].evaluated_get(graph) for name in {name for _, name, _ in chosen}}
    return [held[name].matrix_world @ held[name].data.vertices[index].co for _, name, index in chosen]
