"""The Platelight tab in the sidebars of compositor, clip editor and sequencer. Panels only read; nothing waits here."""

from __future__ import annotations

import bpy

from . import pump, results
from .desk import desk, job_of, key_of
from .gather import Badge
from .settings import active_shot

MARKS = {"ok": "CHECKMARK", "missing": "ERROR", "off": "REMOVE"}
# What the artist reaches for first; the other dials are folded.
FIRST_DIALS = ("strength", "exposure_stops")
KIND_OF = {
    "plate": ("plate_kind", {"CLIP": "plate_clip", "IMAGE": "plate_image", "STRIP": "plate_strip"}),
    "matte": (
        "matte_kind",
        {"FILE": "matte_path", "MASK": "matte_mask", "CRYPTOMATTE": "matte_crypto_names", "SOCKET": "matte_node"},
    ),
    "background": (
        "background_kind",
        {
            "CLIP": "background_clip",
            "SEQUENCE": "background_image",
            "STILL": "background_image",
            "HDRI": "background_image",
            "PROMPT": "background_prompt",
        },
    ),
    "camera": ("camera_kind", {"SOLVE": "camera_clip", "OBJECT": "camera_object", "FILE": "camera_path"}),
    "ground": ("ground_kind", {"OBJECT": "ground_object", "COLLECTION": "ground_collection"}),
}
STATES = {
    "queued": "TIME",
    "preparing": "PREVIEW_RANGE",
    "running": "PLAY",
    "paused": "PAUSE",
    "done": "CHECKMARK",
    "partial": "ERROR",
    "failed": "CANCEL",
    "cancelled": "X",
}


class _Tab:
    """In the sidebar's Platelight tab."""

    bl_region_type = "UI"
    bl_category = "Platelight"

    @classmethod
    def poll(cls, context):
        space = context.space_data
        return space.type != "NODE_EDITOR" or space.tree_type == "CompositorNodeTree"


def draw_main(layout, context):
    """Server, shot, inputs, the next step."""
    _draw_server(layout)
    held, shot = context.scene.platelight, active_shot(context.scene)
    row = layout.row(align=True)
    if held.shots:
        row.template_list("UI_UL_list", "platelight_shots", held, "shots", held, "shot_index", rows=2)
    column = row.column(align=True)
    column.operator("platelight.add_shot", text="" if held.shots else "Add Shot", icon="ADD")
    if held.shots:
        column.operator("platelight.remove_shot", text="", icon="REMOVE")
    if shot is None:
        return
    found = desk.read(context.scene, shot)
    for badge in found.badges:
        _draw_badge(layout, shot, badge)
    for problem in found.problems[:3]:
        _draw_sentence(layout, shot, problem.text, problem.fix, problem.level == "stop")
    _draw_steps(layout, context.scene, shot)


def _draw_server(layout):
    session, row = pump.session, layout.row()
    row.label(text=session.words[:60], icon="RADIOBUT_ON" if session.is_up else "RADIOBUT_OFF")
    if session.is_up and session.status is not None:
        for worker in session.status.workers:
            if worker.name.startswith("render"):
                free = f", {worker.memory_free / 2**30:.1f} GB free" if worker.memory_free else ""
                layout.label(text=f"{worker.hardware or worker.device}: {worker.state}{free}", icon="BLANK1")
    elif not session.is_up:
        if len(session.words) > 60:
            _draw_sentence(layout, None, session.words, "", False)
        row = layout.row(align=True)
        row.operator("platelight.start_server", icon="PLAY")
        if pump.server.log is not None:
            row.operator("platelight.show_log", text="", icon="TEXT")
        if pump.server.words:
            _draw_sentence(layout, None, pump.server.words, "", True)


def _draw_badge(layout, shot, badge: Badge):
    row = layout.split(factor=0.56, align=True)
    row.label(text=f"{badge.name.capitalize()} {badge.text}".strip(), icon=MARKS[badge.state])
    kind, sources = KIND_OF.get(badge.name, ("", {}))
    if not kind:
        return
    row.prop(shot, kind, text="")
    chosen = sources.get(getattr(shot, kind))
    if chosen:
        row = layout.row()
        row.alert = badge.state == "missing"
        row.prop(shot, chosen, text="")


