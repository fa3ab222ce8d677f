"""Runs in a child Blender: renders a world all around, or a scene through a camera, as one EXR per frame.

Called as `mask_worker` is, whose loop it uses. Beside the frames it leaves a text that says what they were made of;
where that has changed, all of them are made again.
"""

import hashlib
import json
import math
import sys
from pathlib import Path

import bpy

SAMPLES, FEWEST = 1024, 16  # of a world: a sun's disc is about as wide as a pixel, and the rest is smooth
NOISE = 0.005
LOOKED_AT_AS = {"Is Diffuse Ray": 1.0, "Is Reflection Ray": 1.0}  # what lights a surface, not what a camera sees


def main(order):
    """Does one order. See `raster.Raster` for its keys."""
    for folder in (order["extension"], str(Path(__file__).parent)):
        sys.path.insert(0, folder)
    import compat
    from mask_worker import render_frames
    from scene_digest import digest_since, held

    bpy.ops.wm.read_homefile(use_empty=True)
    compat.use_working_primaries(order["working_space"])
    before = held()
    scene = _world_scene(order) if order["kind"] == "world" else _view_scene(order)
    # What is evaluated in the window is what the digest sees; 4.2 begins to when it is asked for.
    bpy.context.window_manager.windows[0].scene = scene
    bpy.context.evaluated_depsgraph_get()
    scene.frame_set(min(number for number, _ in order["frames"]))
    asked = [order[key] for key in ("width_px", "height_px", "percentage", "aspect", "camera", "solved")]
    frames = [number - int(Path(target).suffixes[-2][1:]) for number, target in order["frames"][:1]]
    made_of = repr((digest_since(before), asked, frames, bpy.app.version, order["working_space"]))
    _keep_if(hashlib.sha256(made_of.encode()).hexdigest(), Path(order["stamp"]))
    render_frames(scene, order, compat)


def _keep_if(made_of, stamp):
    """Lets go of frames that were made of something else."""
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != made_of:
        for path in stamp.parent.glob("*.exr"):
            path.unlink()
        stamp.write_text(made_of, encoding="utf-8")


def _view_scene(order):
    with bpy.data.libraries.load(order["library"], link=False) as (_, wanted):
        wanted.scenes, wanted.objects = [order["name"]], [order["camera"]] if order["camera"] else []
    (scene,) = wanted.scenes
    for marker in scene.timeline_markers:
        marker.camera = None  # else it changes the camera on its frame
    scene.camera = wanted.objects[0] if order["camera"] else _solved_camera(scene, order["solved"])
    scene.render.film_transparent = False
    return scene


def _solved_camera(scene, solved):
    """A camera with a key on every frame. What a solve does not know (focus, clipping) is the scene camera's."""
    from mathutils import Matrix

    own = scene.camera is not None and scene.camera.type == "CAMERA"
    data = scene.camera.data.copy() if own else bpy.data.cameras.new("solved")
    data.animation_data_clear()
    data.type, data.sensor_fit = "PERSP", "HORIZONTAL"
    one = bpy.data.objects.new("solved", data)
    scene.collection.objects.link(one)
    one.rotation_mode = "QUATERNION"
    turned = None
    for scene_frame, rows, focal, shift_x, shift_y in solved:
        one.location, rotation, _ = Matrix(rows).decompose()
        if turned is not None:
            rotation.make_compatible(turned)
        one.rotation_quaternion = turned = rotation
        data.lens, data.shift_x, data.shift_y = focal * data.sensor_width, shift_x, shift_y
        for owner, path in ((one, "location"), (one, "rotation_quaternion"), (data, "lens"), (data, "shift_x"),
                            (data, "shift_y")):  # fmt: skip
            owner.keyframe_insert(path, frame=scene_frame)
    return one


def _world_scene(order):
    """The world and nothing else, seen all around by a camera that looks along +Y: the picture's centre."""
    with bpy.data.libraries.load(order["library"], link=False) as (_, wanted):
        wanted.worlds = [order["name"]]
    scene = bpy.data.scenes.new("world")
    (scene.world,) = wanted.worlds
    _look_as_light(scene.world)
    camera = bpy.data.objects.new("around", bpy.data.cameras.new("around"))
    camera.data.type, camera.data.panorama_type = "PANO", "EQUIRECTANGULAR"
    camera.rotation_euler = (math.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    bpy.context.scene.world = scene.world  # Cycles' settings ask for the world of what is shown
    scene.camera, scene.render.engine, cycles = camera, "CYCLES", scene.cycles
    scene.render.fps, scene.render.fps_base = order["rate"]
    cycles.device, cycles.pixel_filter_type, cycles.use_denoising = "CPU", "BOX", False
    cycles.use_adaptive_sampling, cycles.adaptive_threshold = True, NOISE
    cycles.adaptive_min_samples, cycles.samples = FEWEST, SAMPLES
    return scene


def _look_as_light(world):
    """Answers a Light Path as for a ray that a surface sends out, and lets the camera see the world at all."""
    world.cycles_visibility.camera = True
    waiting, seen = [world.node_tree], []
    while waiting:
        tree = waiting.pop()
        if tree is None or tree in seen:
            continue
        seen.append(tree)
        waiting.extend(node.node_tree for node in tree.nodes if getattr(node, "node_tree", None) is not None)
        for link in [one for one in tree.links if one.from_node.bl_idname == "ShaderNodeLightPath"]:
            value, target = LOOKED_AT_AS.get(link.from_socket.name, 0.0), link.to_socket
            tree.links.remove(link)
            target.default_value = (value, value, value, 1.0) if target.type == "RGBA" else value


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text(encoding="utf-8")))
