"""The plain composite as an image strip of the sequencer."""

from __future__ import annotations

from contextlib import suppress

from bpy.types import Scene

from .. import compat
from ..core import InputError
from .delivery import Delivery


def add_strip(scene: Scene, delivery: Delivery, channel: int | None = None):
    """An image strip of all frames that the job was asked for, above the strips that are there.

    Frames that are not delivered yet show as Blender shows a missing picture, and by themselves once they are there.
    Raises InputError in Blender 4.2, whose sequencer shows black for files with layers.
    """
    if not compat.sequencer_reads_layers():
        raise InputError(
            "The sequencer of Blender before 4.5 cannot read EXR files with layers. Use the result's nodes in the "
            "compositor and put that scene into the sequencer, or deliver with the layer 'composite' alone."
        )
    if scene.library is not None:
        raise InputError(f"Scene '{scene.name}' is linked from another file. Add the strip in a scene of this file.")
    top = max((strip.channel for strip in compat.strips_of(scene)), default=0)
    first, last = delivery.frames.first, delivery.frames.last
    strip = compat.new_strips(scene).new_image(
        name=delivery.title(),
        filepath=str(delivery.main_file(first)),
        channel=channel or top + 1,
        frame_start=delivery.scene_frame_first,
    )
    for number in range(first + 1, last + 1):
        strip.elements.append(delivery.main_file(number).name)
    with suppress(TypeError):  # a space that this Blender does not know: the group says so, a strip has no place to
        strip.colorspace_settings.name = delivery.colorspace
    return strip
