"""The clip editor's tab *Solve*, where a camera is made that the shot does not have yet."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import bpy

from .core import InputError
from .windows import areas, opened

TAB, TRIES, AGAIN_S = "Solve", 20, 0.1


def open_solve_tab(context: Any, clip: Any) -> str:
    """Shows the clip with the tools for solving. Returns what is to be done there; raises it in background mode."""
    sentence = f"The clip {clip.name} has no solve: track it, then press Solve Camera Motion in the tab Solve."
    if bpy.app.background:
        raise InputError(sentence)
    area = opened(context, "CLIP_EDITOR")
    space = area.spaces.active
    space.clip, space.mode, space.view = clip, "TRACKING", "CLIP"
    space.show_region_toolbar = True
    _wanted.clip, _wanted.tries = clip.name, TRIES
    if not bpy.app.timers.is_registered(choose_tab):
        bpy.app.timers.register(choose_tab, first_interval=AGAIN_S)
    return sentence


@dataclass
class _Wanted:
    """The clip whose tab is to be chosen, by name, as it may be gone by then."""

    clip: str = ""
    tries: int = 0


_wanted = _Wanted()


def choose_tab() -> float | None:
    """Turned by a timer: a tab can be chosen once its panels were drawn. Returns when to come again."""
    _wanted.tries -= 1
    for area in areas("CLIP_EDITOR"):
        if area.spaces.active.clip is None or area.spaces.active.clip.name != _wanted.clip:
            continue
        for tools in (region for region in area.regions if region.type == "TOOLS"):
            with suppress(TypeError, AttributeError):  # not drawn yet
                tools.active_panel_category = TAB
                if tools.active_panel_category == TAB:
                    area.tag_redraw()
                    return None
    return AGAIN_S if _wanted.tries > 0 else None
