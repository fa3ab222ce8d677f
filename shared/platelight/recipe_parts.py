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
Move = Literal["fixed", "camera"]
BackgroundMissing = Literal["refuse", "hold", "loop"]
SetDepth = Literal["infinity", "ground", "distance", "points"]
Edge = Literal["clean", "keep"]
Spill = Literal["auto", "green", "blue", "none"]
ScreenKey = Literal["auto", "green", "blue"]
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
class Keying:
    """The keyer's dials. Boxes are x0, y0, x1, y1 in pixels of the plate's display window."""

    color: tuple[float, float, float] | None = entry(
        "R, G, B of a screen that is neither green nor blue, scene-linear, the plate's primaries", default=None
    )
    black: float | None = entry(
        "alpha that becomes 0; absent = what the bare screen's noise reaches", default=None, minimum=0, maximum=0.9
    )
    white: float = entry("alpha that becomes 1", default=0.95, minimum=0.1, maximum=1)
    shade: float = entry(
        "how dark a shadow on the screen may be: the share of its light that is gone",
        default=0.6,
        minimum=0,
        maximum=0.95,
    )
    core: float = entry(
        "how far inside the foreground the screen's light on it is no hole, as a share of the height; 0 = off",
        default=0.02,
        minimum=0,
        maximum=0.5,
    )
    garbage: tuple[tuple[float, float, float, float], ...] = entry("boxes that are background", default=(), unit="px")
    hold_out: tuple[tuple[float, float, float, float], ...] = entry("boxes that are foreground", default=(), unit="px")

    def __post_init__(self) -> None:
        if self.color is not None and not 0 <= min(self.color) < max(self.color):
            raise RecipeError("color", "a colour from 0 up, not grey", ", ".join(f"{one:g}" for one in self.color))
        if self.black is not None and self.black >= self.white:
            raise RecipeError("black", f"less than keying.white, {self.white:g}", f"{self.black:g}")
        for name in ("garbage", "hold_out"):
            for i, (x0, y0, x1, y1) in enumerate(getattr(self, name)):
                if x0 >= x1 or y0 >= y1:
                    raise RecipeError(f"{name}[{i}]", "x0 < x1 and y0 < y1", f"{x0:g}, {y0:g}, {x1:g}, {y1:g}")


@dataclass(frozen=True)
class Matte:
    """The alpha of the foreground: from files, from the plate's alpha, or keyed. Without it all is foreground."""

    path: str | None = entry("pattern, folder or still", default=None, is_path=True)
    channel: str = entry("channel name, or auto (A, or the only one)", default="auto")
    from_plate_alpha: bool = entry("take the plate's own alpha", default=False)
    key: ScreenKey | None = entry(
        "key the plate's own screen, in each frame as it is read", default=None, choices=("auto", "green", "blue")
    )
    keying: Keying | None = entry("the keyer's dials", default=None)
    invert: bool = entry("the matte is 1 where the background is", default=False)
    cryptomatte: tuple[str, ...] = entry("names in a Cryptomatte whose coverage is the matte", default=())
    cryptomatte_layer: str | None = entry("layer of the Cryptomatte; absent = the only one", default=None)

    def __post_init__(self) -> None:
        given = {"path": self.path is not None, "from_plate_alpha": self.from_plate_alpha, "key": self.key is not None}
        _one_of(given)
        if self.keying is not None and self.key is None:
            raise RecipeError("keying", "matte.key beside it", "none")
        if self.key is not None and self.channel != "auto":
            raise RecipeError("channel", "auto where the matte is keyed", repr(self.channel))
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
    missing: BackgroundMissing | None = entry(
        "what to do where the background has no frame: refuse | hold the nearest before | begin it again; absent = as"
        " plate.missing says",
        default=None,
        choices=("refuse", "hold", "loop"),
    )
    move: Move = entry(
        "a still stands fixed in the picture, or moves as the solved camera shows it",
        default="fixed",
        choices=("fixed", "camera"),
    )
    reference_frame: int | None = entry("frame whose view a moving still shows; absent = the first", default=None)
    depth: SetDepth = entry(
        "what a moving still shows lies: far off (the camera's turning alone) | on the ground, else far off | on an"
        " upright plane at distance_m from the reference camera | at the camera's solved points",
        default="infinity",
        choices=("infinity", "ground", "distance", "points"),
    )
    distance_m: float | None = entry("for depth = distance", default=None, minimum=0.01, unit="m")

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
        self._check_move()
        frames = [reference.frame for reference in self.references]
        if len(set(frames)) != len(frames):
            raise RecipeError("references", "each frame once", ", ".join(map(str, frames)))

    def _check_move(self) -> None:
        if self.move == "camera" and self.still is None:
            raise RecipeError("move", "fixed where there is no background.still", "camera")
        if self.move == "fixed" and (self.reference_frame is not None or self.depth != "infinity"):
            key = "depth" if self.reference_frame is None else "reference_frame"
            raise RecipeError(key, "background.move = 'camera' beside it", "fixed")
        if (self.depth == "distance") != (self.distance_m is not None):
            found = "none" if self.distance_m is None else f"depth {self.depth}"
            raise RecipeError("distance_m", "a distance where background.depth is 'distance'", found)

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
class RelitSource:
    """The subject relit by something else, in the plate's framing, for engines that take it from there."""

    path: str = entry("pattern, folder or still", is_path=True)
    colorspace: str = entry("colour space, or auto", default="auto")


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
    preserve_detail: float = entry(
        "keeps the plate's own shading: 0 changes the light as finely as the engine can be trusted, 1 in broad strokes",
        default=0.0,
        minimum=0,
        maximum=1,
    )
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
