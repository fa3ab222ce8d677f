"""The keyer's dials among the inputs: the screen's colour, the dials, the boxes."""

from __future__ import annotations

from ..keying import OWN

DIALS = ("white", "shade", "core")
CORNERS = (("left", "top"), ("right", "bottom"))


def draw_screen(layout, dials):
    """Which screen; the field of a colour has an eyedropper, which picks in clip and image editors."""
    layout.prop(dials, "screen")
    if dials.screen == OWN:
        layout.prop(dials, "color")


def draw_keying(layout, shot):
    """All that is set of the keyer."""
    dials = shot.keying
    column = layout.column(align=True)
    draw_screen(column, dials)
    row = column.row(align=True)
    row.prop(dials, "has_black")
    if dials.has_black:
        row.prop(dials, "black")
    for name in DIALS:
        column.prop(dials, name)
    for index, box in enumerate(dials.boxes):
        _draw_box(layout, box, index)
    layout.operator("platelight.screen_box", icon="SELECT_SET")


def _draw_box(layout, box, index):
    column = layout.column(align=True)
    row = column.row(align=True)
    row.prop(box, "kind", text="")
    row.operator("platelight.remove_screen_box", text="", icon="X").index = index
    for corner in CORNERS:
        row = column.row(align=True)
        for name in corner:
            row.prop(box, name)
