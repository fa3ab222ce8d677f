"""The shot inside Blender: the extension found, the editors laid out, plate, matte, background and lamp set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import bpy

MODULE = "bl_ext.user_default.platelight"


def part(name: str) -> Any:
    """A module of the installed extension."""
    return import_module(f"{MODULE}.{name}")


def switch_on() -> None:
    """Enables the extension, as a tick in the preferences does."""
    bpy.ops.preferences.addon_enable(module=MODULE)


def make(folder: Path, saved_at: Path, frames: int, name: str = "sh010", lit: bool = False) -> Any:
    """A saved .blend with one shot of `folder`'s plate, matte and background; scene frame 1 is the first file."""
    saved_at.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(saved_at))
    scene = bpy.context.scene
    scene.render.compositor_device = "CPU"
    scene.frame_start, scene.frame_end = 1, frames
    scene.frame_set(1)
    bpy.data.movieclips.load(first(folder / "plate"))
    bpy.ops.platelight.add_shot(name=name)
    shot = scene.platelight.shots[scene.platelight.shot_index]
    shot.matte_kind, shot.matte_path = "FILE", first(folder / "matte")
    shot.background_kind = "SEQUENCE"
    image = bpy.data.images.load(first(folder / "background"))
    image.source, shot.background_image = "SEQUENCE", image
    shot.use_world, shot.use_lights = False, lit
    bpy.ops.wm.save_mainfile()
    return shot


def first(folder: Path) -> str:
    """The first file of a folder."""
    return str(min(folder.iterdir()))


def compositing(beside: str = "IMAGE_EDITOR", factor: float = 0.6) -> Iterator[float]:
    """Steps to the compositor with its sidebar open and another editor beside it."""
    window = bpy.context.window_manager.windows[0]
    window.workspace = bpy.data.workspaces["Compositing"]
    yield 0.5
    nodes = areas("NODE_EDITOR")[0]
    with bpy.context.temp_override(window=window, area=nodes, region=nodes.regions[-1]):
        bpy.ops.screen.area_split(direction="VERTICAL", factor=factor)
    yield 0.2
    left, right = sorted(areas("NODE_EDITOR"), key=lambda area: area.x)
    right.type = beside
    yield 0.2
    yield from open_sidebar("NODE_EDITOR")


def areas(kind: str) -> list[Any]:
    """The areas of this kind that are shown."""
    return [area for window in bpy.context.window_manager.windows for area in window.screen.areas if area.type == kind]


def open_sidebar(kind: str, tab: str = "Platelight") -> Iterator[float]:
    """Steps to an editor's sidebar at a tab; Blender must have drawn it before a tab can be chosen."""
    areas(kind)[0].spaces.active.show_region_ui = True
    yield 0.5
    region = next(region for region in areas(kind)[0].regions if region.type == "UI")
    with suppress(AttributeError, TypeError):  # to be read only before 4.3
        region.active_panel_category = tab
    yield 0.2
