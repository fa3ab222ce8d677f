"""Old recipes: one small pure function per version, each turning a document into the next version's.

Version 0 is the draft from before the first release: a flat table with one key per command-line flag,

    platelight = 0
    name = "sh010"
    frames = "1001-1048"
    plate = "plates/sh010.####.exr"     -> plate.path
    matte = "mattes/sh010.####.exr"     -> matte.path
    bg = "street.exr"                   -> background.still, or background.sequence when it holds a frame token
    exposure = 0.5                      -> look.exposure_stops
    out = "out"                         -> output.directory

No release wrote it. Its other keys already had version 1's names and pass through, to be checked there.
A document of a later version than this code knows is refused; nothing is ever downgraded. A key that is new, and whose
absence means what it meant before, makes no new version: a side that does not know it refuses it by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import FrameError, RecipeError
from .frames import SequencePath

VERSION = 1
VERSION_KEY = "platelight"

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def from_draft(document: dict[str, Any]) -> dict[str, Any]:
    """0 -> 1. Values are moved, never changed; wrong ones are refused by version 1's own check."""
    moved = dict(document)
    _move(moved, "plate", ("plate", "path"))
    _move(moved, "matte", ("matte", "path"))
    _move(moved, "bg", ("background", _still_or_sequence(moved.get("bg"))))
    _move(moved, "exposure", ("look", "exposure_stops"))
    _move(moved, "out", ("output", "directory"))
    return moved


UPGRADES: Mapping[int, Upgrade] = {0: from_draft}


def upgraded(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document in the present version, with the version key taken out. Raises RecipeError."""
    current = dict(document)
    if VERSION_KEY not in current:
        raise RecipeError(VERSION_KEY, f"the recipe's version as its first key ({VERSION_KEY} = {VERSION})", "nothing")
    version = current.pop(VERSION_KEY)
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        raise RecipeError(VERSION_KEY, f"a version from 0 to {VERSION}", repr(version))
    if version > VERSION:
        raise RecipeError(
            VERSION_KEY,
            f"a version up to {VERSION}; a newer Platelight wrote this recipe, so update Platelight on this side",
            str(version),
        )
    for step in range(version, VERSION):
        current = UPGRADES[step](current)
    return current


def _still_or_sequence(path: object) -> str:
    try:
        return "sequence" if isinstance(path, str) and not SequencePath.parse(path).is_still else "still"
    except FrameError:
        return "still"  # refused as a path by the next version's check


def _move(document: dict[str, Any], old: str, new: tuple[str, str]) -> None:
    """Takes `old` out and puts its value into the table `new[0]` under `new[1]`."""
    if old not in document:
        return
    value = document.pop(old)
    table = document.setdefault(new[0], {})
    if not isinstance(table, dict) or new[1] in table:
        raise RecipeError(old, f"either {old} or {'.'.join(new)}", "both")
    document[new[0]] = {**table, new[1]: value}
