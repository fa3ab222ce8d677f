"""What the panels, headers and menus say, drawn into a layout that looks everything up in Blender."""

from __future__ import annotations

from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from tests.blender.fake_layout import FakeLayout  # noqa: E402
from tests.blender.making import FIRST, make_clip, make_plate  # noqa: E402
from tests.blender.serving import drawn as said  # noqa: E402

ENGINE = {
    "name": "classic",
    "summary": "Relights by spherical harmonics",
    "sampled_frames": 4,
    "licences": [{"model": "m", "licence": "research", "commercial": False}],
    "options": [
        {"name": "guess", "kind": "choice", "default": "auto", "choices": ["auto", "off"], "description": "guesses"},
        {"name": "grey_card", "kind": "floats", "default": [], "description": "a card", "minimum": 0,
         "parts": ["frame", "x", "y", "size"]},
        {"name": "weights", "kind": "floats", "default": [1, 2], "description": "two numbers", "parts": ["a", "b"]},
        {"name": "distance_m", "kind": "float", "default": 0.0, "description": "far", "minimum": 0, "maximum": 9,
         "unit": "m"},
        {"name": "steps", "kind": "int", "default": 4, "description": "steps", "minimum": 1},
        {"name": "shadow", "kind": "bool", "default": True, "description": "casts"},
        {"name": "note", "kind": "text", "default": "", "description": "words"},
    ],
}  # fmt: skip


@pytest.fixture
def shot(addon: object, tmp_path: Any) -> Any:
    """A shot whose engine a server has described."""
    from platelight_addon import pump

    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    make_clip(make_plate(tmp_path / "plate"), solved=0)
    assert bpy.ops.platelight.add_shot(name="sh010") == {"FINISHED"}
    pump.session.engines = [ENGINE]
    return bpy.context.scene.platelight.shots[0]


def view_of(state: str = "running", **more: Any) -> Any:
    """A job as the session holds it."""
    from platelight_addon.platelight.messages import JobStatus
    from platelight_addon.session import JobView

    status = JobStatus("0" * 16, "sh010", state, "1001-1008", total=8, done=2, **more)  # type: ignore[arg-type]
    return JobView(status.job, "sh010", "", status)


# ---- headers and menus


@pytest.mark.parametrize("header", ["NODE_HT_header", "CLIP_HT_header", "SEQUENCER_HT_header"])
def test_jobs_are_in_the_headers_of_all_three_editors(addon: object, header: str) -> None:
    from platelight_addon import pump
    from platelight_addon.panels.header import DRAWERS, HEADERS

    assert DRAWERS[header] in getattr(bpy.types, header).draw._draw_funcs
    layout = FakeLayout()
    DRAWERS[header](type("Header", (), {"layout": layout}), bpy.context)
    assert layout.said == []
    pump.session.jobs["0" * 16] = view_of()
    DRAWERS[header](type("Header", (), {"layout": layout}), bpy.context)
    assert layout.said == ["25%", HEADERS[header]]


def test_menus_of_all_three_editors_lead_to_every_operator(shot: Any) -> None:
    """F3 looks through these menus."""
    from platelight_addon.panels.menus import EDITORS, draw_entry

    for editor in EDITORS:
        assert draw_entry in getattr(bpy.types, editor).draw._draw_funcs, editor
    layout = FakeLayout()
    bpy.types.PLATELIGHT_MT_menu.draw(type("Menu", (), {"layout": layout}), bpy.context)
    operators = {name for name in dir(bpy.ops.platelight) if not name.startswith("_")}
    listed = {name.removeprefix("platelight.") for name in layout.said if name.startswith("platelight.")}
    of_a_job_or_option = {"job", "option", "engine", "pick", "fix", "screen_box", "remove_screen_box"}
    assert operators - listed == of_a_job_or_option
    assert "PLATELIGHT_MT_fix_matte" in layout.said
    for name in ("plate", "matte", "background", "camera"):
        inner = FakeLayout()
        getattr(bpy.types, f"PLATELIGHT_MT_fix_{name}").draw(type("Menu", (), {"layout": inner}), bpy.context)
        assert "platelight.fix" in inner.said


