"""What an engine is: frames at model size in, the change of light out.

An engine knows neither files, sockets nor Blender. It is told about the shot once (`prepare`), then answers window by
window. It may say how the light changes directly (`LightChange`), or show a picture before and after (`Pictures`), from
which the finish reads the change. What it asks for and what it can do is data (`Capabilities`).

Pixels here are torch float32, planar (C, h, w), scene-linear in the working primaries (those of the plate).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import torch

    from platelight.camera import CameraFrame
    from platelight.lights import LightFrame
    from platelight.recipe import Ground


@dataclass(frozen=True)
class FrameInputs:
    """One frame at model size. `None` means that the recipe has none.

    plate            (3, h, w) float32, scene-linear, working primaries, unpremultiplied as filmed, may be <0 and >1
    matte            (1, h, w) float32, 0..1
    background       (3, h, w) float32, scene-linear, working primaries; `None` where the plate's is kept
    probe_background (3, H, W) float32, scene-linear radiance, lat-long: centre is world -Z, right is +X, up is +Y
    probe_plate      same, for the light under which the plate was filmed
    normal           (3, h, w) float32, camera space, +X right, +Y up, +Z to the camera, from the user
    """

    frame: int
    plate: torch.Tensor
    matte: torch.Tensor
    background: torch.Tensor | None = None
    probe_background: torch.Tensor | None = None
    probe_plate: torch.Tensor | None = None
    normal: torch.Tensor | None = None
    camera: CameraFrame | None = None
    lights: tuple[LightFrame, ...] = ()


@dataclass(frozen=True)
class Shot:
    """The whole shot as an engine may see it before work starts.

    `frames` are all frames of the recipe, also when a run renders only some of them: what an engine derives from the
    shot depends on these alone, so any chunking of the work gives the same pixels. `inputs(frame)` reads one frame.
    """

    frames: tuple[int, ...]
    inputs: Callable[[int], FrameInputs]
    luminance: tuple[float, float, float]
    ground: Ground | None = None
    seed: int = 0
    stability: float = 1.0  # the look's dial: 1 is steadiest, 0 lets every frame stand alone
    skipped: frozenset[int] = frozenset()  # frames without a file, left out by the recipe's policy

    def sampled(self, most: int) -> Iterator[FrameInputs]:
        """At most `most` frames, evenly spaced over the shot, first and last included, without those skipped."""
        for frame in sample_frames(self.frames, most):
            if frame not in self.skipped:
                yield self.inputs(frame)


def sample_frames(frames: Sequence[int], most: int) -> tuple[int, ...]:
    """At most `most` of `frames`, evenly spaced, first and last included."""
    if len(frames) <= most:
        return tuple(frames)
    if most == 1:
        return (frames[0],)
    return tuple(frames[round(i * (len(frames) - 1) / (most - 1))] for i in range(most))


@dataclass(frozen=True)
class LightChange:
    """How the light changes, at model size: relit = foreground * 2**gain + fill, per channel, unpremultiplied.

    gain       (3, h, w) float32, stops, 0 = no change; defined (extended) outside the matte too
    fill       (3, h, w) float32, scene-linear, working primaries, additive light
    confidence (1, h, w) float32, 0..1
    """

    gain: torch.Tensor
    fill: torch.Tensor
    confidence: torch.Tensor


@dataclass(frozen=True)
class Pictures:
    """What a model saw and what it made of it, both through the same codec, so that the codec's error cancels.

    source    (3, h, w) float32, scene-linear, working primaries: what the model was given
    roundtrip (3, h, w) the same after the model's own encode and decode, nothing relit (the denominator)
    relit     (3, h, w) the model's answer
    premultiplied  True where the three show the foreground alone over black; False where a background is behind it
    """

    source: torch.Tensor
    roundtrip: torch.Tensor
    relit: torch.Tensor
    premultiplied: bool = False


@dataclass(frozen=True)
class Answer:
    """An engine's answer for one frame, all at model size; `None` where it does not know.

    background (3, h, w) painted background, scene-linear, working primaries
    shadow     (1, h, w) multiplies the background, 1 = no shadow
    normal     (3, h, w) camera space; albedo (3, h, w) linear; depth (1, h, w) metres along the camera axis
    """

    frame: int
    change: LightChange | Pictures
    background: torch.Tensor | None = None
    shadow: torch.Tensor | None = None
    normal: torch.Tensor | None = None
    albedo: torch.Tensor | None = None
    depth: torch.Tensor | None = None


@dataclass(frozen=True)
class ModelLicence:
    """A model's licence, shown before use and written into every header."""

    model: str
    licence: str
    commercial: bool
    source: str = ""


@dataclass(frozen=True)
class Option:
    """One setting of an engine, as a panel or `--set engine.NAME=VALUE` offers it."""

    name: str
    kind: str  # "float", "int", "bool", "choice", "text", "floats"
    default: Any
    description: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Capabilities:
    """What an engine needs and can do, as data that the server publishes and the add-on draws."""

    name: str
    summary: str
    backgrounds: tuple[str, ...]  # of "keep", "still", "sequence", "prompt", "references"
    model_height: int  # the picture is brought to at most this many lines; smaller plates stay as they are
    window_frames: int  # frames an engine sees at once (without context)
    context_frames: int = 0  # frames read on either side of a window and not answered
    sampled_frames: int = 12  # frames `prepare` may look at, evenly spaced; their content is part of every frame's hash
    uses_probes: bool = False
    uses_lights: bool = False
    uses_camera: bool = False
    licences: tuple[ModelLicence, ...] = ()
    options: tuple[Option, ...] = ()
    version: int = 1  # raised when the same inputs give other pixels; part of every frame's hash
    memory_bytes_per_pixel: int = 200  # of model-size pixels in a window, for the estimate


@dataclass(frozen=True)
class Notes:
    """What an engine decided about the shot, for the header, the proof and the console: plain JSON values."""

    values: Mapping[str, Any] = field(default_factory=dict)


class Cancelled(Exception):
    """Raised through an engine's code by `Engine.step` when the job is to stop. No error: whoever asked knows why."""


class Engine(ABC):
    """An engine for one shot, constructed per job: `prepare` once, then `relight` per window, in any order.

    An engine whose answer takes more than a moment calls `step` between the steps of its work: there a job tells how
    far it is, and there it is stopped. An engine must let `Cancelled` pass, and holds nothing beyond itself then.
    """

    capabilities: ClassVar[Capabilities]
    # True where `prepare` may be called again on the same engine, for a shot that has changed: it then notes and
    # answers what a new engine would, and may reuse what it has learnt from tensors that are the same objects.
    prepares_again: ClassVar[bool] = False
    _told: Callable[[str, int, int], None] | None = None

    def __init__(self, options: Mapping[str, Any], device: str = "cpu") -> None:
        self.options, self.device = dict(options), device

    def listen(self, told: Callable[[str, int, int], None] | None) -> None:
        """Has `told(stage, step, steps)` called at every step. It may raise `Cancelled`."""
        self._told = told

    def step(self, stage: str, step: int, steps: int) -> None:
        """Says that `step` (from 1) of `steps` of a stage, such as "denoise", is done. Raises `Cancelled`."""
        if self._told is not None:
            self._told(stage, step, steps)

    @abstractmethod
    def prepare(self, shot: Shot) -> Notes:
        """Learns what holds for the whole shot. Deterministic in the shot, independent of what is rendered later."""

    @abstractmethod
    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        """Answers the frames `answered`, in their order. `window` holds them and the context around them, ordered."""