def _draw_sentence(layout, shot, text, fix, stops):
    """A sentence over as many lines as it takes, with the button or setting that helps."""
    box = layout.column(align=True)
    box.alert = stops
    for number, line in enumerate(_lines(text)):
        box.label(text=line, icon=("ERROR" if stops else "INFO") if number == 0 else "BLANK1")
    if "." in fix:
        box.operator(fix)
    elif fix and shot is not None and hasattr(shot, fix):
        box.prop(shot, fix)


def _lines(text, width=46):
    import textwrap

    return textwrap.wrap(text, width) or [""]


def _draw_steps(layout, scene, shot):
    key, status = key_of(scene, shot), job_of(shot)
    column = layout.column()
    row = column.row(align=True)
    row.operator("platelight.preview", icon="IMAGE_DATA")
    row.operator(
        "platelight.live", text="Live", icon="REC" if desk.live == key else "RADIOBUT_OFF", depress=desk.live == key
    )
    row.operator("platelight.show_preview", text="", icon="WINDOW")
    if key in desk.drawings:
        column.label(text=desk.drawings[key].words, icon="MOD_MASK")
    running = status is not None and status.state not in ("done", "partial", "failed", "cancelled")
    column.operator("platelight.relight", text="Relight Again" if running else "Relight", icon="LIGHT_SUN")
    if key in desk.said:
        _draw_sentence(layout, shot, desk.said[key], "", True)
    if shot.recipe_hash:
        _draw_result(layout, scene, shot)


def _draw_result(layout, scene, shot):
    row = layout.row(align=True)
    if desk.is_stale(scene, shot):
        row.label(text="Result is stale", icon="FILE_REFRESH")
    row.operator("platelight.show_result", text="Show", icon="NODETREE")
    row.operator("platelight.connect", text="Connect", icon="LINKED")
    group = results.find_group(key_of(scene, shot))
    if group is not None:
        status = results.status_of(group)
        for text in filter(None, (status.missing, *status.notes)):
            _draw_sentence(layout, shot, text, "", False)
    view = pump.session.jobs.get(shot.job)
    for text in view.result.said if view is not None and view.result is not None else ():
        _draw_sentence(layout, shot, text, "", False)


def draw_dials(layout, context):
    """The first dials; then the engine's own, as the server describes them."""
    shot = active_shot(context.scene)
    if shot is None:
        return
    for name in FIRST_DIALS:
        layout.prop(shot.look, name)
    names = [str(engine.get("name")) for engine in pump.session.engines]
    layout.prop(shot, "engine")
    if names and shot.engine not in names:
        layout.label(text=f"The server has {', '.join(names)}", icon="ERROR")
    for option in _options(shot):
        _draw_option(layout, shot, option)


def _options(shot):
    engine = next((one for one in pump.session.engines if one.get("name") == shot.engine), None)
    return engine.get("options", ()) if engine is not None else ()


def _draw_option(layout, shot, option):
    """An option has a row of its own once it was set; until then it shows its default."""
    name = str(option.get("name"))
    row = layout.row(align=True)
    if name in shot.engine_options:
        row.prop(shot.engine_options, f'["{name}"]', text=name.replace("_", " ").capitalize())
    else:
        row.label(text=f"{name.replace('_', ' ').capitalize()}: {option.get('default')}")
    toggle = row.operator("platelight.option", text="", icon="X" if name in shot.engine_options else "GREASEPENCIL")
    toggle.name = name


def draw_more(layout, context):
    """What is folded: frames, light, the other dials, delivery."""
    shot = active_shot(context.scene)
    if shot is None:
        return
    column = layout.column()
    column.prop(shot, "range_kind")
    if shot.range_kind == "OWN":
        row = column.row(align=True)
        row.prop(shot, "frame_first")
        row.prop(shot, "frame_last")
    column.prop(shot, "missing")
    for name in (
        "use_lights",
        "lights_collection",
        "use_world",
        "world_rotation",
        "world_exposure",
        "probe_plate_path",
    ):
        column.prop(shot, name)
    for name in shot.look.bl_rna.properties.keys():  # noqa: SIM118  (iterating gives properties, not names)
        if name not in (*FIRST_DIALS, "rna_type", "name"):
            column.prop(shot.look, name)
    for name in ("background_exposure", "background_fit", "background_offset", "matte_invert"):
        column.prop(shot, name)
    for name in ("output_directory", "output_compression", "output_depth"):
        column.prop(shot, name)
    column.label(text="Layers")
    flow = column.grid_flow(columns=2, align=True)
    flow.prop(shot, "output_layers")