def test_unregistered_leaves_no_drawing_behind(addon: Any) -> None:
    from platelight_addon.panels.header import DRAWERS
    from platelight_addon.panels.menus import EDITORS, draw_entry

    addon.unregister()
    try:
        left = [name for name, draw in DRAWERS.items() if draw in getattr(bpy.types, name).draw._draw_funcs]
        left += [name for name in EDITORS if draw_entry in getattr(bpy.types, name).draw._draw_funcs]
        assert left == []
    finally:
        addon.register()


# ---- the first page


def test_server_row_has_version_device_and_memory(addon: object) -> None:
    from platelight_addon import pump
    from platelight_addon.core import ServerStatus
    from platelight_addon.panels.server import server_lines
    from platelight_addon.platelight.messages import WorkerStatus

    worker = WorkerStatus("render-0", "idle", "cuda:0", "NVIDIA H100", 80 << 30, 72 << 30)
    other = WorkerStatus("check-0", "busy", "cpu")
    pump.session.status = ServerStatus("tcp://gpu01:5577", "gpu01", "0.1.0", "e", (), 2, 0, (worker, other))
    assert server_lines(pump.session) == ["0.1.0 · NVIDIA H100 · 72.0 GB free", "gpu01: idle, 2 waiting"]


def test_a_panel_reads_nothing_itself(shot: Any) -> None:
    """Blender refuses changes while it draws, and what has keys is read in a scene made for a moment."""
    from platelight_addon.desk import NOTHING_YET, desk, key_of
    from platelight_addon.panels import draw_main

    scene = bpy.context.scene
    bpy.data.objects["Light"].keyframe_insert("location", frame=1)
    desk.forget_file()
    layout = FakeLayout()
    draw_main(layout, bpy.context)
    assert desk.shown(scene, shot) is NOTHING_YET and not any(text.startswith("Plate:") for text in layout.said)
    assert desk._wanted == {key_of(scene, shot)}
    desk.read_wanted()
    assert desk._wanted == set() and any(text.startswith("Plate:") for text in said(draw_main))


def test_reading_what_has_keys_is_no_change_to_the_handlers(shot: Any) -> None:
    from platelight_addon.desk import desk

    scene, told = bpy.context.scene, []
    bpy.data.objects["Light"].keyframe_insert("location", frame=1)
    scene.camera.keyframe_insert("location", frame=1)
    shot.camera_kind, shot.camera_object = "OBJECT", scene.camera
    desk.read(scene, shot)
    bpy.app.handlers.depsgraph_update_post.append(listener := lambda _, graph: told.extend(graph.updates))
    try:
        desk.memory.forget()
        desk.read(scene, shot)
        bpy.context.view_layer.update()
        assert told == []
        bpy.data.objects["Cube"].location.x += 1
        desk.read(scene, shot)  # what the artist did before is told all the same
        assert told != []
    finally:
        bpy.app.handlers.depsgraph_update_post.remove(listener)


def test_first_dials_are_strength_exposure_and_preserve_detail(shot: Any) -> None:
    from platelight_addon.panels import draw_dials, draw_more

    assert said(draw_dials)[:3] == ["strength", "exposure_stops", "preserve_detail"]
    assert not {"strength", "exposure_stops", "preserve_detail"} & set(said(draw_more))
    assert "contrast" in said(draw_more)


def test_inputs_show_what_their_kind_asks_for(shot: Any) -> None:
    from platelight_addon.panels import draw_inputs

    shot.matte_kind, shot.camera_kind = "CRYPTOMATTE", "OBJECT"
    drawn = said(draw_inputs)
    assert {"plate_clip", "matte_crypto_names", "matte_invert", "camera_object"} <= set(drawn)
    assert "matte_mask" not in drawn and "camera_clip" not in drawn


