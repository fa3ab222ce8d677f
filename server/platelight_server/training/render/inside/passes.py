"""View layers, the passes of each lamp, their denoising, and the files they go to.

Light groups are not denoised by Cycles, so each goes through the compositor's node (OpenImageDenoise) with the layer's
own noise-free albedo and normals. `light.####.exr` (half) has `fg_NAME` and `set_NAME` for each lamp, the combined
passes and the alpha; `data.####.exr` (float) has depth, normals, albedo and vectors of the foreground;
`clean.####.exr` (half) has `clean_NAME`, on one frame alone where the camera is locked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy

from .lamps import z_up

LAYERS = ("fg", "set", "clean")
DATA = {"depth": "Depth", "normal": "Normal", "albedo": "Denoising Albedo", "vector": "Vector"}
MODERN = bpy.app.version >= (5, 0, 0)  # compositor trees are datablocks, menus are sockets


def view_layers(scene: Any, lamps: Sequence[str], samples: int) -> dict[str, Any]:
    """The layers by name: `fg`, and with a set `set` and `clean`; each has a light group per lamp."""
    has_set = bool(bpy.data.collections["set"].objects)
    names = LAYERS if has_set else LAYERS[:1]
    layers = {name: scene.view_layers.new(name) for name in names}
    for one in [one for one in scene.view_layers if one.name not in names]:
        scene.view_layers.remove(one)
    for name, layer in layers.items():
        for lamp in lamps:
            layer.lightgroups.add(name=lamp)
        layer.cycles.denoising_store_passes = True
        layer.use_pass_z = layer.use_pass_normal = layer.use_pass_vector = name == "fg"
        layer.layer_collection.children["set"].indirect_only = name == "fg"
        layer.layer_collection.children["foreground"].indirect_only = name == "set"
        layer.layer_collection.children["foreground"].exclude = name == "clean"
    scene.cycles.samples = samples
    return layers


def use_camera(scene: Any, camera: Any, width: int, height: int) -> None:
    """The picture's size and who takes it."""
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100


class Outputs:
    """The compositor that writes the passes of some layers, and renders these layers alone."""

    def __init__(self, scene: Any, layers: Sequence[str], lamps: Sequence[str], denoise: bool) -> None:
        self.scene, self.layers, self.tree = scene, layers, _tree(scene)
        self.files = {"clean" if layers == ["clean"] else "light": _file_node(self.tree, "16")}
        for layer in layers:
            source, light = _source(self.tree, scene, layer), next(iter(self.files.values()))
            for name, output in [("all", "Image")] + [(lamp, f"Combined_{lamp}") for lamp in lamps]:
                socket = source.outputs[output]
                shown = _denoised(self.tree, source, socket) if denoise else socket
                _link(self.tree, shown, light, "RGBA", f"{layer}_{name}")
        if "fg" in layers:
            self.files["data"] = _file_node(self.tree, "32")
            source = _source(self.tree, scene, "fg")
            _link(self.tree, source.outputs["Alpha"], self.files["light"], "FLOAT", "alpha")
            for name, output in DATA.items():
                kind = {"depth": "FLOAT", "normal": "VECTOR"}.get(name, "RGBA")
                _link(self.tree, source.outputs[output], self.files["data"], kind, name)

    def render(self, folder: Path) -> dict[str, Path]:
        """Renders the scene's frame -> the files written below `folder`, by name."""
        for layer in self.scene.view_layers:
            layer.use = layer.name in self.layers
        for name, node in self.files.items():
            _aim(node, folder, name)
        bpy.ops.render.render(write_still=False)
        return {name: next(iter(folder.glob(f"{name}*.exr"))) for name in self.files}


def _source(tree: Any, scene: Any, layer: str) -> Any:
    node = tree.nodes.new("CompositorNodeRLayers")
    node.scene, node.layer = scene, layer
    return node


