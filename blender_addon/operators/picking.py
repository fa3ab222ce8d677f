"""A place in the plate for an option that asks for one, such as a grey card: picked with a click, or given by a script.

The click is taken in a Clip Editor that shows the plate, or in an Image Editor. Places are shares of the picture's
display window from its top left, as the server counts them; Blender shows the data window, from its bottom left.
"""

from __future__ import annotations

import bpy
from bpy.props import FloatProperty, IntProperty, StringProperty

from ..core import InputError, sample_frames
from ..desk import chosen, desk
from ..engine_options import engine_of, is_point, label_of, option_of, set_value, start_value
from ..gather.pictures import read_header
from ..offers import plate_file
from .base import OfShot

EDITORS = {"CLIP_EDITOR": "clip", "IMAGE_EDITOR": "image"}


class PLATELIGHT_OT_pick(OfShot, bpy.types.Operator):
    """Picks a place in the plate: click on it in the clip editor, on the frame that shows it. Esc keeps the old one"""

    bl_idname = "platelight.pick"
    bl_label = "Pick in Plate"
    bl_options = {"REGISTER", "UNDO"}

    option: StringProperty(name="Option", description="The engine's option that the place is for")
    frame: IntProperty(name="Frame", description="Scene frame; the current one if not given", options={"SKIP_SAVE"})
    x: FloatProperty(name="X", description="Share of the picture's width from the left", min=0, max=1, default=0.5)
    y: FloatProperty(name="Y", description="Share of the picture's height from the top", min=0, max=1, default=0.5)
    size: FloatProperty(
        name="Size", description="Side of the square, as a share of the picture's width", min=0.001, max=1, default=0.03
    )

    def invoke(self, context, event):
        """From a button: waits for a click on the plate."""
        if bpy.app.background:
            return self.execute(context)
        try:
            scene, shot = chosen(context)
            require_looked_at(scene, shot, option_of(shot, self.option), scene.frame_current)
            if not is_plate_shown(context, shot):
                raise InputError("The plate is not shown in this window: open it in a clip editor, and pick again.")
        except InputError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        context.window.cursor_modal_set("EYEDROPPER")
        context.workspace.status_text_set(f"Click on {label_of(option_of(shot, self.option)).lower()}, Esc to cancel")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        """A click inside the plate ends it, and so do Esc and the right button."""
        if event.type in {"ESC", "RIGHTMOUSE"}:
            return self._end(context, {"CANCELLED"})
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return (
                {"PASS_THROUGH"}
                if event.type in {"MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE"}
                else {"RUNNING_MODAL"}
            )
        scene, shot = chosen(context)
        place = place_under(context, event, scene, shot)
        if place is None:
            self.report({"INFO"}, "Click inside the plate")
            return {"RUNNING_MODAL"}
        self.x, self.y, self.frame = *place, scene.frame_current
        return self._end(context, self.execute(context))

    def _end(self, context, answer):
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        return answer

    def do(self, context):
        scene, shot = chosen(context)
        option = option_of(shot, self.option)
        if not is_point(option):
            raise InputError(f"{self.option}: it is no place in the plate: set it with platelight.option.")
        frame = self.frame if self.properties.is_property_set("frame") else scene.frame_current
        number = require_looked_at(scene, shot, option, frame)
        given = {"frame": float(number), "x": self.x, "y": self.y, "size": self.size}
        start = start_value(option, number)
        set_value(shot, option, [given.get(part, old) for part, old in zip(option["parts"], start, strict=True)])


def require_looked_at(scene, shot, option, frame: int) -> int:
    """The file number of a scene frame. Raises `InputError` for a frame that the engine does not look at beforehand."""
    found = desk.read(scene, shot)
    if found.mapping is None:
        raise InputError(found.problems[0].text)
    number, engine = found.mapping.file(frame), engine_of(shot)
    if found.recipe is not None and engine is not None:
        looked = sample_frames(tuple(found.recipe.frames), int(engine.get("sampled_frames", 0)) or 1)
        if number not in looked:
            listed = ", ".join(str(found.mapping.scene(one)) for one in looked)
            raise InputError(
                f"{label_of(option)}: the engine looks at the scene's frames {listed} and not at {frame}: go to one of "
                "these, and pick again."
            )
    return number


def share_of(u: float, v: float, header) -> tuple[float, float]:
    """Shares of the display window from its top left, of a place in the data window (0..1, from its bottom left).

    `header` is a `pictures.Header`, or None where the two windows are one.
    """
    if header is None:
        return u, 1 - v
    x = (header.data_x + u * header.data_width_px) / header.width_px
    y = (header.data_y + (1 - v) * header.data_height_px) / header.height_px
    return x, y


def is_plate_shown(context, shot) -> bool:
    """Whether an editor of this window shows the shot's plate."""
    return any(_shows(area, shot) for area in context.window.screen.areas)


def _shows(area, shot) -> bool:
    held = getattr(area.spaces.active, EDITORS[area.type], None) if area.type in EDITORS else None
    return held is not None and held in (shot.plate_clip, shot.plate_image)


def place_under(context, event, scene, shot) -> tuple[float, float] | None:
    """The place in the plate that a click meant, or None beside it."""
    for area in context.window.screen.areas:
        region = next((one for one in area.regions if one.type == "WINDOW"), None)
        if region is None or not _shows(area, shot):
            continue
        u, v = region.view2d.region_to_view(event.mouse_x - region.x, event.mouse_y - region.y)
        inside = 0 <= event.mouse_x - region.x < region.width and 0 <= event.mouse_y - region.y < region.height
        if inside and 0 <= u <= 1 and 0 <= v <= 1:
            path = plate_file(scene, shot)
            return share_of(u, v, read_header(path) if path is not None else None)
    return None


CLASSES = (PLATELIGHT_OT_pick,)