def test_the_keyers_dials_and_boxes_are_among_the_inputs(shot: Any) -> None:
    from platelight_addon.panels import draw_inputs

    shot.matte_kind = "KEY"
    drawn = said(draw_inputs)
    assert {"screen", "has_black", "white", "shade", "core", "platelight.screen_box"} <= set(drawn)
    assert not {"color", "black", "left", "matte_path"} & set(drawn)
    shot.keying.screen, shot.keying.has_black = "own", True
    assert bpy.ops.platelight.screen_box(kind="hold_out", box=(10, 20, 30, 40)) == {"FINISHED"}
    assert {"color", "black", "left", "platelight.remove_screen_box"} <= set(said(draw_inputs))
    (box,) = shot.keying.boxes
    assert (box.kind, box.left, box.top, box.right, box.bottom) == ("hold_out", 10, 20, 30, 40)
    with pytest.raises(RuntimeError, match=r"expected left < right and top < bottom, got 5, 5, 5, 9"):
        bpy.ops.platelight.screen_box(box=(5, 5, 5, 9))
    with pytest.raises(RuntimeError, match=r"expected one of 1, got 1"):
        bpy.ops.platelight.remove_screen_box(index=1)
    assert bpy.ops.platelight.remove_screen_box(index=0) == {"FINISHED"} and len(shot.keying.boxes) == 0


def test_a_screen_that_is_not_picked_yet_has_its_field_beside_the_sentence(shot: Any) -> None:
    from platelight_addon.panels import draw_main

    shot.matte_kind, shot.keying.screen = "KEY", "own"
    drawn = said(draw_main)
    assert any(text.startswith("The screen's color is grey") for text in drawn) and {"screen", "color"} <= set(drawn)


def test_a_still_can_move_only_where_there_is_a_camera(shot: Any) -> None:
    from platelight_addon.panels import draw_inputs

    shot.background_kind = "STILL"
    assert "background_move" not in said(draw_inputs)
    shot.camera_kind = "SOLVE"
    assert "background_move" in said(draw_inputs) and "background_depth" not in said(draw_inputs)
    shot.background_move, shot.background_depth = "camera", "distance"
    shot.background_reference_is_first = False
    assert {"background_depth", "background_distance", "background_reference"} <= set(said(draw_inputs))
    shot.camera_kind = "NONE"
    assert "background_move" in said(draw_inputs)


def test_advice_is_given_with_the_panels_own_dials(shot: Any) -> None:
    from platelight_addon import pump
    from platelight_addon.panels import draw_main
    from platelight_addon.platelight.messages import Advice, JobResult

    view = view_of("done")
    advice = Advice(
        "the level of the light is a guess", ("look.exposure_stops", "engine.grey_card", "probe_plate.path")
    )
    view.result = JobResult(said=("outside the matte: bit-exact",), advice=(advice,))
    pump.session.jobs[view.id] = view
    shot.job, shot.version, shot.recipe_hash = view.id, 1, "x"
    drawn = said(draw_main)
    begin = next(i for i, text in enumerate(drawn) if text.startswith("The level of the light"))
    assert {"exposure_stops", "platelight.pick", "probe_plate_path"} <= set(drawn[begin:])
    assert "--set" not in " ".join(drawn)


# ---- jobs and queue


def test_jobs_have_time_left_and_buttons(addon: object) -> None:
    from platelight_addon import pump
    from platelight_addon.panels import draw_jobs

    pump.session.jobs["0" * 16] = view_of(seconds_left=754.0)
    assert said(draw_jobs) == ["", "sh010 2/8, 13 min", "platelight.job", "", "platelight.job", ""]


