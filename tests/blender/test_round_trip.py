"""The whole way in a real Blender: a shot is gathered, sent to a real server, previewed, relit, and shown as nodes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")
from tests.blender.making import read_exr  # noqa: E402
from tests.blender.serving import DEMO, WAIT_S, drawn, needs_server  # noqa: E402

SEEN = 0.05  # of scene-linear light, at an edge that has moved
LIVE_S = 0.4  # from the drag to the picture, on two cores


@pytest.fixture
def shot(demo: object) -> object:
    return demo


def test_registering_twice_leaves_nothing_behind(addon: object) -> None:
    for _ in range(2):
        addon.unregister()  # type: ignore[attr-defined]
        assert not hasattr(bpy.types.Scene, "platelight")
        assert not hasattr(bpy.types, "PLATELIGHT_PT_node_main")
        addon.register()  # type: ignore[attr-defined]
    assert hasattr(bpy.types, "PLATELIGHT_PT_node_main")


def test_every_operator_and_panel_describes_itself(addon: object) -> None:
    names = [name for name in dir(bpy.ops.platelight) if not name.startswith("_")]
    assert len(names) >= 11
    for name in names:
        rna = getattr(bpy.ops.platelight, name).get_rna_type()
        assert rna.description and rna.name, name
        for key, item in rna.properties.items():
            assert key == "rna_type" or item.description, f"{name}.{key}"


def test_panels_draw_without_a_shot_and_without_a_server(addon: object) -> None:
    from platelight_addon import panels

    said = drawn(panels.draw_main)
    assert "platelight.add_shot" in said and "platelight.start_server" in said
    for draw in (panels.draw_dials, panels.draw_more, panels.draw_jobs):
        drawn(draw)


def test_without_a_server_it_is_one_sentence(shot: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLATELIGHT_HOME", str(tmp_path / "nobody"))
    with pytest.raises(RuntimeError, match="no server is running here; start one with: platelight serve"):
        bpy.ops.platelight.relight(wait=True, timeout=1.0)


def test_an_input_that_is_missing_is_one_sentence(shot: object) -> None:
    shot.matte_path = "/nowhere/matte.1001.exr"  # type: ignore[attr-defined]
    from platelight_addon import panels

    said = " ".join(drawn(panels.draw_main))
    assert "there is no folder /nowhere" in said and "platelight.fix" in said


@needs_server
def test_preview_relight_and_nodes(server: None, shot: object, tmp_path: Path) -> None:
    from platelight_addon import panels, pump, results
    from platelight_addon.desk import desk, key_of

    scene = bpy.context.scene
    assert bpy.ops.platelight.preview(wait=True) == {"FINISHED"}
    image = bpy.data.images["Platelight preview sh010"]
    assert tuple(image.size) == (480, 270)
    assert max(image.pixels[:4000]) > 0
    assert bpy.ops.platelight.relight(wait=True, timeout=WAIT_S) == {"FINISHED"}
    folder = tmp_path / "platelight" / "sh010" / "v001"
    assert len(list(folder.glob("sh010.[0-9]*.exr"))) == 12
    assert (shot.version, len(shot.job)) == (1, 16)  # type: ignore[attr-defined]
    group = results.find_group(key_of(scene, shot))
    assert group is not None and results.status_of(group).missing == ""
    assert not desk.is_stale(scene, shot)
    shot.look.exposure_stops = 0.5  # type: ignore[attr-defined]
    desk.read(scene, shot)
    assert desk.is_stale(scene, shot)
    said = " ".join(drawn(panels.draw_main))
    assert "stale" in said and "outside the matte" in said
    pump.wait_until(lambda: bool(pump.session.engines), 10)
    assert "Engine: classic" in drawn(panels.draw_dials) and any("12/12" in text for text in drawn(panels.draw_jobs))
    assert bpy.ops.platelight.option(name="shadow") == {"FINISHED"}
    assert shot.engine_options["shadow"] in (True, 1)  # type: ignore[attr-defined]
    drawn(panels.draw_dials)
    assert bpy.ops.platelight.connect() == {"FINISHED"}
    assert bpy.ops.platelight.relight(wait=True, timeout=WAIT_S) == {"FINISHED"}
    assert len(list((folder.parent / "v002").glob("sh010.[0-9]*.exr"))) == 12
    assert len(list(folder.glob("sh010.[0-9]*.exr"))) == 12  # the first version stays


@needs_server
def test_picked_grey_card_and_preserved_detail_reach_the_picture(server: None, shot: object) -> None:
    from platelight_addon import pump

    def pixels() -> list[float]:
        assert bpy.ops.platelight.preview(wait=True) == {"FINISHED"}
        return list(bpy.data.images["Platelight preview sh010"].pixels)

    seen = [pixels()]
    assert pump.wait_until(lambda: bool(pump.session.engines), 20)
    assert bpy.ops.platelight.pick(option="grey_card", frame=1, x=0.5, y=0.1, size=0.02) == {"FINISHED"}
    seen.append(pixels())
    shot.look.preserve_detail = 1.0  # type: ignore[attr-defined]
    seen.append(pixels())
    assert seen[0] != seen[1] != seen[2]


@needs_server
def test_live_follows_a_lamp(server: None, shot: object) -> None:
    from platelight_addon import pump
    from platelight_addon.desk import desk

    assert bpy.ops.platelight.preview(wait=True) == {"FINISHED"}
    assert bpy.ops.platelight.live() == {"FINISHED"}
    key, lamp, took = desk.live, bpy.data.objects["Light"], []
    for _ in range(6):
        count = desk.previews[key]
        lamp.location.x += 0.5
        bpy.context.view_layer.update()
        began = time.perf_counter()
        assert pump.wait_until(lambda count=count: desk.previews[key] > count, 10), desk.said
        took.append(time.perf_counter() - began)
    assert bpy.ops.platelight.live() == {"FINISHED"} and desk.live == ""
    assert sorted(took)[len(took) // 2] < LIVE_S, took


@needs_server
def test_jobs_are_followed_again_after_a_file_was_loaded(server: None, shot: object, tmp_path: Path) -> None:
    from platelight_addon import pump

    assert bpy.ops.platelight.relight(wait=True, timeout=WAIT_S) == {"FINISHED"}
    job = shot.job  # type: ignore[attr-defined]
    bpy.ops.wm.save_mainfile()
    pump.session.jobs.clear()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "Schuß 1.blend"))
    assert pump.wait_until(lambda: job in pump.session.jobs and pump.session.jobs[job].status is not None, 10)
    assert pump.session.jobs[job].ended
    assert bpy.ops.platelight.show_result() == {"FINISHED"}


@needs_server
def test_cancel_keeps_what_is_finished(server: None, shot: object) -> None:
    from platelight_addon import pump
    from platelight_addon.desk import desk

    desk.turn()
    assert pump.wait_until(lambda: pump.session.is_up, 10)
    assert bpy.ops.platelight.relight() == {"FINISHED"}
    assert pump.wait_until(lambda: bool(shot.job), 30)  # type: ignore[attr-defined]
    job = shot.job  # type: ignore[attr-defined]
    assert bpy.ops.platelight.job(job=job, action="cancel") == {"FINISHED"}
    assert pump.wait_until(lambda: pump.session.jobs[job].ended, 30)
    assert pump.session.jobs[job].status.state in ("cancelled", "done")


@needs_server
def test_submit_returns_at_once_and_a_turn_is_short(server: None, shot: object) -> None:
    from platelight_addon import pump
    from platelight_addon.desk import desk

    desk.turn()
    assert pump.wait_until(lambda: pump.session.is_up, 10)
    idle = []
    for _ in range(100):
        began = time.perf_counter()
        pump.turn()
        idle.append(time.perf_counter() - began)
        time.sleep(0.01)
    assert sorted(idle)[98] < 0.02  # 5 ms on a quiet machine; a busy one takes its time
    began = time.perf_counter()
    assert bpy.ops.platelight.relight() == {"FINISHED"}
    assert time.perf_counter() - began < 0.3
    job_known = pump.wait_until(lambda: bool(shot.job), 30)  # type: ignore[attr-defined]
    assert job_known and pump.wait_until(lambda: pump.session.jobs[shot.job].ended, WAIT_S)  # type: ignore[attr-defined]


@needs_server
def test_a_still_is_carried_by_the_camera(server: None, shot: object, tmp_path: Path) -> None:
    """Seen from its first frame it stands where it stood; later the camera shows another part of it."""
    shot.camera_kind, shot.camera_path = "FILE", str(DEMO / "camera.json")  # type: ignore[attr-defined]
    still = sorted((DEMO / "background").iterdir())[0]
    assert bpy.ops.platelight.fix(input="background", filepath=str(shutil.copy(still, tmp_path / "still.exr")))
    shot.range_kind, shot.frame_first, shot.frame_last = "OWN", 1, 12  # type: ignore[attr-defined]
    behind = []
    for move in ("fixed", "camera"):
        shot.background_move, shot.background_depth = move, "distance"  # type: ignore[attr-defined]
        assert bpy.ops.platelight.relight(wait=True, timeout=WAIT_S) == {"FINISHED"}
        folder = tmp_path / "platelight" / "sh010" / f"v{shot.version:03d}"  # type: ignore[attr-defined]
        behind.append([read_exr(folder / f"sh010.{number}.exr")["background.G"] for number in (1001, 1012)])
    (fixed_first, fixed_last), (moved_first, moved_last) = behind
    assert np.array_equal(fixed_first, fixed_last) and np.array_equal(fixed_first, moved_first)
    assert np.abs(moved_last - fixed_last).max() > SEEN
