"""What is asked of the server: relighting the range, previews, and changes to jobs."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from .. import pump
from ..core import InputError
from ..desk import chosen, desk, key_of, sentence
from .base import OfShot, Reporting, require_server

WAIT_S = 24 * 3600.0
PREVIEW_WAIT_S = 600.0


class PLATELIGHT_OT_relight(OfShot, bpy.types.Operator):
    """Sends the shot to the server. Blender stays free; frames appear in the compositor as they land"""

    bl_idname = "platelight.relight"
    bl_label = "Relight"

    wait: BoolProperty(
        name="Wait", description="Come back when the job has ended; for scripts", default=False, options={"SKIP_SAVE"}
    )
    timeout: FloatProperty(
        name="Timeout", description="How long to wait", default=WAIT_S, min=0, subtype="TIME_ABSOLUTE"
    )

    def do(self, context):
        scene, shot = chosen(context)
        key = key_of(scene, shot)
        if self.wait:
            desk.turn()
        require_server(self.wait, self.timeout)
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


class PLATELIGHT_OT_preview(OfShot, bpy.types.Operator):
    """Shows the current frame at reduced size, in an image named after the shot"""

    bl_idname = "platelight.preview"
    bl_label = "Preview Frame"

    wait: BoolProperty(
        name="Wait", description="Come back when the preview is there; for scripts", default=False,
        options={"SKIP_SAVE"},
    )  # fmt: skip

    def do(self, context):
        scene, shot = chosen(context)
        if self.wait:
            desk.turn()
        require_server(self.wait, PREVIEW_WAIT_S)
        key = key_of(scene, shot)
        desk.said.pop(key, None)
        before = desk.previews.get(key, 0)
        desk.preview(scene, shot, scene.frame_current)
        if self.wait:
            pump.wait_until(lambda: desk.previews.get(key, 0) > before or key in desk.said, PREVIEW_WAIT_S)
            if key in desk.said:
                raise InputError(desk.said[key])


class PLATELIGHT_OT_render_view(OfShot, bpy.types.Operator):
    """Renders what the shot takes from this scene (its view, its world) anew, by a Blender in the background"""

    bl_idname = "platelight.render_view"
    bl_label = "Render View"

    wait: BoolProperty(
        name="Wait", description="Come back when it is rendered; for scripts", default=False, options={"SKIP_SAVE"}
    )

    def do(self, context):
        scene, shot = chosen(context)
        key = key_of(scene, shot)
        desk.render_anew(scene, shot)
        if self.wait:
            pump.wait_until(lambda: key not in desk.drawings, WAIT_S)
            if key in desk.said:
                raise InputError(desk.said[key])


class PLATELIGHT_OT_stop_rendering(OfShot, bpy.types.Operator):
    """Ends what a Blender in the background makes for the shot. Frames that are there stay"""

    bl_idname = "platelight.stop_rendering"
    bl_label = "Stop Rendering"

    def do(self, context):
        desk.cancel_drawing(key_of(*chosen(context)))


class PLATELIGHT_OT_live(OfShot, bpy.types.Operator):
    """Keeps the preview up to date while lamps, HDRI and dials are moved"""

    bl_idname = "platelight.live"
    bl_label = "Live"

    def do(self, context):
        scene, shot = chosen(context)
        key = key_of(scene, shot)
        desk.live = "" if desk.live == key else key
        desk.forget_preview()


class PLATELIGHT_OT_job(Reporting, bpy.types.Operator):
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
        job, action = self.job, self.action

        def done(told, error):
            view = pump.session.jobs.get(job)
            if view is None:
                return
            view.trouble = "" if error is None else sentence(error)
            if told is not None and told.status is not None:
                view.status = told.status
                pump.session.follow(job, view.name, view.shot)  # anew, where it had ended

        pump.session.change(job, action, done)
        if action == "forget":
            pump.session.jobs.pop(job, None)


def _why(view) -> str:
    if view.status is not None and view.status.text:
        return view.status.text
    return next(iter(view.failed.values()), view.trouble or "the server does not say why")


CLASSES = (
    PLATELIGHT_OT_relight,
    PLATELIGHT_OT_preview,
    PLATELIGHT_OT_render_view,
    PLATELIGHT_OT_stop_rendering,
    PLATELIGHT_OT_live,
    PLATELIGHT_OT_job,
)
