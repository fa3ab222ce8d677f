"""What need not be read again while the artist drags something else: samples of moving objects, keys of masks.

The caller owns it, and forgets when Blender says that something changed (`depsgraph_update_post`). Without one,
everything is read anew. No `bpy` here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import TypeVar

Value = TypeVar("Value")
HELD_MOST = 64  # values; a shot needs about five
OWN_LIGHTS = "own lights"  # the kind of lights that move by their own keys alone


class Memory:
    """Values by what they were made of."""

    def __init__(self) -> None:
        self._held: dict[tuple[Hashable, ...], object] = {}

    def recall(self, key: tuple[Hashable, ...], make: Callable[[], Value]) -> Value:
        """The value under `key`, made if it is not there."""
        if key not in self._held:
            if len(self._held) >= HELD_MOST:
                self._held.clear()
            self._held[key] = make()
        return self._held[key]  # type: ignore[return-value]

    def forget(self, kinds: Collection[str] = ()) -> None:
        """What has a key that begins with one of `kinds` is made anew from here on; without kinds everything."""
        self._held = {key: value for key, value in self._held.items() if kinds and key[0] not in kinds}

    def forget_but(self, kinds: Collection[str]) -> None:
        """Everything is made anew from here on but what has a key that begins with one of `kinds`."""
        self._held = {key: value for key, value in self._held.items() if key[0] in kinds}
