"""A 4K shot is relit while its result is looked at in the compositor: is Blender's main thread ever away, and why?

Afterwards the same Blender shows the same files in nodes of its own, without the extension, while the server works on
as much: what is left then is Blender's.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy

from .drive import Drive, Steps
from .shot import MODULE, areas, compositing, make, part, switch_on
from .watch import Watch

IDLE_S, ALONE_S = 60.0, 20.0  # of sixty seconds the turns are enough to speak of 99 in 100


def steps(drive: Drive) -> Steps:
    """Idle, then a job until its end, then Blender alone."""
    options = drive.options
    switch_on()
    pump = part("pump")
    shot = make(Path(options["shot"]), Path(options["blend"]), options["frames"])
    yield from compositing()
    yield from drive.wait("connected", lambda: pump.session.is_up)
    yield 2.0
    watch = Watch().start(MODULE)
    yield IDLE_S
    drive.report["idle"] = watch.stop()
    watch = Watch().start(MODULE)
    began = time.perf_counter()
    bpy.ops.platelight.relight()
    drive.report["submit"] = round((time.perf_counter() - began) * 1000, 1)
    yield from drive.wait("the shot is sent", lambda: bool(shot.job))
    yield from drive.wait("the first frame gives nodes", lambda: group_node() is not None, 300)
    view(group_node(), "Image")
    yield from drive.wait("the job ends", lambda: pump.session.jobs[shot.job].ended, 600)
    yield 3.0
    drive.report["job"] = watch.stop()
    yield from alone(drive, Path(bpy.path.abspath("//platelight/sh010/v001")))


def alone(drive: Drive, folder: Path) -> Steps:
    """Blender without the extension: nodes on the files of the job, another number each second as when frames land."""
    tree = group_node().id_data
    bpy.ops.preferences.addon_disable(module=MODULE)
    for node in list(tree.nodes):
        tree.nodes.remove(node)
    image = bpy.data.images.load(str(min(folder.glob("sh010.[0-9]*.exr"))))
    image.source = "SEQUENCE"
    node, exposure = tree.nodes.new("CompositorNodeImage"), tree.nodes.new("CompositorNodeExposure")
    node.image, node.frame_offset, node.frame_duration = image, 1000, 100
    tree.links.new(node.outputs[0], exposure.inputs[0])
    yield from drive.ask("load")
    watch = Watch().start()
    view(exposure, "Image")
    for second in range(int(ALONE_S)):
        exposure.inputs[1].default_value = second * 0.01
        for area in areas("NODE_EDITOR"):
            next(region for region in area.regions if region.type == "UI").tag_redraw()
        yield 1.0
    drive.report["alone"] = watch.stop()


def group_node() -> Any:
    """The result's node in the scene's compositor, or None."""
    tree = part("compat").resting_compositor_tree(bpy.context.scene)
    nodes = tree.nodes if tree is not None else ()
    return next((node for node in nodes if node.bl_idname == "CompositorNodeGroup"), None)


def view(shown: Any, socket: str) -> None:
    """A node's output in a viewer behind the nodes, as an artist looks at it."""
    scene, tree = bpy.context.scene, shown.id_data
    if bpy.app.version < (5, 0, 0):
        scene.use_nodes = True
    viewer = tree.nodes.new("CompositorNodeViewer")
    viewer.location = (shown.location.x + 300, shown.location.y)
    tree.links.new(shown.outputs[socket], viewer.inputs[0])
    tree.nodes.active = viewer
    areas("NODE_EDITOR")[0].spaces.active.show_backdrop = True
