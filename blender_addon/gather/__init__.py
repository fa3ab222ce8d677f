"""From Blender's scene to a recipe. `gather` reads a shot; `Raster` makes what it names and is not there yet.

The modules that know no `bpy` (`mapping`, `files`, `space`, `pictures`, `light_units`, `nodes`, `shading`, `blackbody`,
`findings`, `names`, `memory`) hold the conversions; the others read Blender and hand plain numbers over. A module is
imported when a name of it is first used, so that the former can be tested without Blender.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Badge": "findings",
    "FrameMapping": "mapping",
    "Gathered": "shot",
    "Memory": "memory",
    "Problem": "findings",
    "Raster": "raster",
    "RasterOrder": "raster",
    "SceneWatch": "scene_watch",
    "gather": "shot",
}

__all__ = ["Badge", "FrameMapping", "Gathered", "Memory", "Problem", "Raster", "RasterOrder", "SceneWatch", "gather"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value
