"""Cancel: within one step of the engine or one frame; what is finished stays, and the rest is made later, alike."""

from __future__ import annotations

import json
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platelight.errors import OutputError
from platelight_server import job
from platelight_server.finishing import Finisher
from platelight_server.job import Event
from platelight_server.model_view import ModelView
from platelight_server.plates import delivery, exr
from platelight_server.plates.inputs import FullFrame
from tests.cli import running
from tests.job.rendering import checked, frames_in, into, render
from tests.shots import small
from tests.shots.small import Shot

FRAMES, STEPS, STEP_SECONDS = 8, 40, 0.03
ENGINE = {"name": "test_steps", "options": {"steps": STEPS, "sleep_seconds": STEP_SECONDS}}
# Reading, finishing and writing a frame of this size takes some hundredths of a second; the machine is shared.
SLACK_SECONDS = 0.5


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shot, dict[str, bytes]]:
    """A shot of two windows, and what an undisturbed run of it writes."""
    folder = tmp_path_factory.mktemp("whole")
    shot = small.make_shot(folder / "shot", FRAMES)
    render(into(shot.recipe(engine=ENGINE), folder / "out"))
    return shot, frames_in(folder / "out")


class Stop:
    """Keeps a job's events, and asks it to stop once `when` holds of one."""

    def __init__(self, when: Callable[[Stop, Event], bool]) -> None:
        self.when, self.events, self.asked_at = when, list[Event](), 0.0

    def event(self, event: Event) -> None:
        self.events.append(event)
        if not self.asked_at and self.when(self, event):
            self.asked_at = time.monotonic()

    def asked(self) -> bool:
        return self.asked_at > 0

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]


def step_of(frame: int | None, step: int, done: int = 0) -> Callable[[Stop, Event], bool]:
    """Step `step` or a later one of the window that begins with `frame`, with `done` frames finished."""
    return lambda stop, event: (
        event.kind == "step" and event.frame == frame and event.step >= step and len(stop.of("done")) >= done
    )


def test_cancel_within_a_window_returns_within_a_step(whole: tuple[Shot, dict[str, bytes]], tmp_path: Path) -> None:
    stop = Stop(step_of(1005, 3))
    outcome = job.run(checked(into(whole[0].recipe(engine=ENGINE), tmp_path), "1005-1008"), stop.event, stop.asked)
    late = time.monotonic() - stop.asked_at
    assert (outcome.cancelled, outcome.rendered, stop.of("step")[-1].step) == (True, [], 3)
    assert late < STEP_SECONDS + SLACK_SECONDS < STEPS * STEP_SECONDS


def test_finished_frames_stay_and_the_next_run_gives_the_same_bytes(
    whole: tuple[Shot, dict[str, bytes]], tmp_path: Path
) -> None:
    shot, expected = whole
    recipe = into(shot.recipe(engine=ENGINE), tmp_path)
    stop = Stop(step_of(1005, 2, done=4))
    outcome = job.run(checked(recipe), stop.event, stop.asked, workers=2)
    kept = frames_in(tmp_path)
    assert (outcome.cancelled, outcome.rendered, outcome.failed) == (True, [1001, 1002, 1003, 1004], {})
    assert kept == {name: content for name, content in expected.items() if int(name.split(".")[-2]) <= 1004}
    path = delivery.files_of(recipe, 1004).main
    assert path is not None and np.isfinite(exr.read(path, ("R", "G", "B")).pixels).all()
    again = job.run(checked(recipe), workers=2)
    assert (again.current, again.cancelled, frames_in(tmp_path)) == (outcome.rendered, False, expected)


def test_steps_are_told_in_order_with_their_window(whole: tuple[Shot, dict[str, bytes]], tmp_path: Path) -> None:
    stop = Stop(lambda stop, event: False)
    options = {"steps": 3, "prepare_steps": 2}
    render(
        into(whole[0].recipe(engine={"name": "test_steps", "options": options}), tmp_path),
        on_event=stop.event, cancelled=stop.asked,
    )  # fmt: skip
    told = [(event.frame, event.stage, event.step, event.steps) for event in stop.of("step")]
    expected = [(None, "look", 1, 2), (None, "look", 2, 2)]
    assert told == expected + [(first, "relight", step, 3) for first in (1001, 1005) for step in (1, 2, 3)]
    assert stop.events.index(stop.of("prepared")[0]) == 2


