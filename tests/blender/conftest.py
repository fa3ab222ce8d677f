"""Every test gets a fresh factory scene with the settings registered. Without `bpy` only the pure half is tested."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.blender.serving import addon, demo, home, server
from tests.blender.tree import HAS_BPY, make_tree, put_on_path

__all__ = ["addon", "demo", "home", "server"]  # fixtures for every test here

HOME = Path(tempfile.mkdtemp(prefix="platelight-tree-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
make_tree(HOME)
put_on_path(HOME)


@pytest.fixture
def scene() -> Iterator[object]:
    """The factory scene (cube, light, camera), with `scene.platelight` registered and one shot in it."""
    if not HAS_BPY:
        pytest.skip("needs bpy")
    import bpy
    from platelight_addon import settings

    bpy.ops.wm.read_homefile(use_empty=False, use_factory_startup=True)
    mine = not hasattr(bpy.types.Scene, "platelight")
    if mine:
        settings.register()
    yield bpy.context.scene
    if mine:
        settings.unregister()


@pytest.fixture
def shot(scene: object) -> object:
    """The scene's first shot, with lights and world off: a test turns on what it is about."""
    held = scene.platelight.shots.add()  # type: ignore[attr-defined]
    held.name = "sh010"
    held.use_lights = held.use_world = False
    return held
