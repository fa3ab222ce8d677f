"""Platelight's shared half: the recipe, frames, cameras and lights, and the errors, as values; and the client.

The values need the standard library alone (msgpack only to pack a recipe); the client needs pyzmq, msgpack and, for
previews, numpy. It runs inside Blender's Python, and imports a module when a name of it is first used, so that
`import platelight` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .aio import AsyncClient, AsyncJob, connect_async
    from .calls import Estimate, Picture, Report, ServerStatus
    from .camera import Camera, CameraFrame, LensModel
    from .camera_files import camera_from_world_to_camera, read_camera, read_camera_json, read_chan
    from .client import Client, Job, connect
    from .errors import (
        AccessError,
        BusyError,
        CameraError,
        CancelledError,
        ColorError,
        ForbiddenPathError,
        FrameError,
        InputError,
        JobFailedError,
        MissingExtraError,
        NotFoundError,
        OutputError,
        PartialError,
        PlatelightError,
        ProtocolError,
        RecipeError,
        RefusedError,
        ResourceError,
        RestartedError,
        ServerError,
        UnreachableError,
    )
    from .frames import FrameRange, SequencePath
    from .lights import Light, LightFrame, Probe
    from .messages import Event, JobResult, JobStatus, NamedFile, Problem
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
        RelitSource,
        TrackedPoint,
    )

_HOME = {
    "aio": (
        "AsyncClient",
        "AsyncJob",
        "connect_async",
    ),
    "calls": (
        "Estimate",
        "Picture",
        "Report",
        "ServerStatus",
    ),
    "camera": (
        "Camera",
        "CameraFrame",
        "LensModel",
    ),
    "camera_files": (
        "camera_from_world_to_camera",
        "read_camera",
        "read_camera_json",
        "read_chan",
    ),
    "client": (
        "Client",
        "Job",
        "connect",
    ),
    "errors": (
        "AccessError",
        "BusyError",
        "CameraError",
        "CancelledError",
        "ColorError",
        "ForbiddenPathError",
        "FrameError",
        "InputError",
        "JobFailedError",
        "MissingExtraError",
        "NotFoundError",
        "OutputError",
        "PartialError",
        "PlatelightError",
        "ProtocolError",
        "RecipeError",
        "RefusedError",
        "ResourceError",
        "RestartedError",
        "ServerError",
        "UnreachableError",
    ),
    "frames": (
        "FrameRange",
        "SequencePath",
    ),
    "lights": (
        "Light",
        "LightFrame",
        "Probe",
    ),
    "messages": (
        "Event",
        "JobResult",
        "JobStatus",
        "NamedFile",
        "Problem",
    ),
    "recipe": (
        "Recipe",
        "with_value",
    ),
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
        "RelitSource",
        "TrackedPoint",
    ),
}

_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AccessError",
    "AsyncClient",
    "AsyncJob",
    "Background",
    "BusyError",
    "Camera",
    "CameraError",
    "CameraFrame",
    "CameraSource",
    "CancelledError",
    "Client",
    "ColorError",
    "EngineChoice",
    "Estimate",
    "Event",
    "ForbiddenPathError",
    "FrameError",
    "FrameRange",
    "Ground",
    "InputError",
    "Job",
    "JobFailedError",
    "JobResult",
    "JobStatus",
    "LensModel",
    "Light",
    "LightFrame",
    "Look",
    "Matte",
    "MissingExtraError",
    "NamedFile",
    "NormalSource",
    "NotFoundError",
    "Output",
    "OutputError",
    "PartialError",
    "Picture",
    "Plate",
    "PlatelightError",
    "Probe",
    "Problem",
    "ProtocolError",
    "Recipe",
    "RecipeError",
    "Reference",
    "RefusedError",
    "RelitSource",
    "Report",
    "ResourceError",
    "RestartedError",
    "SequencePath",
    "ServerError",
    "ServerStatus",
    "TrackedPoint",
    "UnreachableError",
    "__version__",
    "camera_from_world_to_camera",
    "connect",
    "connect_async",
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
