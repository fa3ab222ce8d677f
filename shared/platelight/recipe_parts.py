"""The parts of a recipe: plate, matte, background, camera, ground, look, engine, output. `recipe` puts them together.

Each is a frozen value whose fields carry their description, range and unit. A part refuses what is impossible within
itself; whether files exist and what an engine can do is checked elsewhere, by those who know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .camera import CameraFrame, LensModel
from .document import entry
from .errors import RecipeError
from .frames import FrameRange

MissingPolicy = Literal["refuse", "hold", "black", "skip"]
NonfinitePolicy = Literal["refuse", "repair"]
Fit = Literal["exact", "fit", "fill", "stretch"]
BackgroundKind = Literal["keep", "still", "sequence", "prompt", "references"]
Edge = Literal["clean", "keep"]
Spill = Literal["auto", "green", "blue", "none"]
Compression = Literal["none", "rle", "zips", "zip", "piz", "pxr24", "dwaa", "dwab"]
Depth = Literal["half", "float"]

NAME_PATTERN = r"(?!\.+$)[A-Za-z0-9._-]+"  # what farms and deliveries take in a file name

LAYERS = (
    "composite",
    "background",
    "relit",
    "alpha",
    "foreground",
    "gain",
    "fill",
    "shadow",
    "confidence",
    "normal",
    "albedo",
    "depth",
    "model",
)
DEFAULT_LAYERS = LAYERS[:-1]  # `model`, what the engine itself painted, is written on request


@dataclass(frozen=True)
class Plate:
    """The filmed sequence."""

    path: str = entry("name.####.exr, name.%04d.exr, or the folder of one sequence", is_path=True)
    colorspace: str = entry("colour space, or auto (from the header, then $OCIO rules)", default="auto")
    channels: str = entry("layer name, or auto (R, G, B of the first picture)", default="auto")
    missing: MissingPolicy = entry(
        "what to do about missing and damaged frames",
        default="refuse",
        choices=("refuse", "hold", "black", "skip"),
    )
    nonfinite: NonfinitePolicy = entry(
        "NaN and Inf pixels: refuse the plate | repair (0 and +-65504, counted)",
        default="refuse",
        choices=("refuse", "repair"),
    )


@dataclass(frozen=True)
class Matte:
    """The alpha of the foreground: from files of its own, or from the plate's alpha. Without it all is foreground."""

    path: str | None = entry("pattern, folder or still", default=None, is_path=True)
    channel: str = entry("channel name, or auto (A, or the only one)", default="auto")
    from_plate_alpha: bool = entry("take the plate's own alpha", default=False)
    invert: bool = entry("the matte is 1 where the background is", default=False)
    cryptomatte: tuple[str, ...] = entry("names in a Cryptomatte whose coverage is the matte", default=())
    cryptomatte_layer: str | None = entry("layer of the Cryptomatte; absent = the only one", default=None)

    def __post_init__(self) -> None:
        _one_of({"path": self.path is not None, "from_plate_alpha": self.from_plate_alpha})
        if self.cryptomatte and self.path is None:
            raise RecipeError("cryptomatte", "matte.path, the EXRs that hold the Cryptomatte", "none")
        if self.cryptomatte and self.channel != "auto":
            raise RecipeError("channel", "auto where a Cryptomatte is read", repr(self.channel))
        if self.cryptomatte_layer is not None and not self.cryptomatte:
            raise RecipeError("cryptomatte_layer", "names in matte.cryptomatte beside it", "none")
        if any(not name for name in self.cryptomatte) or len(set(self.cryptomatte)) != len(self.cryptomatte):
            raise RecipeError("cryptomatte", "each name once, none of them empty", ", ".join(self.cryptomatte))


@dataclass(frozen=True)
class Reference:
    """A picture that says how the background looks from `frame` on."""

    frame: int = entry("frame of the plate")
    path: str = entry("picture", is_path=True)


@dataclass(frozen=True)
class Background:
    """What stands behind the foreground. With none of the four the plate's own background is kept."""

    still: str | None = entry("one picture", default=None, is_path=True)
    sequence: str | None = entry("pattern or folder", default=None, is_path=True)
    prompt: str | None = entry("a description, for engines that paint", default=None)
    references: tuple[Reference, ...] = entry("timed pictures, for engines that paint", default=())
    colorspace: str = entry("colour space, or auto", default="auto")
    exposure_stops: float = entry("brightens the background", default=0.0, minimum=-20, maximum=20, unit="stops")
    fit: Fit = entry(
        "a background of another size is: refused | brought inside | brought to cover, centred | stretched",
        default="fill",
        choices=("exact", "fit", "fill", "stretch"),
    )
    frame_offset: int = entry("background frame = plate frame + offset", default=0, unit="frames")

    def __post_init__(self) -> None:
        given = {
            "still": self.still is not None,
            "sequence": self.sequence is not None,
            "prompt": self.prompt is not None,
            "references": bool(self.references),
        }
        if any(given.values()):
            _one_of(given)
        elif self.exposure_stops:
            raise RecipeError("exposure_stops", "0 where the plate's background is kept", f"{self.exposure_stops:g}")
        if self.prompt is not None and not self.prompt.strip():
            raise RecipeError("prompt", "a description of the background", "empty text")
        if self.frame_offset and self.sequence is None:
            raise RecipeError("frame_offset", "an offset with background.sequence only", f"kind {self.kind}")
        frames = [reference.frame for reference in self.references]
        if len(set(frames)) != len(frames):
            raise RecipeError("references", "each frame once", ", ".join(map(str, frames)))

    @property
    def kind(self) -> BackgroundKind:
        if self.still is not None:
            return "still"
        if self.sequence is not None:
            return "sequence"
        if self.prompt is not None:
            return "prompt"
        return "references" if self.references else "keep"


