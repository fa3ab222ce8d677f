"""Which Image Editors show the preview: those that are empty or show an older one take it by themselves."""

from __future__ import annotations

from typing import Any

import bpy

from .desk import desk
from .preview_image import PREFIX
from .windows import areas, opened

_counts: dict[str, int] = {}  # previews that were seen, by shot


def show_in_window(context: Any, image: Any) -> None:
    """Shows an image in the Image Editor that is freest for it: of this window, of another, or in a new window."""
    here = [area for area in context.screen.areas if area.type == "IMAGE_EDITOR"] if context.screen is not None else []
    area = min(here, key=_use, default=None) or opened(context, "IMAGE_EDITOR")
    area.spaces.active.image = image
    area.tag_redraw()


def _use(area: Any) -> int:
    """How much an editor is in use: 0 shows a preview, 1 nothing, 2 a picture, 3 what Blender itself renders."""
    image = area.spaces.active.image
    if image is None:
        return 1
    if image.name.startswith(PREFIX):
        return 0
    return 3 if image.source == "VIEWER" else 2


def turn() -> bool:
    """Gives a preview that has come to the Image Editors that show nothing, or the preview of another shot."""
    for key, count in desk.previews.items():
        if _counts.get(key) != count:
            _counts[key] = count
            image = bpy.data.images.get(PREFIX + key.partition("\n")[2])
            if image is not None:
                fill_editors(image)
    return False


def fill_editors(image: Any) -> int:
    """Shows an image in the editors that are free for it. Returns how many those were."""
    filled = 0
    for area in areas("IMAGE_EDITOR"):
        space = area.spaces.active
        free = space.image is None or (space.image != image and space.image.name.startswith(PREFIX))
        if free and not space.use_image_pin:
            space.image = image
            filled += 1
    return filled
