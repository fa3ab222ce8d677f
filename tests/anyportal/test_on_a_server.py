"""The engine through a real server process: light, consistency and a painted background, from EXR to EXR."""

from __future__ import annotations

from pathlib import Path

from tests.anyportal.test_engine import painted_recipe, small
from tests.client.serving import running
from tests.job.rendering import frames_in, into, render
from tests.shots.small import make_shot


def test_a_server_gives_the_bytes_of_a_run_without_one(models: Path, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "shot", count=5, width=48, height=32)
    recipe = small(shot, edges="hed")
    with running(tmp_path, name="server") as server, server.connect() as client:
        there = client.submit(into(recipe, tmp_path / "there"))
        done = there.result(300)
        assert done.rendered == 5, done
        painted = client.submit(
            into(painted_recipe(shot, consistency="none", accept_licences="diffusion-as-shader"), tmp_path / "painted")
        )
        assert painted.result(300).rendered == 5
    assert len(frames_in(tmp_path / "painted")) == 10
    render(into(recipe, tmp_path / "here"))
    assert frames_in(tmp_path / "there") == frames_in(tmp_path / "here")
