"""Jobs that this Blender did not send, or forgot, are found on a real server again, and their frames appear."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from tests.blender.serving import WAIT_S, drawn, needs_server, serve, stop  # noqa: E402

pytestmark = needs_server
FRAMES = 4


@pytest.fixture
def shot(demo: Any) -> Any:
    """The demo's first frames."""
    demo.range_kind, demo.frame_last = "OWN", FRAMES
    return demo


@pytest.fixture
def other(server: None, addon: object) -> Iterator[Any]:
    """Another Blender's session with the same server."""
    from platelight_addon.preferences import aimed
    from platelight_addon.session import Session

    session = Session()
    session.aim(*aimed())
    yield session
    session.close()


def until(condition: Any, *sessions: Any, timeout_s: float = 30.0) -> bool:
    """Turns this Blender and others until something holds."""
    from platelight_addon import pump

    def turned() -> bool:
        for one in sessions:
            one.pump()
        return bool(condition())

    return pump.wait_until(turned, timeout_s)


def sent(session: Any, shot: Any) -> str:
    """The job that another session sends for the shot, as it is gathered here."""
    from platelight_addon.desk import desk

    found = desk.read(bpy.context.scene, shot)
    views: list[Any] = []
    assert until(lambda: session.is_up, session)
    session.submit(found.recipe, found.base, "", uuid.uuid4().hex, lambda view, error: views.append(view or error))
    assert until(lambda: views, session)
    job: str = views[0].id
    return job


def is_shown(shot: Any) -> bool:
    """Whether the shot's nodes show all frames of its version."""
    from platelight_addon import results
    from platelight_addon.desk import key_of

    group = results.find_group(key_of(bpy.context.scene, shot))
    status = results.status_of(group) if group is not None else None
    return status is not None and not status.missing and status.title == f"sh010 v{shot.version:03d}"


def test_a_job_is_found_though_the_file_was_not_saved_after_it(server: None, shot: Any) -> None:
    from platelight_addon import pump

    path = bpy.data.filepath
    bpy.ops.wm.save_mainfile()
    assert bpy.ops.platelight.relight(wait=True, timeout=WAIT_S) == {"FINISHED"}
    job = shot.job
    pump.session.jobs.clear()
    bpy.ops.wm.open_mainfile(filepath=path)  # as after a crash: the .blend knows of no job
    shot = bpy.context.scene.platelight.shots[0]
    assert (shot.job, shot.version) == ("", 0)
    assert until(lambda: shot.job == job and is_shown(shot), timeout_s=WAIT_S)
    assert shot.version == 1


def test_a_job_of_another_blender_is_adopted_and_its_frames_appear(other: Any, shot: Any) -> None:
    assert until(lambda: True)
    job = sent(other, shot)
    assert until(lambda: shot.job == job, other, timeout_s=WAIT_S)
    assert until(lambda: is_shown(shot), other, timeout_s=WAIT_S)
    assert shot.version == 1
    said = " ".join(drawn(_main))
    assert "Result v001 is found on the server" in said


def test_a_file_that_shows_its_result_already_is_not_touched(server: None, shot: Any) -> None:
    from platelight_addon import compat

    assert bpy.ops.platelight.relight(wait=True, timeout=WAIT_S) == {"FINISHED"}
    tree = compat.compositor_tree(bpy.context.scene)
    tree.nodes.remove(next(node for node in tree.nodes if node.bl_idname == "CompositorNodeGroup"))
    group = next(one for one in bpy.data.node_groups if one.get("platelight_shot"))
    group.use_fake_user = True
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    from platelight_addon.desk import desk

    shot = bpy.context.scene.platelight.shots[0]
    assert until(lambda: shot.job in desk.plans)
    assert until(lambda: len(_view(shot).delivered) == FRAMES)
    until(lambda: False, timeout_s=1.5)  # longer than results take to be shown
    tree = compat.compositor_tree(bpy.context.scene)
    assert not [node for node in tree.nodes if node.bl_idname == "CompositorNodeGroup"]


def test_jobs_of_others_are_listed_and_left_alone(other: Any, shot: Any) -> None:
    from platelight_addon import pump
    from platelight_addon.panels import draw_queue

    shot.output_directory = "//elsewhere/"
    job = sent(other, shot)
    other.change(job, "pause")
    shot.output_directory = "//platelight/"
    assert until(lambda: [one.job for one in pump.session.queue] == [job], other)
    assert until(lambda: pump.session.queue[0].state == "paused", other)
    said = drawn(draw_queue)
    assert any(text.startswith("sh010 · ") and "this Blender" not in text for text in said)
    assert "platelight.job" not in said
    assert (shot.job, job in pump.session.jobs) == ("", False)
    other.change(job, "cancel")
    assert until(lambda: not pump.session.queue, other)


def test_a_server_that_is_started_anew_goes_on_with_the_job(
    shot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from platelight_addon import pump

    monkeypatch.setenv("PLATELIGHT_HOME", str(tmp_path / "home"))
    process = serve(tmp_path / "home")
    try:
        assert until(lambda: pump.session.is_up)
        assert bpy.ops.platelight.relight() == {"FINISHED"}
        assert until(lambda: shot.job and _view(shot).delivered, timeout_s=WAIT_S)
    finally:
        stop(process)
    process = serve(tmp_path / "home")
    try:
        assert until(lambda: _view(shot).ended, timeout_s=WAIT_S)
        assert _view(shot).status.state == "done"
        assert until(lambda: is_shown(shot))
    finally:
        stop(process)


def test_a_server_that_cannot_see_the_path_says_what_both_see(
    shot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from platelight_addon import pump

    shows = tmp_path / "shows"
    shows.mkdir()
    monkeypatch.setenv("PLATELIGHT_HOME", str(tmp_path / "home"))
    process = serve(tmp_path / "home", "--root", f"shows={shows}")
    try:
        assert until(lambda: pump.session.is_up)
        with pytest.raises(RuntimeError, match=rf"the server cannot see it: .* media roots \(shows = {shows}\)"):
            bpy.ops.platelight.relight(wait=True, timeout=WAIT_S)
        assert "the server cannot see it" in " ".join(drawn(_main))
    finally:
        stop(process)


def _view(shot: Any) -> Any:
    from platelight_addon import pump

    return pump.session.jobs[shot.job]


def _main(layout: Any, context: Any) -> None:
    from platelight_addon.panels import draw_main

    draw_main(layout, context)