def test_queue_shows_whose_turn_it_is_and_has_no_buttons(addon: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from platelight_addon import pump
    from platelight_addon.panels import draw_queue
    from platelight_addon.session import Session

    monkeypatch.setattr(Session, "is_up", True)
    mine = view_of()
    pump.session.jobs[mine.id] = mine
    theirs = type(mine.status)("1" * 16, "sh020", "queued", "1-4", total=4, position=1, client="ada@ws7")
    pump.session.queue = (mine.status, theirs)
    assert said(draw_queue) == ["sh010 · this Blender", "2/8", "2. sh020 · ada@ws7", "0/4"]


# ---- the engine's options


def test_options_of_every_kind_are_drawn_set_and_unset(shot: Any) -> None:
    from platelight_addon.panels import draw_dials

    drawn = said(draw_dials)
    assert "m: not for commercial use" in drawn and "Grey card: none" in drawn and "Shadow: yes" in drawn
    for option in ENGINE["options"]:
        if option["kind"] != "choice":
            assert bpy.ops.platelight.option(name=option["name"]) == {"FINISHED"}
    drawn = said(draw_dials)
    assert drawn.count('["grey_card"]') == 4 and drawn.count('["weights"]') == 2 and '["distance_m"]' in drawn
    limits = shot.engine_options.id_properties_ui("distance_m").as_dict()
    assert (limits["min"], limits["max"], limits["description"]) == (0, 9, "far")
    for option in ENGINE["options"]:
        if option["kind"] != "choice":
            assert bpy.ops.platelight.option(name=option["name"]) == {"FINISHED"}
    assert list(shot.engine_options.keys()) == []


def test_options_are_set_from_text(shot: Any) -> None:
    from platelight_addon.gather.shot import options_of

    for name, value in (("guess", "off"), ("weights", "0.5, 3"), ("steps", "7"), ("shadow", "false"), ("note", "hi")):
        assert bpy.ops.platelight.option(name=name, value=value) == {"FINISHED"}
    assert options_of(shot.engine_options) == {
        "guess": "off", "weights": (0.5, 3.0), "steps": 7, "shadow": False, "note": "hi",
    }  # fmt: skip
    for name, value, expected in (
        ("guess", "on", "one of auto, off"),
        ("steps", "x", "int"),
        ("weights", "a", "floats"),
    ):
        with pytest.raises(RuntimeError, match=f"{name}: expected {expected}, got '{value}'"):
            bpy.ops.platelight.option(name=name, value=value)
    with pytest.raises(RuntimeError, match="has no option gone: it has guess, grey_card"):
        bpy.ops.platelight.option(name="gone")


def test_engine_is_one_that_the_server_has(shot: Any) -> None:
    assert bpy.ops.platelight.engine(name="classic") == {"FINISHED"}
    with pytest.raises(RuntimeError, match="The server has no engine 'other': it has classic"):
        bpy.ops.platelight.engine(name="other")


def test_a_grey_card_is_picked_from_a_script(shot: Any) -> None:
    assert bpy.ops.platelight.pick(option="grey_card", frame=3, x=0.25, y=0.75, size=0.1) == {"FINISHED"}
    assert list(shot.engine_options["grey_card"]) == pytest.approx([FIRST + 2, 0.25, 0.75, 0.1])
    bpy.context.scene.frame_set(8)
    assert bpy.ops.platelight.pick(option="grey_card") == {"FINISHED"}
    assert shot.engine_options["grey_card"][0] == FIRST + 7
    with pytest.raises(RuntimeError, match=r"the engine looks at the scene's frames 1, 3, 6, 8 and not at 2"):
        bpy.ops.platelight.pick(option="grey_card", frame=2)
    with pytest.raises(RuntimeError, match="weights: it is no place in the plate"):
        bpy.ops.platelight.pick(option="weights", frame=1)


def test_a_place_in_the_data_window_is_told_in_the_display_window() -> None:
    from platelight_addon.gather.pictures import Header
    from platelight_addon.operators.picking import share_of

    header = Header(100, 50, 10, 20, 40, 10, 1.0, "")
    assert share_of(0.0, 1.0, header) == (0.1, 0.4)
    assert share_of(1.0, 0.0, header) == (0.5, 0.6)
    assert share_of(0.25, 0.25, None) == (0.25, 0.75)


# ---- the preview's editors


def test_an_empty_image_editor_takes_the_preview(addon: object) -> None:
    from platelight_addon import preview_editors
    from platelight_addon.desk import desk

    areas = bpy.context.window_manager.windows[0].screen.areas[:3]
    for area in areas:
        area.type = "IMAGE_EDITOR"
    own, older = (bpy.data.images.new(name, 8, 8) for name in ("artist's", "Platelight preview sh000"))
    new = bpy.data.images.new("Platelight preview sh010", 8, 8)
    areas[0].spaces.active.image, areas[1].spaces.active.image, areas[2].spaces.active.image = None, older, own
    desk.previews["Scene\nsh010"] = 1
    preview_editors.turn()
    assert [area.spaces.active.image for area in areas] == [new, new, own]
    areas[0].spaces.active.image = None
    preview_editors.turn()  # the same preview again changes nothing
    assert areas[0].spaces.active.image is None
    areas[1].spaces.active.image = own
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        preview_editors.show_in_window(bpy.context, new)  # the button takes the empty one first
    assert [area.spaces.active.image for area in areas] == [new, own, own]
    desk.previews.clear()