def _denoised(tree: Any, source: Any, socket: Any) -> Any:
    node = tree.nodes.new("CompositorNodeDenoise")
    if MODERN:
        node.inputs["HDR"].default_value, node.inputs["Prefilter"].default_value = True, "None"
        # A third of the time of High, 0.1 s a pass of 240x135 on one core; there are two passes a lamp and frame.
        node.inputs["Quality"].default_value = "Balanced"
    else:
        node.use_hdr, node.prefilter = True, "NONE"
    tree.links.new(socket, node.inputs["Image"])
    tree.links.new(source.outputs["Denoising Albedo"], node.inputs["Albedo"])
    tree.links.new(source.outputs["Denoising Normal"], node.inputs["Normal"])
    return node.outputs[0]


def render_probe(scene: Any, layers: dict[str, Any], folder: Path, center: Sequence[float], samples: int) -> None:
    """What the set sends back to the scene's centre, per lamp: `probe.exr`, lat-long, without the foreground.

    The lamps themselves are not seen by cameras; their share of a probe is known exactly and drawn by `..probe`.
    """
    if "clean" not in layers:
        return
    lens = bpy.data.cameras.new("probe")
    one = bpy.data.objects.new("probe", lens)
    scene.collection.objects.link(one)
    one.location, one.rotation_euler = z_up(center), (math.pi / 2, 0, 0)
    lens.type = "PANO"
    (lens if hasattr(lens, "panorama_type") else lens.cycles).panorama_type = "EQUIRECTANGULAR"
    use_camera(scene, one, 128, 64)
    bpy.data.objects["backdrop"].hide_render = True
    wanted = scene.cycles.samples
    scene.cycles.samples, scene.cycles.seed = samples, 0
    for name, layer in layers.items():
        layer.use = name == "clean"
    outputs = _probe_tree(scene, [group.name for group in layers["clean"].lightgroups])
    _aim(outputs, folder / ".rendering", "probe")
    bpy.ops.render.render(write_still=False)
    next(iter((folder / ".rendering").glob("probe*.exr"))).replace(folder / "probe.exr")
    scene.cycles.samples = wanted
    bpy.data.objects["backdrop"].hide_render = False
    bpy.data.objects.remove(one)


def _probe_tree(scene: Any, lamps: Sequence[str]) -> Any:
    tree = _tree(scene)
    source, output = _source(tree, scene, "clean"), _file_node(tree, "32")
    _link(tree, source.outputs["Alpha"], output, "FLOAT", "alpha")
    for lamp in lamps:
        _link(tree, source.outputs[f"Combined_{lamp}"], output, "RGBA", lamp)
    return output


def _tree(scene: Any) -> Any:
    """An empty compositor tree in the scene's service."""
    scene.render.use_compositing, scene.render.use_sequencer = True, False
    for name, value in (("compositor_device", "CPU"), ("compositor_precision", "FULL")):
        if hasattr(scene.render, name):
            setattr(scene.render, name, value)
    if MODERN:
        if scene.compositing_node_group is not None:
            bpy.data.node_groups.remove(scene.compositing_node_group)
        scene.compositing_node_group = bpy.data.node_groups.new("passes", "CompositorNodeTree")
        return scene.compositing_node_group
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
    return scene.node_tree


def _file_node(tree: Any, depth: str) -> Any:
    node = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(node.format, "media_type"):
        node.format.media_type = "MULTI_LAYER_IMAGE"
    node.format.file_format = "OPEN_EXR_MULTILAYER"
    node.format.color_depth, node.format.exr_codec = depth, "ZIP"
    (node.file_output_items if MODERN else node.layer_slots).clear()
    return node


def _link(tree: Any, socket: Any, node: Any, kind: str, name: str) -> None:
    if MODERN:
        node.file_output_items.new(kind, name)
    else:
        node.layer_slots.new(name)
    tree.links.new(socket, node.inputs[name])


def _aim(node: Any, folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.glob(f"{name}*.exr"):
        old.unlink()
    if MODERN:
        node.directory, node.file_name = str(folder), name + "."
    else:
        node.base_path = str(folder / (name + "."))
