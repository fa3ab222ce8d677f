"""The whole way in a real Blender: a shot is gathered, sent to a real server, previewed, relit, and shown as nodes.

The server runs in a Python of its own, named by `PLATELIGHT_PYTHON`; `tests.blender.matrix` sets it.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

bpy = pytest.importorskip("bpy")
PYTHON = os.environ.get("PLATELIGHT_PYTHON", "")
ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "server" / "platelight_server" / "demo_shot"
WAIT_S = 120.0
LIVE_S = 0.4  # from the drag to the picture, on two cores
needs_server = pytest.mark.skipif(not PYTHON, reason="PLATELIGHT_PYTHON names no Python with the server")


def serve(home: Path) -> subprocess.Popen[str]:
    """A server with a home of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    process = subprocess.Popen(
        [PYTHON, "-m", "platelight_server.cli", "serve", "--home", str(home)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, env=clean,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline().startswith("serving on ")
    return process


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(20)
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blender") / "home"


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[None]:
    process = serve(home)
    yield
    stop(process)


@pytest.fixture
def addon(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """The extension, registered in a fresh Blender."""
    monkeypatch.setenv("PLATELIGHT_HOME", str(home))
    import platelight_addon

    bpy.ops.wm.read_homefile(use_empty=False, use_factory_startup=True)
    platelight_addon.register()
    yield platelight_addon
    platelight_addon.unregister()
    from platelight_addon import pump
    from platelight_addon.desk import desk

    desk.forget_file()
    pump.session.__init__()  # the next test begins without jobs


@pytest.fixture
def shot(addon: object, tmp_path: Path) -> object:
    """The demo's shot in a saved .blend."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "Schuß 1.blend"))
    bpy.data.movieclips.load(str(DEMO / "plate" / "plate.1001.exr"))
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 12
    scene.frame_set(3)
    assert bpy.ops.platelight.add_shot(name="sh010") == {"FINISHED"}
    made = scene.platelight.shots[0]
    made.matte_kind, made.matte_path = "FILE", str(sorted((DEMO / "matte").iterdir())[0])
    made.background_kind = "SEQUENCE"
    image = bpy.data.images.load(str(sorted((DEMO / "background").iterdir())[0]))
    image.source, made.background_image = "SEQUENCE", image
    made.use_world = False
    return made


def drawn(draw: object) -> list[str]:
    from tests.blender.fake_layout import FakeLayout

    layout = FakeLayout()
    draw(layout, bpy.context)  # type: ignore[operator]
    return layout.said


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
    assert "matte" in said.lower()


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
    desk.read(scene, shot, fresh=True)
    assert desk.is_stale(scene, shot)
    said = " ".join(drawn(panels.draw_main))
    assert "stale" in said and "outside the matte" in said
    pump.wait_until(lambda: bool(pump.session.engines), 10)
    assert "engine" in drawn(panels.draw_dials) and any("12/12" in text for text in drawn(panels.draw_jobs))
    assert bpy.ops.platelight.option(name="shadow") == {"FINISHED"}
    assert shot.engine_options["shadow"] in (True, 1)  # type: ignore[attr-defined]
    drawn(panels.draw_dials)
    assert bpy.ops.platelight.connect() == {"FINISHED"}
    assert bpy.ops.platelight.relight(wait=True, timeout=WAIT_S) == {"FINISHED"}
    assert len(list((folder.parent / "v002").glob("sh010.[0-9]*.exr"))) == 12
    assert len(list(folder.glob("sh010.[0-9]*.exr"))) == 12  # the first version stays


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
