"""Previews as an image of this Blender, one per shot, named so that the artist finds it in any Image Editor."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

PREFIX = "Platelight preview "


def show(key: str, picture: Any) -> None:
    """Puts a preview into its image, made where there is none. The picture is premultiplied and linear.

    picture.channels  R, G, B, A -> (h, w) float16, first row on top; Blender's first row is the bottom one
    """
    name = PREFIX + key.partition("\n")[2]
    image = bpy.data.images.get(name)
    if image is not None and tuple(image.size) != (picture.width, picture.height):
        image.scale(picture.width, picture.height)
    if image is None:
        image = bpy.data.images.new(name, picture.width, picture.height, alpha=True, float_buffer=True)
        image.alpha_mode = "PREMUL"
        image.use_fake_user = False
    set_space(image, picture.colorspace)
    planes = [picture.channels.get(channel) for channel in "RGBA"]
    pixels = np.ones((picture.height, picture.width, 4), np.float32)
    for number, plane in enumerate(planes):
        if plane is not None:
            pixels[..., number] = plane[::-1]
    image.pixels.foreach_set(pixels.ravel())
    image.update()


def set_space(image: Any, name: str) -> None:
    """Tells Blender the colour space of the pixels, where it knows it."""
    try:
        image.colorspace_settings.name = name
    except TypeError:
        image.colorspace_settings.name = "Linear Rec.709"
