"""The pictures of the documentation, of the demo's shot: live preview, jobs, compositor, clip editor.

Boxes are in pixels of a window of 1600 x 1000: left, top, right, bottom.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

from .drive import Drive, Steps
from .shot import areas, make, open_sidebar, part, switch_on
from .stall import group_node, view

BOXES = {
    "live": (0, 28, 1600, 760),
    "jobs": (1040, 28, 1600, 910),
    "compositor": (10, 28, 1600, 600),
    "clip_editor": (440, 28, 1600, 700),
}
Y_UP_TO_Z_UP = Matrix.Rotation(math.radians(90), 4, "X")


def steps(drive: Drive) -> Steps:
    """Relights the demo's shot, and takes a picture wherever an artist would look."""
    drive.report["pictures"] = BOXES
    switch_on()
    folder = Path(drive.options["shot"])
    shot = make(folder, folder / "sh010.blend", 12, lit=True)
    stage(folder)
    shot.camera_kind, shot.camera_object = "OBJECT", bpy.context.scene.camera
    bpy.ops.wm.save_mainfile()
    session = part("pump").session
    yield from drive.wait("connected", lambda: session.is_up and session.engines)
    yield from live(drive, session)
    yield from alone("NODE_EDITOR")
    yield from jobs(drive, shot, session)
    compositor()
    yield from shown(drive, "compositor")
    yield from alone("CLIP_EDITOR")
    areas("CLIP_EDITOR")[0].spaces.active.clip = bpy.data.movieclips[0]
    bpy.ops.platelight.add_shot(name="sh020")
    yield from shown(drive, "clip_editor")


def live(drive: Drive, session: Any) -> Steps:
    """A lamp in the camera's view, the preview beside it, the panel with Live pressed."""
    yield from alone("VIEW_3D")
    yield from split("VIEW_3D", 0.8, "NODE_EDITOR")
    yield from split("VIEW_3D", 0.5, "IMAGE_EDITOR")
    yield from open_sidebar("NODE_EDITOR")
    space = areas("VIEW_3D")[0].spaces.active
    space.region_3d.view_perspective = "CAMERA"
    space.show_region_ui = space.show_region_toolbar = False
    window = bpy.context.window_manager.windows[0]
    area = areas("VIEW_3D")[0]
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.view_center_camera()
    bpy.ops.platelight.live()
    desk = part("desk").desk
    yield from drive.wait("the first preview", lambda: desk.previews.get(desk.live), 60)
    count = desk.previews[desk.live]
    bpy.data.objects["Light"].location.x += 0.1
    yield from drive.wait("the preview follows", lambda: desk.previews[desk.live] > count, 60)
    image_editor = areas("IMAGE_EDITOR")[0]
    region = next(region for region in image_editor.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=image_editor, region=region):
        bpy.ops.image.view_all(fit_view=True)
    yield from shown(drive, "live")
    bpy.ops.platelight.live()


def jobs(drive: Drive, shot: Any, session: Any) -> Steps:
    """One job that runs and one that waits, at the end of the sidebar."""
    bpy.ops.platelight.relight()
    yield from drive.wait("the shot is sent", lambda: bool(shot.job))
    sent = shot.job
    bpy.ops.platelight.relight()
    yield from drive.wait("it is sent again", lambda: shot.job != sent)
    area = areas("NODE_EDITOR")[0]
    region = next(region for region in area.regions if region.type == "UI")
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window, area=area, region=region):
        for _ in range(4):
            bpy.ops.view2d.scroll_down(page=True)
    yield from drive.wait("some frames have landed", lambda: len(session.jobs[sent].delivered) >= 2)
    yield from shown(drive, "jobs")
    with bpy.context.temp_override(window=window, area=area, region=region):
        for _ in range(4):
            bpy.ops.view2d.scroll_up(page=True)
    yield from drive.wait("the job ends", lambda: session.jobs[shot.job].ended, 300)
    yield 2.0


def compositor() -> None:
    """The result as what the scene renders, its picture beside the nodes."""
    tree = group_node().id_data
    for node in [node for node in tree.nodes if node != group_node()]:
        tree.nodes.remove(node)
    view(group_node(), "Image")
    bpy.ops.platelight.connect()
    group_node().location = (-620, 590)
    for node in tree.nodes:
        node.select = False
        if node.bl_idname in ("CompositorNodeViewer", "CompositorNodeComposite", "NodeGroupOutput"):
            node.location = (-320, 590 if node.bl_idname == "CompositorNodeViewer" else 450)
    space = areas("NODE_EDITOR")[0].spaces.active
    space.backdrop_zoom, space.backdrop_offset = 1.4, (130.0, 190.0)


def stage(folder: Path) -> None:
    """The demo's camera with the plate behind it, and a warm lamp beside the subject."""
    scene, told = bpy.context.scene, json.loads((folder / "camera.json").read_text())
    scene.render.resolution_x, scene.render.resolution_y = told["width"], told["height"]
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    camera, frame = scene.camera, told["frames"][0]
    camera.matrix_world = Y_UP_TO_Z_UP @ Matrix(frame["camera_to_world"])
    camera.data.sensor_width, camera.data.lens = 36, frame["fx"] / told["width"] * 36
    camera.data.show_background_images = True
    behind = camera.data.background_images.new()
    behind.source, behind.clip, behind.alpha = "MOVIE_CLIP", bpy.data.movieclips[0], 1.0
    lamp = bpy.data.objects["Light"]
    lamp.location, lamp.data.energy, lamp.data.color = (0.9, -0.7, 1.7), 120, (1.0, 0.55, 0.25)
    bpy.context.view_layer.objects.active = lamp
    lamp.select_set(True)


def alone(kind: str) -> Steps:
    """One editor of this kind over the whole window, its sidebar open."""
    window = bpy.context.window_manager.windows[0]
    window.workspace = bpy.data.workspaces["Compositing"]
    yield 0.5
    largest = max(window.screen.areas, key=lambda area: area.width * area.height)
    for area in [area for area in window.screen.areas if area != largest]:
        with bpy.context.temp_override(window=window, area=area):
            bpy.ops.screen.area_close()
        yield 0.3
    window.screen.areas[0].type = kind
    yield 0.5
    yield from open_sidebar(kind)


def split(kind: str, factor: float, other: str) -> Steps:
    """Takes the right of an editor for another kind."""
    window, area = bpy.context.window_manager.windows[0], areas(kind)[0]
    with bpy.context.temp_override(window=window, area=area, region=area.regions[-1]):
        bpy.ops.screen.area_split(direction="VERTICAL", factor=factor)
    yield 0.3
    max(areas(kind), key=lambda one: one.x).type = other
    yield 0.5


def shown(drive: Drive, name: str) -> Steps:
    """A picture of the whole screen, drawn anew."""
    for area in bpy.context.window_manager.windows[0].screen.areas:
        area.tag_redraw()
    yield 1.5  # a sidebar that has grown glides into place
    yield from drive.picture(name)
