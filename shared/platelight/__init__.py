"""Platelight's shared half: the recipe, frames, cameras and lights, and the errors, as values.

It needs the standard library alone (msgpack only to pack a recipe), runs inside Blender's Python, and imports a module
when a name of it is first used, so that `import platelight` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .camera import Camera, CameraFrame, LensModel
    from .camera_files import camera_from_world_to_camera, read_camera, read_camera_json, read_chan
    from .errors import (
        CameraError,
        ColorError,
        FrameError,
        InputError,
        MissingExtraError,
        OutputError,
        PartialError,
        PlatelightError,
        RecipeError,
        ResourceError,
    )
    from .frames import FrameRange, SequencePath
    from .lights import Light, LightFrame, Probe
    from .recipe import Recipe, with_value
    from .recipe_parts import (
        Background,
        CameraSource,
        EngineChoice,
        Ground,
        Look,
        Matte,
        NormalSource,
        Output,
        Plate,
        Reference,
    )

_HOME = {
    "camera": ("Camera", "CameraFrame", "LensModel"),
    "camera_files": ("camera_from_world_to_camera", "read_camera", "read_camera_json", "read_chan"),
    "errors": (
        "CameraError",
        "ColorError",
        "FrameError",
        "InputError",
        "MissingExtraError",
        "OutputError",
        "PartialError",
        "PlatelightError",
        "RecipeError",
        "ResourceError",
    ),
    "frames": ("FrameRange", "SequencePath"),
    "lights": ("Light", "LightFrame", "Probe"),
    "recipe": ("Recipe", "with_value"),
    "recipe_parts": (
        "Background",
        "CameraSource",
        "EngineChoice",
        "Ground",
        "Look",
        "Matte",
        "NormalSource",
        "Output",
        "Plate",
        "Reference",
    ),
}

_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Background",
    "Camera",
    "CameraError",
    "CameraFrame",
    "CameraSource",
    "ColorError",
    "EngineChoice",
    "FrameError",
    "FrameRange",
    "Ground",
    "InputError",
    "LensModel",
    "Light",
    "LightFrame",
    "Look",
    "Matte",
    "MissingExtraError",
    "NormalSource",
    "Output",
    "OutputError",
    "PartialError",
    "Plate",
    "PlatelightError",
    "Probe",
    "Recipe",
    "RecipeError",
    "Reference",
    "ResourceError",
    "SequencePath",
    "__version__",
    "camera_from_world_to_camera",
    "read_camera",
    "read_camera_json",
    "read_chan",
    "with_value",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
