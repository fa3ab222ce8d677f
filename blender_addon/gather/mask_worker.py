"""Runs in a child Blender: draws a mask, or what comes out of a compositor socket, as one EXR per frame.

`blender -b --factory-startup --python mask_worker.py -- ORDER.json`, or with the `bpy` module
`python mask_worker.py -- ORDER.json`. It writes R, G, B (each the same for a mask) to a temporary name, renames, and
adds a line to the order's `done` file. Frames whose file is there are passed over.
"""

import json
import os
import sys
from pathlib import Path

import bpy


def main(order):
    """Does one order. See `raster.Raster` for its keys."""
    sys.path.insert(0, order["extension"])
    import compat

    compat.use_working_primaries(order["working_space"])
    scene = _mask_scene(order, compat) if order["kind"] == "mask" else _socket_scene(order, compat)
    render_frames(scene, order, compat)


def render_frames(scene, order, compat):
    """Renders what is not there yet, and tells of every frame. Takes what the interface leaves of the machine."""
    if hasattr(os, "nice"):
        os.nice(10)
    render = scene.render
    render.resolution_x, render.resolution_y = order["width_px"], order["height_px"]
    render.resolution_percentage = order["percentage"]
    render.pixel_aspect_x, render.pixel_aspect_y = order["aspect"]
    render.use_compositing = order["kind"] in ("mask", "socket")
    render.use_sequencer, render.use_file_extension, render.use_multiview, render.use_stamp = False, True, False, False
    render.use_overwrite, render.use_placeholder, render.use_border = True, False, False
    compat.set_exact_compositor(render)
    compat.set_exr(render.image_settings, order["depth"])
    for scene_frame, target in order["frames"]:
        if not Path(target).exists():
            _render(scene, scene_frame, Path(target))
        with Path(order["done"]).open("a", encoding="utf-8") as done:
            done.write(f"{scene_frame}\n")


def _render(scene, scene_frame, target):
    """One frame. Not `write_still`: a mask is frozen in it; only an animation evaluates shape keys (blender.md §3)."""
    part = target.with_name(f".part.{os.getpid()}.")
    scene.frame_start = scene.frame_end = scene_frame
    scene.frame_step = 1
    scene.render.filepath = f"{part}####.exr"
    bpy.ops.render.render(animation=True, scene=scene.name)
    written = Path(scene.render.frame_path(frame=scene_frame))
    os.replace(written, target)  # noqa: PTH105


def _mask_scene(order, compat):
    with bpy.data.libraries.load(order["library"], link=False) as (_, wanted):
        wanted.masks = [order["name"]]
    scene = bpy.context.scene
    tree = compat.compositor_tree(scene, create=True)
    tree.nodes.clear()
    node = tree.nodes.new("CompositorNodeMask")
    node.mask = bpy.data.masks[order["name"]]
    tree.links.new(node.outputs[0], compat.compositor_output(tree))
    return scene


def _socket_scene(order, compat):
    if compat.trees_are_datablocks():
        with bpy.data.libraries.load(order["library"], link=False) as (_, wanted):
            wanted.node_groups = [order["name"]]
        scene = bpy.context.scene
        compat.own_compositor_tree(scene, bpy.data.node_groups[order["name"]])
    else:
        before = set(bpy.data.scenes)
        with bpy.data.libraries.load(order["library"], link=False) as (_, wanted):
            wanted.scenes = [order["name"]]
        scene = next(one for one in bpy.data.scenes if one not in before)
    scene.render.fps, scene.render.fps_base = order["rate"]
    tree = compat.compositor_tree(scene, create=True)
    node = tree.nodes[order["node"]]
    output = next(one for one in node.outputs if one.identifier == order["socket"])
    shown = compat.compositor_output(tree)
    tree.links.new(output, shown)
    _keep_upstream(tree, node, shown.node)
    return scene


def _keep_upstream(tree, node, output):
    """Takes away what the socket does not need: other outputs would render or write files of their own."""
    kept, waiting = {output.name}, [node]
    while waiting:
        one = waiting.pop()
        if one.name not in kept:
            kept.add(one.name)
            waiting.extend(link.from_node for socket in one.inputs for link in socket.links)
    for one in list(tree.nodes):
        if one.name not in kept and one.bl_idname != "NodeFrame":
            tree.nodes.remove(one)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text(encoding="utf-8")))
