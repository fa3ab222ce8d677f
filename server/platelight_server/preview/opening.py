"""Opening a shot for one frame: as the check does, but files are known by their stamps, not hashed; nothing is written.

Owns what says that an opened shot is still the one on disk: the files there are, and the stamps of those that opening
it has looked at.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from platelight.errors import FrameError, RecipeError
from platelight.frames import FrameRange
from platelight.lights import Probe
from platelight.recipe import Recipe
from platelight.recipe_parts import Keying, Matte

from ..check import engine_capabilities, needed_frames
from ..engines.interface import Capabilities
from ..engines.registry import windows_of
from ..plan import Window, wanted_windows
from ..plates import opening, picture_io
from ..plates.facts import FactIndex, Facts, facts_of
from ..plates.inputs import Inputs
from ..plates.listing import scan
from ..plates.opening import Found, Role
from ..plates.shot import open_shot
from .kept import Stamp, Stamps

# Openings kept: the same shot at two frames, as when a user flips between them.
OPENINGS = 4
# Facts are a few numbers per file.
FACTS_MOST = 10_000


@dataclass(frozen=True)
class Opened:
    """A shot, opened for one frame: its inputs, the window that the frame is answered in, the check's warnings."""

    inputs: Inputs
    capabilities: Capabilities
    window: Window
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Held:
    asked: tuple[Any, ...]
    listed: Mapping[str, Mapping[int, Path]]
    stamps: Mapping[Path, Stamp | None]
    opened: Opened


class Openings:
    """Opens shots, and hands out again what has not changed since. `made` says whether the last one was new."""

    def __init__(self) -> None:
        self.made = False
        self._held: list[_Held] = []
        self._facts = _LookedAt()

    def open(self, recipe: Recipe, frame: int, stamps: Stamps, between: Callable[[], None] = lambda: None) -> Opened:
        """A shot whose paths are absolute. Raises the first of the errors that the check would name, and `FrameError`
        where the recipe leaves the frame out. `between` is called before each file and may raise `Cancelled`."""
        found = Found()
        if frame not in recipe.frames:
            raise FrameError(f"frame {frame}: expected one of the shot, it has {recipe.frames}")
        capabilities = engine_capabilities(recipe, found)
        roles = opening.roles(recipe, found)
        _raise_first(found)
        assert capabilities is not None
        if not capabilities.previews:
            raise RecipeError("engine.name", "an engine that previews, such as classic", capabilities.name)
        listed = {name: _listing(role) for name, role in roles.items()}
        asked = (*_asked(recipe), capabilities.name, frame)
        self.made = False
        for held in self._held:
            if held.asked == asked and held.listed == listed and _unchanged(held.stamps, stamps):
                self._held.remove(held)
                self._held.append(held)
                return held.opened
        self.made = True
        before = {path: stamps.of(path) for path in _files(recipe, roles, listed)}
        self._facts.begin(stamps, between)
        opened = self._open(recipe, frame, capabilities, found)
        self._held = [*self._held, _Held(asked, listed, {**before, **self._facts.stamps}, opened)][-OPENINGS:]
        return opened

    def _open(self, recipe: Recipe, frame: int, capabilities: Capabilities, found: Found) -> Opened:
        shot = tuple(recipe.frames)
        planned = windows_of(capabilities.name, recipe.engine.options, shot)
        (window,) = wanted_windows(planned, {frame})
        needed = needed_frames(shot, (window,), capabilities)
        facts: dict[tuple[str, Path], Facts] = {}
        inputs = open_shot(recipe, shot, needed, self._facts, os.cpu_count() or 1, facts, found)
        _raise_first(found)
        assert inputs is not None
        if frame not in inputs.plate.files:
            raise FrameError(f"frame {frame}: plate.missing = 'skip' leaves it out, so there is nothing to show")
        window = replace(window, needed=tuple(other for other in window.needed if other in inputs.plate.files))
        skipped = [other for other in needed if other not in inputs.plate.files]
        if skipped:
            found.warnings.append(f"plate.missing = 'skip': frames {FrameRange.of(skipped)} are not rendered")
        return Opened(inputs, capabilities, window, tuple(found.warnings))


class _LookedAt(FactIndex):
    """Facts of files in memory alone, by stamp. Files are decoded, and not hashed: their digests are empty."""

    def __init__(self) -> None:
        self.stamps: dict[Path, Stamp | None] = {}
        self._now = Stamps(0)
        self._between: Callable[[], None] = lambda: None
        self._kept: dict[tuple[Path, tuple[str, ...]], tuple[Stamp, Facts]] = {}

    def begin(self, stamps: Stamps, between: Callable[[], None]) -> None:
        """Another opening: files are looked at as these stamps say."""
        self.stamps, self._now, self._between = {}, stamps, between
        if len(self._kept) > FACTS_MOST:
            self._kept = {}

    def look(self, file: Path, channels: tuple[str, ...]) -> Facts:
        """Facts of these channels of a file. Raises `FrameError`, `ForbiddenPathError`."""
        stamp = self.stamps[file] = self._now.of(file)
        if stamp is None:
            raise FrameError(f"{file}: no such file")
        known = self._kept.get((file, channels))
        if known is not None and known[0] == stamp:
            return known[1]
        self._between()
        facts = facts_of(picture_io.read(file, channels).pixels, "")
        self._kept[file, channels] = (stamp, facts)
        return facts


def _asked(recipe: Recipe) -> tuple[Any, ...]:
    """What of a recipe decides how a shot opens. Lights, look and the turning of probes do not."""
    background = recipe.background
    if background.exposure_stops:
        background = replace(background, exposure_stops=0.0)
    probes = (_unturned(recipe.probe_background), _unturned(recipe.probe_plate))
    return (
        recipe.frames, recipe.plate, _measured(recipe.matte), background, *probes, recipe.normal, recipe.relit,
        recipe.camera,
        recipe.output.colorspace, os.environ.get("OCIO"), recipe.ground if background.move == "camera" else None,
    )  # fmt: skip


def _measured(matte: Matte | None) -> Matte | None:
    """What of a matte decides how a shot opens: of a keyer's dials those that its screen is measured by."""
    if matte is None or matte.keying is None:
        return matte
    dials = matte.keying
    return replace(matte, keying=Keying(dials.color, garbage=dials.garbage, hold_out=dials.hold_out))


def _unturned(probe: Probe | None) -> Probe | None:
    """What of a probe has to be opened: its file. One of a colour has none."""
    return None if probe is None or probe.path is None else Probe(probe.path, probe.colorspace)


def _listing(role: Role) -> Mapping[int, Path]:
    return {0: role.sequence.path(0)} if role.sequence.is_still else scan(role.sequence)


def _files(recipe: Recipe, roles: Mapping[str, Role], listed: Mapping[str, Mapping[int, Path]]) -> list[Path]:
    """The files whose headers opening looks at: those of the whole shot, stills, the camera's."""
    shot = set(recipe.frames)
    files = []
    for name, role in roles.items():
        for number, path in listed[name].items():
            if role.sequence.is_still or number - role.offset in shot:
                files.append(path)
    if recipe.camera is not None and recipe.camera.path is not None:
        files.append(Path(recipe.camera.path))
    return files


def _unchanged(held: Mapping[Path, Stamp | None], now: Stamps) -> bool:
    return all(now.of(path) == stamp for path, stamp in held.items())


def _raise_first(found: Found) -> None:
    if found.errors:
        raise found.errors[0]
