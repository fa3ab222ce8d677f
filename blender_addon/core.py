"""The one door to the shared package: every other module of the extension takes its names from here.

The build puts a copy of `shared/platelight` into the extension as its subpackage `platelight`, so nothing global is
imported and no other installation of Platelight can be meant. This module adds nothing of its own and knows no `bpy`.
"""

from __future__ import annotations

from .platelight import (
    Background,
    CameraError,
    CameraFrame,
    CameraSource,
    EngineChoice,
    FrameError,
    FrameRange,
    Ground,
    InputError,
    LensModel,
    Light,
    Look,
    Matte,
    Output,
    OutputError,
    Plate,
    PlatelightError,
    Probe,
    Recipe,
    RecipeError,
    SequencePath,
    TrackedPoint,
    __version__,
)
from .platelight.calls import Calls, Picture, ServerStatus
from .platelight.document import Rule, fields_of, rule_of
from .platelight.frames import sample_frames
from .platelight.jobs import EveryJob, Follower
from .platelight.link import Link
from .platelight.matrices import Matrix4, Vector3, matrix4, multiply, rigid_problem, transform_point
from .platelight.messages import FINAL_STATES, Advice, Event, JobResult, JobStatus, Listed
from .platelight.recipe_parts import DEFAULT_LAYERS, LAYERS, Keying
from .platelight.targets import LOOPBACK, Target, seen_roots, target_of

__all__ = [
    "DEFAULT_LAYERS",
    "FINAL_STATES",
    "LAYERS",
    "Advice",
    "Background",
    "Calls",
    "CameraError",
    "CameraFrame",
    "CameraSource",
    "EngineChoice",
    "Event",
    "EveryJob",
    "Follower",
    "FrameError",
    "FrameRange",
    "Ground",
    "InputError",
    "JobResult",
    "JobStatus",
    "Keying",
    "LensModel",
    "Light",
    "Link",
    "Listed",
    "Look",
    "Matrix4",
    "Matte",
    "Output",
    "OutputError",
    "Picture",
    "Plate",
    "PlatelightError",
    "Probe",
    "Recipe",
    "RecipeError",
    "Rule",
    "SequencePath",
    "ServerStatus",
    "Target",
    "TrackedPoint",
    "Vector3",
    "__version__",
    "fields_of",
    "is_loopback",
    "matrix4",
    "multiply",
    "rigid_problem",
    "rule_of",
    "sample_frames",
    "seen_roots",
    "target_of",
    "transform_point",
]


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    return LOOPBACK.match(address) is not None