def draw_jobs(layout, context):
    """The jobs that this Blender knows of, the newest first."""
    jobs = list(pump.session.jobs.values())
    if not jobs:
        layout.label(text="No jobs yet")
    for view in reversed(jobs):
        _draw_job(layout, view)


def _draw_job(layout, view):
    status = view.status
    row = layout.row(align=True)
    name = view.name or view.id
    if status is None:
        row.label(text=view.trouble or name, icon="TIME")
        return
    left = f" {status.seconds_left:.0f} s" if status.seconds_left and not view.ended else ""
    wish = f" ({status.wish})" if status.wish else ""
    text = f"{name} {status.done}/{status.total}{left}{wish}"
    row.label(text="", icon=STATES.get(status.state, "QUESTION"))
    row.progress(factor=view.share, type="BAR", text=text)
    actions = {
        "queued": ("pause", "cancel"),
        "preparing": ("cancel",),
        "running": ("pause", "cancel"),
        "paused": ("resume", "cancel"),
    }
    for action in actions.get(status.state, ("retry", "forget") if status.state != "done" else ("forget",)):
        icon = {"pause": "PAUSE", "cancel": "X", "resume": "PLAY", "retry": "FILE_REFRESH", "forget": "TRASH"}[action]
        button = row.operator("platelight.job", text="", icon=icon)
        button.job, button.action = view.id, action
    if status.text and status.state in ("failed", "partial"):
        _draw_sentence(layout, None, status.text, "", True)


def draw_header(self, context):
    """The running jobs in the header, as a ring."""
    running = [view for view in pump.session.jobs.values() if not view.ended and view.status is not None]
    if running:
        share = sum(view.share for view in running) / len(running)
        self.layout.progress(factor=share, type="RING", text=f"{share:.0%}")


class PLATELIGHT_OT_option(bpy.types.Operator):
    """Sets this option of the engine for the shot, or goes back to the engine's default"""

    bl_idname = "platelight.option"
    bl_label = "Engine Option"
    bl_options = {"REGISTER", "UNDO"}

    name: bpy.props.StringProperty(name="Name", description="The option")

    def execute(self, context):
        shot = active_shot(context.scene)
        option = next((one for one in _options(shot) if one.get("name") == self.name), None) if shot else None
        if option is None:
            self.report({"ERROR"}, f"The engine has no option {self.name}.")
            return {"CANCELLED"}
        held = shot.engine_options
        if self.name in held:
            del held[self.name]
            return {"FINISHED"}
        held[self.name] = option["default"] if option["default"] != [] else ""
        limits = {"description": str(option.get("description", ""))}
        if option.get("kind") in ("int", "float"):
            limits |= {end: option[f"{end}imum"] for end in ("min", "max") if option.get(f"{end}imum") is not None}
        held.id_properties_ui(self.name).update(**limits)
        return {"FINISHED"}


def _panel(editor, space, suffix, label, draw, closed=False, parent=""):
    """One panel class for an editor: Blender ties a panel to one kind of space."""
    body = {
        "bl_space_type": space,
        "bl_label": label,
        "bl_idname": f"PLATELIGHT_PT_{editor}_{suffix}",
        "bl_options": {"DEFAULT_CLOSED"} if closed else set(),
        "draw": lambda self, context: draw(self.layout, context),
        "__doc__": label,
    }
    if parent:
        body["bl_parent_id"] = f"PLATELIGHT_PT_{editor}_{parent}"
    return type(body["bl_idname"], (_Tab, bpy.types.Panel), body)


SPACES = (("node", "NODE_EDITOR"), ("clip", "CLIP_EDITOR"), ("strip", "SEQUENCE_EDITOR"))
CLASSES = (
    PLATELIGHT_OT_option,
    *(
        _panel(editor, space, *rest)
        for editor, space in SPACES
        for rest in (
            ("main", "Platelight", draw_main),
            ("dials", "Look", draw_dials, False, "main"),
            ("more", "More", draw_more, True, "main"),
            ("jobs", "Jobs", draw_jobs, False, "main"),
        )
    ),
)
HEADERS = ("NODE_HT_header", "CLIP_HT_header")


def register() -> None:
    """Adds the tab and the ring in the headers."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for name in HEADERS:
        getattr(bpy.types, name).append(draw_header)


def unregister() -> None:
    """Takes them away."""
    for name in HEADERS:
        getattr(bpy.types, name).remove(draw_header)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
