"""What an artist sets of the keyer for a shot's own green or blue screen: `shot.keying`, kept in the .blend."""

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatVectorProperty, IntProperty

from .core import Keying
from .dials import dial

OWN = "own"


class PlatelightScreenBox(bpy.types.PropertyGroup):
    """A box in the plate that is all background (garbage) or all foreground (held out), on every frame."""

    kind: EnumProperty(
        name="Box",
        description="What the box is",
        items=(
            ("garbage", "Garbage", "All of it is background, such as a stand or the screen's edge"),
            ("hold_out", "Hold Out", "All of it is foreground, such as a green shirt"),
        ),
    )
    left: IntProperty(name="Left", description="Pixels from the plate's left", min=0)
    top: IntProperty(name="Top", description="Pixels from the plate's top", min=0)
    right: IntProperty(name="Right", description="Pixels from the plate's left", min=0)
    bottom: IntProperty(name="Bottom", description="Pixels from the plate's top", min=0)


class PlatelightKeying(bpy.types.PropertyGroup):
    """The keyer's dials; but for the screen each is a field of the recipe's `matte.keying`."""

    screen: EnumProperty(
        name="Screen",
        description="The screen's colour",
        items=(
            ("auto", "Auto", "Green or blue, whichever surrounds the subject"),
            ("green", "Green", "A green screen"),
            ("blue", "Blue", "A blue screen"),
            (OWN, "Picked", "Another colour, picked in the plate"),
        ),
    )
    color: FloatVectorProperty(
        name="Color",
        description="The screen's colour: pick it in the plate with the eyedropper",
        subtype="COLOR",
        size=3,
        min=0.0,
        soft_max=1.0,
    )
    has_black: BoolProperty(
        name="Own Black", description="Set what becomes transparent; else it is what the bare screen's noise reaches"
    )
    black: dial(Keying, "black", 0.1)
    white: dial(Keying, "white")
    shade: dial(Keying, "shade")
    core: dial(Keying, "core")
    boxes: CollectionProperty(
        name="Boxes", description="Parts of the plate that are foreground or background", type=PlatelightScreenBox
    )
