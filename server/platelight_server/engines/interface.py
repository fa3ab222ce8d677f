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

from platelight.frames import sample_frames

from ..plan import Window, plan_windows

if TYPE_CHECKING:
    import torch

    from platelight.camera import CameraFrame
    from platelight.errors import PlatelightError
    from platelight.lights import LightFrame
    from platelight.recipe import Ground, Recipe
    from platelight.recipe_parts import TrackedPoint


IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class FrameInputs:
    """One frame at model size. `None` means that the recipe has none.

    plate            (3, h, w) float32, scene-linear, working primaries, unpremultiplied as filmed, may be <0 and >1
    matte            (1, h, w) float32, 0..1
    background       (3, h, w) float32, scene-linear, working primaries; `None` where the plate's is kept
    probe_background (3, H, W) float32, scene-linear radiance, lat-long: centre is world -Z, right is +X, up is +Y
    probe_plate      same, for the light under which the plate was filmed
    normal           (3, h, w) float32, camera space, +X right, +Y up, +Z to the camera, from the user
    relit            (3, h, w) float32, scene-linear, working primaries, unpremultiplied: the subject relit elsewhere
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
    relit: torch.Tensor | None = None


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
    prompt: str | None = None  # the description of the background, where the recipe gives one
    camera: Callable[[int], CameraFrame | None] = lambda frame: None  # of any frame, for pictures at model size
    points: tuple[TrackedPoint, ...] = ()  # of the set, in the camera's world
    to_rec709: tuple[tuple[float, float, float], ...] = IDENTITY  # working primaries to those most models know

    def sampled(self, most: int) -> Iterator[FrameInputs]:
        """At most `most` frames, evenly spaced over the shot, first and last included, without those skipped."""
        for frame in sample_frames(self.frames, most):
            if frame not in self.skipped:
                yield self.inputs(frame)


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

    @classmethod
    def none(cls, inputs: FrameInputs) -> LightChange:
        """The light of a frame stays as it is."""
        nothing = inputs.plate.new_zeros(inputs.plate.shape)
        return cls(nothing, nothing, inputs.matte.new_ones(inputs.matte.shape))


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
    # Names of the numbers of a "floats" option. A panel lets those with a frame, an x and a y be picked in the plate.
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Capabilities:
    """What an engine needs and can do, as data that the server publishes and the add-on draws."""

    name: str
    summary: str
    backgrounds: tuple[str, ...]  # of "keep", "still", "sequence", "prompt", "references"
    model_height: int  # the picture is brought to at most this many lines; smaller plates stay as they are
    window_frames: int  # frames an engine sees at once (without context)
    context_before: int = 0  # frames read before a window and not answered
    context_after: int = 0  # the same after it
    sampled_frames: int = 12  # frames `prepare` may look at, evenly spaced; their content is part of every frame's hash
    uses_probes: bool = False
    uses_lights: bool = False
    uses_camera: bool = False
    licences: tuple[ModelLicence, ...] = ()
    options: tuple[Option, ...] = ()
    version: int = 1  # raised when the same inputs give other pixels; part of every frame's hash
    memory_bytes_per_pixel: int = 200  # of model-size pixels in a window, for the estimate
    model_width: int | None = None  # and to at most this many columns; None = as many as the lines give
    whole_camera: bool = False  # the camera of all frames, and the solved points, are part of every frame's hash
    previews: bool = True  # quick enough for single frames while a user waits

    @property
    def window(self) -> tuple[int, int, int]:
        """Frames answered at once, and read before and after them: what `plan.plan_windows` takes."""
        return self.window_frames, self.context_before, self.context_after


@dataclass(frozen=True)
class Asked:
    """A job as the check knows it before work: `height` and `width` are those of the engine's pictures."""

    recipe: Recipe
    height: int
    width: int
    has_camera: bool
    device: str = "cpu"


@dataclass(frozen=True)
class Readiness:
    """What an engine says to a job before work: what is wrong, what a user should know, and what it costs beside the
    frames themselves. `None` where the engine leaves the estimate to the pixels of a window."""

    errors: tuple[PlatelightError, ...] = ()
    warnings: tuple[str, ...] = ()
    memory_bytes: int | None = None
    seconds: float = 0.0
    plan: str = ""  # how models will be held in memory, in words
    depends_on: tuple[str, ...] = ()  # what else pixels depend on, such as the models' contents: for every frame's hash


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

    @classmethod
    def capabilities_for(cls, options: Mapping[str, Any], background: str = "keep") -> Capabilities:
        """What the engine can do with these options (complete and checked) and this kind of background: the models
        that are used decide windows and licences."""
        return cls.capabilities

    @classmethod
    def windows(cls, options: Mapping[str, Any], frames: Sequence[int]) -> tuple[Window, ...]:
        """How a shot is cut for the engine (options complete and checked): the same for any part that is rendered."""
        return plan_windows(frames, *cls.capabilities_for(options).window)

    @classmethod
    def ready(cls, options: Mapping[str, Any], asked: Asked) -> Readiness:
        """What the engine says to a job before any work: models that are missing, licences not agreed to, memory."""
        return Readiness()

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