@dataclass(frozen=True)
class NormalSource:
    """Normals from the user: camera space, +X right, +Y up, +Z to the camera."""

    path: str = entry("pattern, folder or still", is_path=True)
    channels: str = entry("layer name, or auto", default="auto")


@dataclass(frozen=True)
class TrackedPoint:
    """A point of the set that was solved with the camera, and where the plate shows it.

    `marks` by frame are pixels x, y from the top-left corner of a picture of the camera's size, in the plate as it was
    filmed: the lens is still in them.
    """

    position: tuple[float, float, float] = entry("world Y-up", unit="m")
    name: str = entry("for messages and panels", default="point")
    error_px: float = entry("mean distance of marks and projection", default=0.0, minimum=0, unit="px")
    marks: Mapping[int, tuple[float, float]] | None = entry("pixels by frame", default=None)


@dataclass(frozen=True)
class CameraSource:
    """Where the camera comes from: a file (.chan, .json), frames written here, or the plate's header."""

    path: str | None = entry("Nuke .chan or camera JSON", default=None, is_path=True)
    frames: tuple[CameraFrame, ...] = entry("the camera by frame", default=())
    from_plate_header: bool = entry("worldToCamera of each frame's header", default=False)
    sensor_mm: tuple[float, float] | None = entry(
        "width and height of the sensor", default=None, minimum=0.1, unit="mm"
    )
    focal_mm: float | None = entry("focal length, where the file has none", default=None, minimum=0.1, unit="mm")
    lens: LensModel | None = entry("distortion that is still in the plate; absent = none", default=None)
    points: tuple[TrackedPoint, ...] = entry("points of the set, for engines that use them", default=())
    error_px: float | None = entry("mean reprojection error of the solve", default=None, minimum=0, unit="px")

    def __post_init__(self) -> None:
        given = {
            "path": self.path is not None,
            "frames": bool(self.frames),
            "from_plate_header": self.from_plate_header,
        }
        _one_of(given)
        numbers = [one.frame for one in self.frames]
        if len(set(numbers)) != len(numbers):
            twice = FrameRange.of(n for n in numbers if numbers.count(n) > 1)
            raise RecipeError("frames", "each frame once", f"{twice} more than once")


@dataclass(frozen=True)
class Ground:
    """The plane that shadows fall on, in the world of the camera (Y-up, metres)."""

    point: tuple[float, float, float] = entry("a point of the plane", default=(0.0, 0.0, 0.0), unit="m")
    normal: tuple[float, float, float] = entry("direction away from the ground", default=(0.0, 1.0, 0.0))

    def __post_init__(self) -> None:
        if sum(value * value for value in self.normal) < 1e-12:
            raise RecipeError("normal", "a direction", "a vector of length 0")


@dataclass(frozen=True)
class Look:
    """The artist's dials. The defaults take the engine's answer as it is."""

    strength: float = entry("how much of the light change is applied", default=1.0, minimum=0, maximum=2)
    exposure_stops: float = entry("brightens the foreground", default=0.0, minimum=-10, maximum=10, unit="stops")
    direction: float = entry("how directional the new light is", default=1.0, minimum=0, maximum=2)
    colour: float = entry("how much of the new light's colour is taken", default=1.0, minimum=0, maximum=2)
    contrast: float = entry("contrast of the relit foreground about middle grey", default=1.0, minimum=0, maximum=2)
    edge: Edge = entry(
        "remove the old background from soft edges, or keep them", default="clean", choices=("clean", "keep")
    )
    spill: Spill = entry("screen colour to suppress", default="auto", choices=("auto", "green", "blue", "none"))
    light_wrap: float = entry("background light over the edges", default=0.0, minimum=0, maximum=1)
    stability: float = entry("steadiness over time against reaction to change", default=1.0, minimum=0, maximum=1)
    seed: int = entry("for engines that draw noise", default=0, minimum=0, maximum=2**32 - 1)


@dataclass(frozen=True)
class EngineChoice:
    """Which engine, and its own options, which the engine checks."""

    name: str = entry("engine", default="classic", pattern=r"[a-z0-9_]+")
    options: Mapping[str, Any] = entry("the engine's own options", factory=dict)


@dataclass(frozen=True)
class Output:
    """What is written, and where."""

    directory: str = entry("folder of the result", default="out", is_path=True)
    name: str | None = entry("file name; absent = the recipe's name", default=None, pattern=NAME_PATTERN)
    layers: tuple[str, ...] = entry("what is delivered", default=DEFAULT_LAYERS, choices=LAYERS)
    compression: Compression = entry(
        "of the EXRs",
        default="zips",
        choices=("none", "rle", "zips", "zip", "piz", "pxr24", "dwaa", "dwab"),
    )
    depth: Depth = entry("of colour channels", default="half", choices=("half", "float"))
    colorspace: str = entry("colour space, or plate", default="plate")

    def __post_init__(self) -> None:
        if not self.layers:
            raise RecipeError("layers", f"at least one of {', '.join(LAYERS)}", "none")
        if len(set(self.layers)) != len(self.layers):
            raise RecipeError("layers", "each layer once", ", ".join(self.layers))


def _one_of(given: Mapping[str, bool]) -> None:
    """Refuses anything but exactly one, with the second key's path (or the first key's, when there is none)."""
    keys = [key for key, present in given.items() if present]
    if len(keys) != 1:
        path = keys[1] if keys else next(iter(given))
        raise RecipeError(path, f"exactly one of {', '.join(given)}", " and ".join(keys) or "none")
