"""What a scene or a world looks like, kept up to date a datablock at a time: for whoever asks whether a view is stale.

A digest of all that a scene names costs about half a millisecond per datablock (0.4 s for a mesh of a million
vertices), so it is made in turns, and anew of what Blender tells has changed alone, once that has come to rest. Names
are kept between turns, never references. A file that is written anew on disk is seen when its datablock is told again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from typing import Any

import bpy

from .scene_digest import digest_of_any_frame

Key = tuple[str, str, str | None]  # collection of `bpy.data`, name, path of the library

CALM_S = 0.5  # after the last change: nothing is told while something is dragged
ROOT_EVERY_S = 5.0  # so often the root is told though Blender tells of no change: Cycles' settings are not told
# What may have another datablock in it, such as a node tree, which Blender tells of by itself.
HAVE_PARTS = {"materials", "worlds", "lights", "scenes", "textures", "linestyles"}


class SceneWatch:
    """Digests of datablocks with all that they name. `look` asks for one, `go_on` works on what was asked for."""

    def __init__(self) -> None:
        self._told: dict[Key, tuple[str, tuple[Key, ...]]] = {}
        self._whole: dict[Key, tuple[float, str]] = {}
        self._pending: set[Key] = set()
        self._changed_at = 0.0

    @property
    def is_pending(self) -> bool:
        """Whether an answer was asked for that is not known yet."""
        return bool(self._pending)

    def look(self, root: Any) -> str:
        """The digest of a datablock with all that it names, on whatever frame; "" where `go_on` must find it first."""
        key = key_of(root)
        at, found = self._whole.get(key, (0.0, ""))
        if found and time.monotonic() - at > ROOT_EVERY_S and key not in self._pending:
            self._told.pop(key, None)
            self._pending.add(key)
        elif not found:
            self._pending.add(key)
        return found

    def look_now(self, root: Any) -> str:
        """The same, whatever it costs."""
        key = key_of(root)
        self._told.pop(key, None)
        self._walk(key, None)
        return self._whole[key][1]

    def go_on(self, within_s: float) -> bool:
        """Takes what was asked for a step further, at least by a datablock; not while an artist works.

        Returns whether it should soon go on.
        """
        if time.monotonic() - self._changed_at < CALM_S or bpy.context.mode != "OBJECT":
            return False
        for root in tuple(self._pending):
            self._walk(root, time.perf_counter() + within_s)
        return self.is_pending

    def forget(self, blocks: Iterable[Any] | None = None) -> None:
        """These datablocks (or all) are told anew. A part of another has all told anew that have such parts."""
        if blocks is None:
            self._told.clear()
            self._pending.clear()
            self._whole.clear()
            return
        known = len(self._told)
        for one in blocks if known else ():
            if not one.is_embedded_data:
                self._told.pop(key_of(one), None)
            elif getattr(one, "type", "") != "COMPOSITING":  # of which no view is made
                self._told = {key: held for key, held in self._told.items() if key[0] not in HAVE_PARTS}
        if len(self._told) != known:
            self._whole.clear()
            self._changed_at = time.monotonic()

    def _walk(self, root: Key, until: float | None) -> None:
        """Tells what is not told. Ends without an answer when time is up; what was told counts next time."""
        self._pending.discard(root)
        waiting, met, made = [root], {root}, 0
        while waiting:
            key = waiting.pop()
            if key not in self._told:
                if until is not None and made and time.perf_counter() > until:
                    self._pending.add(root)
                    return
                self._told[key], made = _told(key), made + 1
            fresh = [one for one in self._told[key][1] if one not in met]
            met.update(fresh)
            waiting.extend(fresh)
        lines = sorted(f"{key} {self._told[key][0]}" for key in met)
        self._whole[root] = (time.monotonic(), hashlib.sha256("\n".join(lines).encode()).hexdigest())


# Named by a scene, and nothing of a render.
NOT_RENDERED = {"WORKSPACE", "SCREEN", "WINDOWMANAGER", "BRUSH", "PALETTE", "PAINTCURVE", "LIBRARY"}
_COLLECTIONS: dict[str, str] = {}


def key_of(block: Any) -> Key:
    """The name of a datablock between turns."""
    kind = block.id_type
    if kind not in _COLLECTIONS:
        _COLLECTIONS[kind] = next(
            prop.identifier
            for prop in bpy.data.bl_rna.properties
            if prop.type == "COLLECTION" and prop.identifier != "all_ids"
            and isinstance(block, getattr(bpy.types, prop.fixed_type.identifier))
        )  # fmt: skip
    return _COLLECTIONS[kind], block.name, block.library.filepath if block.library else None


def _told(key: Key) -> tuple[str, tuple[Key, ...]]:
    collection, name, library = key
    try:
        block = getattr(bpy.data, collection)[name, library]
    except KeyError:
        return "gone", ()
    digest, named = digest_of_any_frame(block)
    return digest, tuple(dict.fromkeys(key_of(one) for one in named if one.id_type not in NOT_RENDERED))
