"""What the artist can do, as operators: each runs from a button, from a script, and in `blender -b` with `wait=True`.

They are thin: what happens is the desk's. An error is one sentence, reported; in background mode nothing pops up.
"""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from . import pump, results
from .core import InputError, PlatelightError
from .desk import Plan, blender_space, chosen, desk, key_of, sentence
from .gather import gather
from .local_server import find_command
from .preferences import preferences
from .preview_image import PREFIX
from .settings import active_shot

WAIT_S = 24 * 3600.0


class _Operator:
    """Reports what goes wrong as one sentence."""

    bl_options = {"REGISTER"}

    def execute(self, context):
        try:
            return self.do(context) or {"FINISHED"}
        except (PlatelightError, OSError) as error:
            self.report({"ERROR"}, sentence(error) if isinstance(error, PlatelightError) else str(error))
            return {"CANCELLED"}


class _OfShot(_Operator):
    """Needs a shot, and says so."""

    @classmethod
    def poll(cls, context):
        if active_shot(context.scene) is None:
            cls.poll_message_set("There is no shot yet: add one.")
            return False
        return True


class PLATELIGHT_OT_add_shot(_Operator, bpy.types.Operator):
    """Adds a shot, filled in from what the editor shows: its clip, its mask, its solve"""

    bl_idname = "platelight.add_shot"
    bl_label = "Add Shot"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Name", description="Name of the shot; empty takes the clip's")

    def do(self, context):
        held, scene = context.scene.platelight, context.scene
        shot = held.shots.add()
        held.shot_index = len(held.shots) - 1
        space = context.space_data
        clip = getattr(space, "clip", None) or scene.active_clip or next(iter(bpy.data.movieclips), None)
        taken = {one.name for one in held.shots if one != shot}
        wanted = self.name or (Path(clip.name).stem.rstrip("0123456789._-") if clip is not None else "") or "shot"
        number = 1
        shot.name = wanted
        while shot.name in taken:
            number += 1
            shot.name = f"{wanted}.{number:03d}"
        if clip is not None:
            shot.plate_kind, shot.plate_clip = "CLIP", clip
            if clip.tracking.reconstruction.is_valid:
                shot.camera_kind = "SOLVE"
        mask = getattr(space, "mask", None)
        if mask is not None:
            shot.matte_kind, shot.matte_mask = "MASK", mask


class PLATELIGHT_OT_remove_shot(_OfShot, bpy.types.Operator):
    """Removes the shot's settings. Its job goes on, its results and nodes stay"""

    bl_idname = "platelight.remove_shot"
    bl_label = "Remove Shot"
    bl_options = {"REGISTER", "UNDO"}

    def do(self, context):
        held = context.scene.platelight
        held.shots.remove(held.shot_index)
        held.shot_index = max(0, held.shot_index - 1)


class PLATELIGHT_OT_relight(_OfShot, bpy.types.Operator):
    """Sends the shot to the server. Blender stays free; frames appear in the compositor as they land"""

    bl_idname = "platelight.relight"
    bl_label = "Relight"

    wait: BoolProperty(name="Wait", description="Come back when the job has ended; for scripts", default=False)
    timeout: FloatProperty(
        name="Timeout", description="How long to wait", default=WAIT_S, min=0, subtype="TIME_ABSOLUTE"
    )

    def do(self, context):
        scene, shot = chosen(context)
        key = key_of(scene, shot)
        if self.wait:
            desk.turn()
            _require_server(self.timeout)
        elif not pump.session.is_up:
            raise InputError(f"The server does not answer: {pump.session.words}.")
        desk.relight(scene, shot)
        if not self.wait:
            self.report({"INFO"}, f"{shot.name}: sent")
            return None
        sent = pump.wait_until(lambda: key not in desk.drawings and key not in desk.busy, self.timeout)
        if key in desk.said:
            raise InputError(desk.said[key])
        view = pump.session.jobs.get(shot.job)
        if not sent or view is None or not pump.wait_until(lambda: view.ended or bool(view.trouble), self.timeout):
            raise InputError(f"{shot.name}: not ended within {self.timeout:g} s; the job goes on.")
        desk.show_all()
        if view.status is None or view.status.state != "done":
            raise InputError(f"{shot.name}: {view.status.state if view.status else view.trouble}: {_why(view)}")
        self.report({"INFO"}, f"{shot.name}: {view.status.total} frames")
        return None


class PLATELIGHT_OT_preview(_OfShot, bpy.types.Operator):
    """Shows the current frame at reduced size, in an image named after the shot"""

    bl_idname = "platelight.preview"
    bl_label = "Preview Frame"

    wait: BoolProperty(name="Wait", description="Come back when the preview is there; for scripts", default=False)

    def do(self, context):
        scene, shot = chosen(context)
        if self.wait:
            desk.turn()
            _require_server(60.0)
        elif not pump.session.is_up:
            raise InputError(f"The server does not answer: {pump.session.words}.")
        key = key_of(scene, shot)
        desk.said.pop(key, None)
        before = desk.previews.get(key, 0)
        desk.preview(scene, shot, scene.frame_current)
        if self.wait:
            pump.wait_until(lambda: desk.previews.get(key, 0) > before or key in desk.said, 600.0)
            if key in desk.said:
                raise InputError(desk.said[key])


class PLATELIGHT_OT_live(_OfShot, bpy.types.Operator):
    """Keeps the preview up to date while lamps, HDRI and dials are moved"""

    bl_idname = "platelight.live"
    bl_label = "Live"

    def do(self, context):
        scene, shot = chosen(context)
        key = key_of(scene, shot)
        desk.live = "" if desk.live == key else key
        desk.forget_preview()


