"""Runs inside Blender's Python: the irradiance that each lamp of a job gives a white plane facing it at the centre.

python calibrating.py RENDER_FOLDER JOB.json OUT.json
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import bpy

sys.path.insert(0, sys.argv[1])
from inside import lamps


def main(job: dict, out: Path) -> None:
    """Renders an 8x8 picture of the plane per lamp; a white Lambertian surface sends back irradiance / pi."""
    found = {}
    for lamp in job["lamps"]:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        scene = bpy.context.scene
        scene.view_layers[0].lightgroups.add(name=lamp["name"])
        lamps.make([lamp], None)
        _plane_and_camera(scene, lamps.z_up(job["center"]), lamps.z_up(lamp.get("direction", (0, 1, 0))))
        scene.render.engine, scene.cycles.device, scene.cycles.samples = "CYCLES", "CPU", 128
        scene.cycles.use_denoising, scene.cycles.max_bounces = False, 0
        scene.render.threads_mode, scene.render.threads = "FIXED", 1
        scene.render.resolution_x = scene.render.resolution_y = 8
        settings = scene.render.image_settings
        if hasattr(settings, "media_type"):
            settings.media_type = "IMAGE"
        settings.file_format, settings.color_depth = "OPEN_EXR", "32"
        scene.render.filepath = str(out.with_suffix(".exr"))
        bpy.ops.render.render(write_still=True)
        picture = bpy.data.images.load(scene.render.filepath)
        found[lamp["name"]] = math.pi * sum(list(picture.pixels)[::4]) / 64
    out.write_text(json.dumps(found), "utf-8")


def _plane_and_camera(scene: object, center: object, normal: object) -> None:
    mesh = bpy.data.meshes.new("plane")
    mesh.from_pydata([(-0.01, -0.01, 0), (0.01, -0.01, 0), (0.01, 0.01, 0), (-0.01, 0.01, 0)], [], [(0, 1, 2, 3)])
    material = bpy.data.materials.new("white")
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    diffuse.inputs["Color"].default_value = (1, 1, 1, 1)
    tree.links.new(diffuse.outputs[0], tree.nodes["Material Output"].inputs["Surface"])
    mesh.materials.append(material)
    facing = normal.to_track_quat("Z", "Y")
    plane = bpy.data.objects.new("plane", mesh)
    plane.location, plane.rotation_euler = center, facing.to_euler()
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.type, camera.data.ortho_scale, camera.data.clip_start = "ORTHO", 0.005, 0.001
    camera.location, camera.rotation_euler = center + 0.1 * normal, facing.to_euler()
    for one in (plane, camera):
        scene.collection.objects.link(one)
    scene.camera = camera


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[2]).read_text("utf-8")), Path(sys.argv[3]))
