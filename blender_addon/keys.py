"""Shots by name: nothing of Blender's is held between calls, as undo and loading a file would leave it freed."""

from __future__ import annotations

from typing import Any

import bpy

from . import compat
from .core import Recipe


def key_of(scene: Any, shot: Any) -> str:
    """What a shot is known by."""
    return f"{scene.name_full}\n{shot.name}"


def scene_of(key: str) -> Any:
    """The scene of a shot, or None."""
    return bpy.data.scenes.get(key.partition("\n")[0])


def shot_of(key: str) -> Any:
    """A shot by its key, or None where it was renamed or removed."""
    scene = scene_of(key)
    name = key.partition("\n")[2]
    return next((shot for shot in scene.platelight.shots if shot.name == name), None) if scene is not None else None


def blender_space(key: str, recipe: Recipe | None) -> str:
    """Blender's name of the plate's colour space: the result is in the same. Without a recipe it is the clip's."""
    shot = shot_of(key)
    if shot is None:
        return recipe.plate.colorspace if recipe is not None else "Linear Rec.709"
    if recipe is not None and recipe.plate.colorspace != "auto":
        return recipe.plate.colorspace
    source = {"CLIP": shot.plate_clip, "IMAGE": shot.plate_image}.get(shot.plate_kind)
    if source is None:
        strip = next((one for one in compat.strips_of(scene_of(key)) if one.name == shot.plate_strip), None)
        return strip.colorspace_settings.name if strip is not None else "Linear Rec.709"
    return source.colorspace_settings.name