class PLATELIGHT_OT_show_preview(_OfShot, bpy.types.Operator):
    """Shows the preview in this window's Image Editor, or in a new window where there is none"""

    bl_idname = "platelight.show_preview"
    bl_label = "Show Preview"

    def do(self, context):
        _, shot = chosen(context)
        image = bpy.data.images.get(PREFIX + shot.name)
        if image is None:
            raise InputError("There is no preview yet: press Preview Frame.")
        if bpy.app.background:
            return
        area = next((one for one in context.screen.areas if one.type == "IMAGE_EDITOR"), None)
        if area is None:
            bpy.ops.wm.window_new()
            area = bpy.context.window_manager.windows[-1].screen.areas[0]
            area.type = "IMAGE_EDITOR"
        area.spaces.active.image = image


class PLATELIGHT_OT_job(_Operator, bpy.types.Operator):
    """Cancels, pauses, resumes, retries or forgets a job. What is finished stays"""

    bl_idname = "platelight.job"
    bl_label = "Job"

    job: StringProperty(name="Job", description="The job, as the server names it")
    action: EnumProperty(
        name="Action",
        description="What is done to it",
        items=tuple((one, one.capitalize(), "") for one in ("cancel", "pause", "resume", "retry", "forget")),
    )

    @classmethod
    def description(cls, context, properties):
        return f"{properties.action.capitalize()} this job. What is finished stays"

    def do(self, context):
        def done(told, error):
            view = pump.session.jobs.get(self_job)
            if view is not None:
                view.trouble = "" if error is None else sentence(error)

        self_job = self.job
        pump.session.change(self.job, self.action, done)
        if self.action == "forget":
            pump.session.jobs.pop(self.job, None)


class PLATELIGHT_OT_start_server(_Operator, bpy.types.Operator):
    """Starts a server on this machine, where Platelight is installed. It goes on when Blender quits"""

    bl_idname = "platelight.start_server"
    bl_label = "Start Local Server"

    def do(self, context):
        held = preferences()
        command = find_command(held.command if held is not None else "")
        if command is None:
            raise InputError(
                "Platelight's server is not found on this machine: install it, or name its folder in the preferences."
            )
        log = Path(bpy.utils.extension_path_user(__package__, path="server", create=True)) / "server.log"
        pump.server.start(command, log)
        self.report({"INFO"}, "The server starts")


class PLATELIGHT_OT_show_log(_Operator, bpy.types.Operator):
    """Opens the log of the server that was started here as a text"""

    bl_idname = "platelight.show_log"
    bl_label = "Server Log"

    lines: IntProperty(name="Lines", description="How many of the last lines", default=500, min=1)

    def do(self, context):
        log = pump.server.log
        if log is None or not log.is_file():
            raise InputError("No server was started from this Blender.")
        text = bpy.data.texts.get("Platelight server log") or bpy.data.texts.new("Platelight server log")
        text.from_string("\n".join(log.read_text("utf-8", "replace").splitlines()[-self.lines :]))


class PLATELIGHT_OT_show_result(_OfShot, bpy.types.Operator):
    """Brings the result's nodes up to date with what is on disk"""

    bl_idname = "platelight.show_result"
    bl_label = "Show Result"
    bl_options = {"REGISTER", "UNDO"}

    def do(self, context):
        scene, shot = chosen(context)
        found = gather(scene, shot, context, max(shot.version, 1), desk.memory)
        if found.recipe is None or found.folder is None or found.mapping is None:
            raise InputError(found.problems[0].text if found.problems else "The shot cannot be read.")
        name, frames = found.recipe.output_name, found.recipe.frames
        there = results.found_in(found.folder, name)
        delivered = {number for number in there or () if number in frames}
        if not delivered:
            raise InputError(f"{found.folder}: there are no frames of {name} yet.")
        plan = Plan(
            key_of(scene, shot), found.folder, name, frames, found.mapping.scene(frames.first),
            blender_space(key_of(scene, shot), found.recipe),
        )  # fmt: skip
        desk.said.pop(plan.key, None)
        desk.show_result(plan, delivered)
        if plan.key in desk.said:
            raise InputError(desk.said[plan.key])


class PLATELIGHT_OT_connect(_OfShot, bpy.types.Operator):
    """Makes the result what this scene renders"""

    bl_idname = "platelight.connect"
    bl_label = "Connect to Output"
    bl_options = {"REGISTER", "UNDO"}

    def do(self, context):
        scene, shot = chosen(context)
        group = results.status.find_group(key_of(scene, shot))
        if group is None:
            raise InputError("There is no result yet: relight the shot.")
        before = results.connect(scene, group)
        if before:
            self.report({"INFO"}, f"Instead of {before}")


def _require_server(timeout_s: float) -> None:
    if not pump.wait_until(lambda: pump.session.is_up, min(timeout_s, 20.0)):
        raise InputError(f"The server does not answer: {pump.session.words}.")


def _why(view) -> str:
    if view.status is not None and view.status.text:
        return view.status.text
    return next(iter(view.failed.values()), view.trouble or "the server does not say why")


CLASSES = (
    PLATELIGHT_OT_add_shot,
    PLATELIGHT_OT_remove_shot,
    PLATELIGHT_OT_relight,
    PLATELIGHT_OT_preview,
    PLATELIGHT_OT_live,
    PLATELIGHT_OT_show_preview,
    PLATELIGHT_OT_job,
    PLATELIGHT_OT_start_server,
    PLATELIGHT_OT_show_log,
    PLATELIGHT_OT_show_result,
    PLATELIGHT_OT_connect,
)


def register() -> None:
    """Adds the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Takes them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
