"""Sentences in a panel, which Blender does not wrap by itself."""

from __future__ import annotations

import textwrap

import bpy

from .keying import draw_screen

PIXELS_PER_LETTER, BESIDE_PX, LETTERS = 6.4, 60, 46


def draw_sentence(layout, shot, text, fix="", stops=False):
    """A sentence over as many lines as it takes, with the button or the setting of the shot that helps.

    `fix` is an operator where it has a dot in it, else a setting of the shot; `stops` draws it as an error.
    """
    box = layout.column(align=True)
    box.alert = stops
    for number, line in enumerate(textwrap.wrap(text, letters()) or [""]):
        box.label(text=line, icon=("ERROR" if stops else "INFO") if number == 0 else "BLANK1")
    if "." in fix:
        box.operator(fix)
    elif fix == "keying":
        box.alert = False
        draw_screen(box, shot.keying)
    elif fix and shot is not None and fix in shot.bl_rna.properties:
        box.alert = False
        box.prop(shot, fix)


def letters() -> int:
    """How many letters a line of the panel that is drawn has room for."""
    region = bpy.context.region
    if region is None or region.width < 2:
        return LETTERS
    scale = bpy.context.preferences.system.ui_scale or 1.0
    return max(24, int((region.width / scale - BESIDE_PX) / PIXELS_PER_LETTER))


def time_left(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3 h 20 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def gigabytes(count: int) -> str:
    """Bytes in GB, as cards are sold."""
    return f"{count / 2**30:.1f} GB"
