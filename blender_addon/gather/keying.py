"""The matte that the server keys from the plate's own screen: the artist's dials as the recipe's."""

from __future__ import annotations

from typing import Any

from .. import compat
from ..core import Keying, Matte
from ..keying import OWN
from .findings import Findings
from .plates import Source
from .space import KNOWN_PRIMARIES, between

BOXES = ("garbage", "hold_out")
DISPLAY = "sRGB"  # its linear light has the primaries of Rec.709
SCENE_LINEAR = "scene_linear"


def keyed(shot: Any, plate: Source, findings: Findings) -> Matte:
    """The recipe's matte for `shot.keying`. Raises Stopped."""
    dials = shot.keying
    boxes = {kind: tuple(_box(one, findings) for one in dials.boxes if one.kind == kind) for kind in BOXES}
    keying = Keying(
        color=_color(dials, plate, findings) if dials.screen == OWN else None,
        black=_typed(dials.black) if dials.has_black else None,
        white=_typed(dials.white), shade=_typed(dials.shade), core=_typed(dials.core), **boxes,
    )  # fmt: skip
    asked = "auto" if dials.screen == OWN else dials.screen
    return Matte(key=asked, keying=keying if keying != Keying() else None, invert=shot.matte_invert)


def _typed(value: float) -> float:
    """A dial as the artist typed it: Blender keeps 0.95 in single precision."""
    return round(value, 6)


def _box(one: Any, findings: Findings) -> tuple[float, float, float, float]:
    if one.left >= one.right or one.top >= one.bottom:
        raise findings.stop(
            f"A {one.kind.replace('_', ' ')} box of the keyer is empty ({one.left}, {one.top} to {one.right},"
            f" {one.bottom}): give it a size, or remove it.",
            "keying",
        )
    return float(one.left), float(one.top), float(one.right), float(one.bottom)


def _color(dials: Any, plate: Source, findings: Findings) -> tuple[float, float, float]:
    """The picked colour as the plate's files have it, (R, G, B) scene-linear in the plate's primaries. Raises Stopped.

    An eyedropper gives Blender's working space, into which the plate was brought from the space that Blender takes it
    for: going back there gives what lies in the files, whatever their header says.
    """
    red, green, blue = dials.color
    if max(red, green, blue) <= min(red, green, blue):
        raise findings.stop(
            f"The screen's color is grey ({red:.3g}, {green:.3g}, {blue:.3g}): pick it in the plate with the"
            " eyedropper.",
            "keying",
        )
    if plate.colorspace == SCENE_LINEAR:
        return red, green, blue
    space = "Linear Rec.709" if plate.colorspace == DISPLAY else plate.colorspace
    if space not in KNOWN_PRIMARIES:
        findings.note(
            f"The primaries of {space} are not known here, so the screen's color is told as Rec.709's: where the key"
            " fails, choose green or blue.",
            "keying",
        )
        space = "Linear Rec.709"
    told = between((red, green, blue), compat.working_primaries(), space)
    return max(told[0], 0.0), max(told[1], 0.0), max(told[2], 0.0)
