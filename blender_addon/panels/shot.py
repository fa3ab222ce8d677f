"""The first page: the server, the shot, its inputs as badges, and the next step."""

from __future__ import annotations

from .. import pump, results
from ..core import InputError
from ..desk import desk, job_of, key_of
from ..engine_options import engine_of, option_of
from ..offers import FILE, INPUTS, at_once, offers
from ..settings import active_shot
from .options import draw_option
from .server import draw_server
from .text import draw_sentence

ENDED = ("done", "partial", "failed", "cancelled")
# What an input without anything amounts to, in a word; the ground and lights are no inputs that a shot lacks.
WITHOUT = {"matte": "none", "background": "the plate's", "camera": "none", "light": "none", "ground": "none"}
# The settings of an advice as this panel has them: keys of the recipe -> settings of the shot.
SETTINGS = {"probe_plate.path": "probe_plate_path", "plate.colorspace": "plate_clip"}


def draw_main(layout, context):
    """Server, shot, inputs, the next step."""
    draw_server(layout)
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
    found = desk.shown(context.scene, shot)
    for badge in found.badges:
        _draw_badge(layout, context.scene, shot, badge)
    stops = [problem for problem in found.problems if problem.level == "stop"]
    # One thing at a time: what keeps the shot from being sent comes alone, what is only worth knowing comes after it.
    for problem in stops[:1] or found.problems[:3]:
        draw_sentence(layout, shot, problem.text, problem.fix, problem.level == "stop")
    _draw_steps(layout, context.scene, shot, found.recipe is not None)


def _draw_badge(layout, scene, shot, badge):
    """An input: a tick and what is known of it, or a cross with the button that puts it right."""
    title = badge.name.capitalize()
    if badge.state == "ok" or badge.name not in INPUTS:
        icon = "CHECKMARK" if badge.state == "ok" else "ERROR" if badge.state == "missing" else "REMOVE"
        text = badge.text or (WITHOUT.get(badge.name, "") if badge.state != "ok" else "")
        layout.label(text=f"{title}: {text}".rstrip(": "), icon=icon)
        return
    row = layout.split(factor=0.46, align=True)
    row.alert = badge.state == "missing"
    row.label(text=title, icon="ERROR" if badge.state == "missing" else "X")
    found = offers(badge.name, scene, shot)
    offer = at_once(badge.name, found)
    if offer is None and len(found) > 1:
        row.menu(f"PLATELIGHT_MT_fix_{badge.name}", text=f"Choose {title}")
        return
    side = row.row(align=True)
    draw_offer(side, badge.name, offer or found[-1])
    if len(found) > 1:
        side.menu(f"PLATELIGHT_MT_fix_{badge.name}", text="", icon="DOWNARROW_HLT")


def draw_offer(layout, name, offer):
    """The button that takes an offer; it says what it will do."""
    layout.operator_context = "INVOKE_DEFAULT"  # a file is asked for
    button = layout.operator("platelight.fix", text=offer.label, icon="FILE_FOLDER" if offer.key == FILE else "NONE")
    button.input, button.choice = name, offer.key


def _draw_steps(layout, scene, shot, ready):
    key, status, engine = key_of(scene, shot), job_of(shot), engine_of(shot)
    column = layout.column()
    steps = column.column()
    steps.enabled = ready and pump.session.is_up
    row = steps.row(align=True)
    preview = row.row(align=True)
    preview.enabled = engine is None or bool(engine.get("previews", True))
    preview.operator("platelight.preview", icon="IMAGE_DATA")
    live = desk.live == key
    preview.operator("platelight.live", text="Live", icon="REC" if live else "RADIOBUT_OFF", depress=live)
    row.operator("platelight.show_preview", text="", icon="WINDOW")
    running = status is not None and status.state not in ENDED
    steps.operator("platelight.relight", text="Relight Again" if running else "Relight", icon="LIGHT_SUN")
    if key in desk.drawings:
        row = column.row(align=True)
        row.label(text=desk.drawings[key].words, icon="RENDER_STILL")
        row.operator("platelight.stop_rendering", text="", icon="X")
    elif shot.background_kind == "CAMERA_VIEW":
        column.operator("platelight.render_view", icon="RENDER_ANIMATION")
    if key in desk.said:
        draw_sentence(layout, shot, desk.said[key], stops=True)
    if shot.version:
        _draw_result(layout, scene, shot)


def _draw_result(layout, scene, shot):
    """What came back: its version, whether it is stale, what is missing of it, and its proof."""
    stale = desk.is_stale(scene, shot)
    known = "stale" if stale else "current" if shot.recipe_hash else "found on the server"
    layout.label(text=f"Result v{shot.version:03d} is {known}", icon="FILE_REFRESH" if stale else "CHECKMARK")
    row = layout.row(align=True)
    row.operator("platelight.show_result", text="Show", icon="NODETREE")
    row.operator("platelight.connect", text="Connect", icon="LINKED")
    group = results.find_group(key_of(scene, shot))
    if group is not None:
        status = results.status_of(group)
        for text in filter(None, (status.missing, *status.notes)):
            draw_sentence(layout, shot, text)
    view = pump.session.jobs.get(shot.job)
    if view is None or view.result is None:
        return
    for text in view.result.said:
        draw_sentence(layout, shot, text)
    for advice in view.result.advice:
        draw_advice(layout, shot, advice)


def draw_advice(layout, shot, advice):
    """A sentence of the proof that settings can change, with those settings under it."""
    draw_sentence(layout, shot, f"{advice.text[:1].upper()}{advice.text[1:]}. Correct it with:")
    column = layout.column(align=True)
    for key in advice.settings:
        part, _, name = key.partition(".")
        if part == "look" and name in shot.look.bl_rna.properties:
            column.prop(shot.look, name)
        elif part == "engine":
            _draw_pick(column, shot, name.removeprefix("options."))
        elif key in SETTINGS:
            column.prop(shot, SETTINGS[key])


def _draw_pick(layout, shot, name):
    try:
        draw_option(layout, shot, option_of(shot, name))
    except InputError:  # no server has described the engine yet
        layout.label(text=name)