def test_cancel_while_the_engine_prepares_writes_nothing(whole: tuple[Shot, dict[str, bytes]], tmp_path: Path) -> None:
    stop = Stop(step_of(None, 2))
    options = {"prepare_steps": 200, "sleep_seconds": STEP_SECONDS}
    recipe = into(whole[0].recipe(engine={"name": "test_steps", "options": options}), tmp_path)
    outcome = job.run(checked(recipe), stop.event, stop.asked)
    assert (outcome.cancelled, len(stop.of("step")), stop.of("prepared"), frames_in(tmp_path)) == (True, 2, [], {})


def test_cancel_before_the_first_frame_reads_none(
    whole: tuple[Shot, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelView, "of", lambda self, full: pytest.fail("a frame was read"))
    outcome = job.run(checked(into(whole[0].recipe(engine=ENGINE), tmp_path)), cancelled=lambda: True)
    assert (outcome.cancelled, frames_in(tmp_path)) == (True, {})


def test_frames_being_finished_are_written_and_those_waiting_are_dropped(
    whole: tuple[Shot, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    finish = Finisher.finish

    def slow(self: Finisher, full: FullFrame, *others: Any) -> Any:
        begun.append(full.frame)
        time.sleep(0.2)
        return finish(self, full, *others)

    monkeypatch.setattr(Finisher, "finish", slow)
    recipe = into(whole[0].recipe(engine={"name": "test_steps", "options": {"steps": 1}}), tmp_path)
    outcome = job.run(checked(recipe), cancelled=lambda: bool(begun), workers=1)
    assert (outcome.cancelled, outcome.rendered, begun) == (True, [1001], [1001])
    assert all((tmp_path / name).is_file() for name in ("small.1001.exr", "small.aux.1001.exr"))


def test_a_job_that_is_cancelled_after_its_last_frame_is_not_cancelled(
    whole: tuple[Shot, dict[str, bytes]], tmp_path: Path
) -> None:
    stop = Stop(lambda stop, event: event.kind == "done" and event.done == 2)
    recipe = into(whole[0].recipe(engine={"name": "test_steps", "options": {"steps": 1}}), tmp_path)
    outcome = job.run(checked(recipe, "1003-1004"), stop.event, stop.asked, workers=1)
    assert (outcome.cancelled, outcome.rendered, stop.asked()) == (False, [1003, 1004], True)


def test_cancel_lets_go_of_all_pictures(
    whole: tuple[Shot, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[np.ndarray]] = []
    of = ModelView.of

    def noted(self: ModelView, full: FullFrame) -> Any:
        assert full.background is not None
        held.extend(weakref.ref(pixels) for pixels in (full.plate, full.background))
        return of(self, full)

    monkeypatch.setattr(ModelView, "of", noted)
    answer, stop = checked(into(whole[0].recipe(engine=ENGINE), tmp_path)), Stop(step_of(1005, 2))
    outcome = job.run(answer, stop.event, stop.asked)
    assert (outcome.cancelled, len(held) > FRAMES, [ref for ref in held if ref() is not None]) == (True, True, [])


def test_an_error_in_writing_stops_the_engine_at_its_next_step(
    whole: tuple[Shot, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(delivery, "write", full)
    stop = Stop(lambda stop, event: False)
    with pytest.raises(OutputError, match="the disk is full"):
        job.run(checked(into(whole[0].recipe(engine=ENGINE), tmp_path)), stop.event, workers=2)
    assert len([event for event in stop.of("step") if event.frame == 1005]) < STEPS


def test_json_lines_tell_steps(whole: tuple[Shot, dict[str, bytes]], tmp_path: Path) -> None:
    asked = running.flags(whole[0], out=str(tmp_path), engine="test_steps")
    done = running.here("relight", *asked, "--set", "engine.steps=1", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [line for line in lines if line["event"] == "step"]
    others = [line for line in lines if line["event"] in ("prepared", "done") and "step" in line]
    assert (done.returncode, [line["frame"] for line in steps], others) == (0, [1001, 1005], [])
    assert steps[0] == {
        "event": "step", "frame": 1001, "done": 0, "total": 8, "message": "", "stage": "relight", "step": 1, "steps": 1,
    }  # fmt: skip
