"""Editors of this Blender's windows: found, or opened in a window of their own. Never in background mode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy


def areas(kind: str) -> Iterator[Any]:
    """All areas of a kind of editor, such as IMAGE_EDITOR, in all windows."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == kind:
                yield area


def opened(context: Any, kind: str) -> Any:
    """An area of this kind: in the context's own window, else in any, else in a new window."""
    here = [area for area in context.screen.areas if area.type == kind] if context.screen is not None else []
    found = next(iter(here), None) or next(areas(kind), None)
    if found is None:
        bpy.ops.wm.window_new()
        found = context.window_manager.windows[-1].screen.areas[0]
        found.type = kind
    return found
