"""A recipe: what a job is, as one versioned, typed value. TOML on disk, msgpack on the wire, JSON in EXR headers.

Paths stay as the text that the user wrote, relative to the folder of the recipe file until `resolved` is asked. This
module opens no picture; it refuses unknown keys, wrong types and impossible combinations with the key's path.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from .document import comments_of, decode, encode, entry, fields_of, join, rule_of
from .errors import InputError, RecipeError
from .frames import FrameRange
from .lights import Light, Probe
from .overrides import override
from .recipe_parts import (
    DEFAULT_LAYERS,
    LAYERS,
    NAME_PATTERN,
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
from .toml_writer import toml_text
from .upgrades import VERSION, VERSION_KEY, upgraded

__all__ = [
    "DEFAULT_LAYERS",
    "LAYERS",
    "Background",
    "CameraSource",
    "EngineChoice",
    "Ground",
    "Light",
    "Look",
    "Matte",
    "NormalSource",
    "Output",
    "Plate",
    "Probe",
    "Recipe",
    "Reference",
    "RelitSource",
    "TrackedPoint",
    "with_value",
]


@dataclass(frozen=True)
class Recipe:
    """What to do with a shot. `frames` are the whole shot; a run may render a subset without changing any pixel."""

    name: str = entry("names the job and its files", pattern=NAME_PATTERN)
    frames: FrameRange = entry("the shot, such as 1001-1048 or 1-100x2")
    plate: Plate = entry("the filmed sequence")
    rate: Fraction | None = entry('frames per second, 24 or "24000/1001"; absent = the plate\'s', default=None)
    matte: Matte | None = entry("alpha of the foreground; absent = the whole frame is foreground", default=None)
    background: Background = entry(
        "one of still, sequence, prompt, references; none keeps the plate's", factory=Background
    )
    probe_background: Probe | None = entry("light of the new scene: a path or a color", default=None)
    probe_plate: Probe | None = entry("light in which the plate was filmed, alike", default=None)
    normal: NormalSource | None = entry("normals of the foreground, camera space", default=None)
    relit: RelitSource | None = entry("the subject relit by something else, for engines that steady it", default=None)
    lights: tuple[Light, ...] = entry("lights of the new scene; world Y-up, metres", default=())
    camera: CameraSource | None = entry("solved camera; one of path, frames, from_plate_header", default=None)
    ground: Ground | None = entry("plane that shadows fall on", default=None)
    look: Look = field(default_factory=Look)
    engine: EngineChoice = field(default_factory=EngineChoice)
    output: Output = field(default_factory=Output)

    def __post_init__(self) -> None:
        for i, reference in enumerate(self.background.references):
            if not self.frames.first <= reference.frame <= self.frames.last:
                raise RecipeError(
                    f"background.references[{i}].frame",
                    f"a frame from {self.frames.first} to {self.frames.last}",
                    str(reference.frame),
                )
        shown = self.background.reference_frame
        if shown is not None and shown not in self.frames:
            raise RecipeError("background.reference_frame", f"a frame of the shot, {self.frames}", str(shown))
        if self.matte and self.matte.from_plate_alpha and self.matte.channel != "auto":
            raise RecipeError("matte.channel", "auto where the plate's alpha is taken", repr(self.matte.channel))
        _require_lights(self)
        if self.camera and self.camera.frames:
            held = {one.frame for one in self.camera.frames}
            missing = [frame for frame in self.frames if frame not in held]
            if missing:
                raise RecipeError("camera.frames", "all frames of the recipe", f"none for {FrameRange.of(missing)}")

    @property
    def output_name(self) -> str:
        """The name that result files begin with."""
        return self.output.name or self.name

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Recipe:
        """A recipe from plain tables of any known version. Raises RecipeError with the key's path."""
        if not isinstance(document, Mapping):
            raise RecipeError("", "a table with the keys of a recipe", type(document).__name__)
        return decode(cls, upgraded(document))

    def to_dict(self) -> dict[str, Any]:
        """Plain tables, lists, text and numbers; the version comes first. What is absent is left out."""
        return {VERSION_KEY: VERSION, **encode(self)}

    @classmethod
    def from_toml(cls, source: str | Path) -> Recipe:
        """A recipe from a TOML file (a `Path`) or from TOML text (a `str`). Raises RecipeError, InputError."""
        where = f"{source}: " if isinstance(source, Path) else ""
        try:
            text = source.read_text(encoding="utf-8-sig") if isinstance(source, Path) else source
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{where}cannot read the recipe: {error}") from error
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise RecipeError(f"{where}recipe", "TOML", str(error)) from error
        try:
            return cls.from_dict(document)
        except RecipeError as error:
            raise RecipeError(f"{where}{error.path}", error.expected, error.found) from None

    def to_toml(self, comments: bool = True) -> str:
        """The recipe as TOML, each key with what it means, its unit and range when `comments` is set."""
        notes = {VERSION_KEY: "version of this recipe's form", **comments_of(Recipe)} if comments else {}
        return toml_text(self.to_dict(), notes)

    @classmethod
    def unpack(cls, data: bytes) -> Recipe:
        """The inverse of `pack`. Raises RecipeError for anything that is not a recipe."""
        import msgpack

        try:
            document = msgpack.unpackb(data, raw=False, strict_map_key=True)
        except (ValueError, msgpack.UnpackException) as error:
            raise RecipeError("", "a recipe in msgpack", f"{type(error).__name__}: {error}") from error
        return cls.from_dict(document)

    def pack(self) -> bytes:
        """msgpack: text keys, no extension types."""
        import msgpack

        packed: bytes = msgpack.packb(self.to_dict(), use_bin_type=True)
        return packed

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The inverse of `to_json`. Raises RecipeError."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecipeError("", "a recipe in JSON", str(error)) from error
        return cls.from_dict(document)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces; equal recipes give equal text."""
        return _canonical(self.to_dict())

    def content_hash(self) -> str:
        """SHA-256 (hex) of what this document itself says about a frame's pixels.

        Left out: `name`, `frames`, `output.directory`, `output.name`, the names of lights, and the text of every path,
        because the same pixels from another folder give the same result. That a path is given counts, and under which
        key. The contents of the files are hashed where they are read, with what an engine learns from the whole shot.
        """
        document = _without_paths(self)
        for key in ("name", "frames"):
            del document[key]
        for key in ("directory", "name"):
            document["output"].pop(key, None)
        for light in document.get("lights", ()):
            del light["name"]
        return hashlib.sha256(_canonical({VERSION_KEY: VERSION, **document}).encode()).hexdigest()

    def resolved(self, base: Path) -> Recipe:
        """The same recipe with every relative path made absolute against `base`, the folder of the recipe file."""
        folder = base.absolute()
        return with_paths(self, lambda text: str(folder / text))

    def relative_to(self, folder: Path) -> Recipe:
        """The inverse of `resolved`: absolute paths as seen from `folder`; those on another drive stay as they are."""

        def relative(text: str) -> str:
            try:
                return Path(os.path.relpath(text, folder)).as_posix() if Path(text).is_absolute() else text
            except ValueError:  # another drive on Windows
                return text

        return with_paths(self, relative)


def with_value(recipe: Recipe, key: str, text: str) -> Recipe:
    """The recipe with one value set from text, as `--set look.exposure_stops=0.5` does. Raises RecipeError.

    The text is read as the field's type: numbers, true or false, plain text; lists of text as `composite,gain`, other
    lists as `36,24` or as in TOML. `look.exposure` is short for `look.exposure_stops`. `engine.OPTION=VALUE` sets an
    option of the engine, except for `engine.name`.
    """
    return Recipe.from_dict({VERSION_KEY: VERSION, **override(Recipe, encode(recipe), key, text)})


def _require_lights(recipe: Recipe) -> None:
    for i, light in enumerate(recipe.lights):
        missing = [frame for frame in recipe.frames if frame not in light.transforms] if light.transforms else []
        if missing:
            raise RecipeError(
                f"lights[{i}].transforms", "all frames of the recipe", f"none for {FrameRange.of(missing)}"
            )


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


Part = TypeVar("Part")


def with_paths(part: Part, change: Any) -> Part:
    """A copy of a document (a recipe or a part of one) with `change` applied to every path in it."""
    assert dataclasses.is_dataclass(part) and not isinstance(part, type)
    changed: dict[str, Any] = {}
    for item in fields_of(type(part)):
        held = getattr(part, item.name)
        if rule_of(item).is_path and held is not None:
            changed[item.name] = change(held)
        elif _is_part(held):
            changed[item.name] = with_paths(held, change)
        elif isinstance(held, tuple) and held and _is_part(held[0]):
            changed[item.name] = tuple(with_paths(one, change) for one in held)
    return dataclasses.replace(part, **changed)


def paths_of(part: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Every path in a document with its dotted key."""
    assert dataclasses.is_dataclass(part) and not isinstance(part, type)
    for item in fields_of(type(part)):
        held, where = getattr(part, item.name), join(key, item.name)
        if rule_of(item).is_path and held is not None:
            yield where, held
        elif _is_part(held):
            yield from paths_of(held, where)
        elif isinstance(held, tuple):
            for i, one in enumerate(held):
                if _is_part(one):
                    yield from paths_of(one, f"{where}[{i}]")


def _is_part(held: object) -> bool:
    return dataclasses.is_dataclass(held) and not isinstance(held, (type, FrameRange))


def _without_paths(recipe: Recipe) -> dict[str, Any]:
    document: dict[str, Any] = encode(with_paths(recipe, lambda text: "path"))
    return document
