"""The client against a real server: check, submit, events, results, cancel and the rest of what can be asked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import platelight
from platelight.errors import (
    CancelledError,
    JobFailedError,
    NotFoundError,
    PartialError,
    RefusedError,
    UnreachableError,
)
from platelight.recipe import EngineChoice, Recipe
from tests.cli.running import environment
from tests.client.serving import Server, until
from tests.job.rendering import frames_in
from tests.shots.small import Shot, make_shot

CLOSE_MOST_S = 1.0


def slow(recipe: Recipe, seconds: float = 0.2) -> Recipe:
    return replace(recipe, engine=EngineChoice("test_wavy", {"sleep_seconds": seconds}))


def to(recipe: Recipe, folder: Path) -> Recipe:
    return replace(recipe, output=replace(recipe.output, directory=str(folder)))


def test_connect_finds_the_local_server(serving: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATELIGHT_HOME", str(serving.home))
    with platelight.connect() as server:
        assert (server.is_connected, server.status().address) == (True, serving.address)


def test_server_variable_names_a_connection_file(serving: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATELIGHT_SERVER", str(serving.file))
    with platelight.connect() as server:
        assert server.status().epoch != ""


def test_without_a_server_connect_says_what_to_do() -> None:
    with pytest.raises(UnreachableError, match="no server is running here; start one with: platelight serve"):
        platelight.connect()


def test_address_that_does_not_answer_ends_within_the_timeout() -> None:
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"no answer from tcp://127\.0\.0\.1:9 within 0\.5 s; run: platelight d"):
        platelight.connect("tcp://127.0.0.1:9", timeout=0.5)
    assert time.monotonic() - began < 0.5 + CLOSE_MOST_S


def test_check_reports_warnings_and_cost(server: platelight.Client, shot: Shot) -> None:
    report = server.check(shot.recipe())
    assert (report.ok, report.estimate.frames, report.estimate.disk_bytes > 0) == (True, 4, True)


def test_refusal_has_the_problems_of_the_check(server: platelight.Client, shot: Shot) -> None:
    (shot.folder / "plate" / "plate.1002.exr").unlink()
    report = server.check(shot.recipe())
    with pytest.raises(RefusedError) as refused:
        server.submit(shot.recipe())
    assert (refused.value.problems, refused.value.exit_code) == (report.problems, 65)
    assert "missing frames 1002" in report.problems[0].text


def test_job_renders_and_tells_every_frame(server: platelight.Client, shot: Shot) -> None:
    job = server.submit(shot.recipe())
    events = list(job.events())
    numbers = [event.number for event in events]
    done = [event.frame for event in events if event.kind == "done"]
    result = job.result(10)
    assert (numbers, sorted(done)) == (list(range(1, len(events) + 1)), [1001, 1002, 1003, 1004])
    assert (result.rendered, result.failed, result.said != (), job.status().state) == (4, (), True, "done")
    assert len(frames_in(shot.folder / "out")) == 8


def test_events_go_on_after_a_number(server: platelight.Client, shot: Shot) -> None:
    job = server.submit(shot.recipe())
    events = list(job.events())
    assert list(job.events(after=2)) == events[2:]
    assert list(job.events(after=len(events))) == []


def test_two_listeners_get_the_same_events(server: platelight.Client, shot: Shot) -> None:
    job = server.submit(slow(shot.recipe()))
    first = job.events()
    begun = [next(first), next(first)]
    late = list(server.job(job.id).events())
    assert [*begun, *first] == late


def test_frames_are_a_part_of_the_shot(server: platelight.Client, shot: Shot) -> None:
    result = server.submit(shot.recipe(), frames="1002-1003").result(30)
    assert (result.rendered, len(frames_in(shot.folder / "out"))) == (2, 4)


def test_same_key_is_the_same_job(server: platelight.Client, shot: Shot) -> None:
    jobs = [server.submit(shot.recipe(), key="sh010-v003") for _ in range(2)]
    assert (jobs[0].id == jobs[1].id, [job.new for job in jobs]) == (True, [True, False])
    with pytest.raises(RefusedError) as refused:
        server.submit(shot.recipe(look={"strength": 0.5}), key="sh010-v003")
    assert refused.value.code == "KEY_REUSED"
    jobs[0].result(30)


def test_key_that_is_none_is_refused(server: platelight.Client, shot: Shot) -> None:
    with pytest.raises(platelight.InputError, match="key: expected 1 to 64 letters"):
        server.submit(shot.recipe(), key="sh010.v003")


def test_cancelled_job_keeps_what_is_finished(server: platelight.Client, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "long", 24)
    job = server.submit(slow(shot.recipe(), 0.3))
    next(event for event in job.events() if event.kind == "done")
    job.cancel()
    with pytest.raises(CancelledError):
        job.result(20)
    finished = len(frames_in(shot.folder / "out"))
    assert (0 < finished < 48, job.status().state) == (True, "cancelled")


def test_paused_job_goes_on_when_resumed(server: platelight.Client, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "long", 8)
    job = server.submit(slow(shot.recipe(), 0.3))
    next(event for event in job.events() if event.kind == "done")
    job.pause()
    until(lambda: job.status().state == "paused")
    job.resume()
    assert (job.result(30).rendered + job.result().current, job.status().state) == (8, "done")


def test_failed_job_says_why(server: platelight.Client, shot: Shot) -> None:
    """The worker dies at a frame, each time."""
    broken = replace(shot.recipe(), engine=EngineChoice("test_wavy", {"break_at": 1003}))
    job = server.submit(broken)
    with pytest.raises(JobFailedError) as failed:
        job.result(60)
    assert (failed.value.code, failed.value.exit_code) == ("WORKER_CRASH", 75)


def test_frame_that_fails_makes_the_result_partial_until_tried_again(server: platelight.Client, tmp_path: Path) -> None:
    """The frame before it needs it too, as context of its window."""
    shot = make_shot(tmp_path / "long", 12)
    broken = shot.folder / "plate" / "plate.1012.exr"
    whole = broken.read_bytes()
    job = server.submit(slow(shot.recipe(), 0.3))
    next(event for event in job.events() if event.kind == "done")
    broken.write_bytes(b"not a picture any more")
    with pytest.raises(PartialError, match="2 of 12 frames failed, the first is 1011") as partial:
        job.result(60)
    assert partial.value.result is not None
    assert (partial.value.result.failed_frames, partial.value.result.failed[0].frame) == ("1011-1012", 1011)
    broken.write_bytes(whole)
    job.retry()
    result = job.result(60)
    assert (result.rendered, result.current, job.status().attempt) == (2, 10, 2)


def test_log_files_and_fetch(server: platelight.Client, shot: Shot, tmp_path: Path) -> None:
    job = server.submit(shot.recipe())
    job.result(30)
    names = [one.name for one in job.files()]
    assert ("small.1001.exr" in names, "small.proof.json" in names, len(names)) == (True, True, 10)
    fetched = job.fetch("small.1001.exr", tmp_path)
    assert fetched.read_bytes() == (shot.folder / "out" / "small.1001.exr").read_bytes()
    assert (job.id in job.log(), [one for one in tmp_path.iterdir() if one.name.startswith(".")]) == (True, [])
    with pytest.raises(NotFoundError):
        job.fetch("small.9999.exr", tmp_path / "none.exr")
    assert not (tmp_path / "none.exr").exists()


def test_jobs_are_listed_newest_first_and_forgotten(server: platelight.Client, shot: Shot) -> None:
    jobs = [server.submit(shot.recipe()) for _ in range(2)]
    for job in jobs:
        job.result(30)
    listed = [status.job for status in server.jobs(states=("done",))]
    assert listed[:2] == [jobs[1].id, jobs[0].id]
    server.forget(jobs[0].id)
    with pytest.raises(NotFoundError):
        server.job(jobs[0].id)


def test_unknown_job_is_not_found(server: platelight.Client) -> None:
    for ask in (lambda: server.job("0" * 16), lambda: server.forget("0" * 16), lambda: server.job("none")):
        with pytest.raises(NotFoundError):
            ask()


def test_watching_everything_tells_of_other_clients_jobs(serving: Server, shot: Shot) -> None:
    with serving.connect() as watching, serving.connect() as working:
        statuses = watching.watch()
        threading.Timer(0.2, lambda: working.submit(shot.recipe())).start()
        assert next(one for one in statuses if one.state == "done").name == "small"


def test_preview_is_half_float_planes(server: platelight.Client, shot: Shot) -> None:
    picture = server.preview(shot.recipe(), 1002, width=48)
    shapes = {name: (plane.shape, plane.dtype) for name, plane in picture.channels.items()}
    assert (picture.frame, picture.width, picture.height) == (1002, 48, 32)
    assert set(shapes.values()) == {((32, 48), np.dtype(np.float16))} and {"R", "G", "B"} <= set(shapes), shapes


def test_new_preview_ends_the_one_before(server: platelight.Client, shot: Shot) -> None:
    """As when an artist drags a slider."""
    sent = server.calls.sent(slow(shot.recipe(), 0.5), None, False)
    futures = [server.calls.preview(sent, frame, 48, ("composite",)) for frame in (1001, 1002, 1003)]
    for superseded in futures[:2]:
        with pytest.raises(CancelledError):
            superseded.result(30)
    assert futures[2].result(30).frame == 1003


def test_engines_are_those_of_the_server(server: platelight.Client) -> None:
    assert {"classic", "test_wavy"} <= {engine["name"] for engine in server.engines()}


def test_client_gone_another_watches_on(serving: Server, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "long", 8)
    code = (
        "import os, sys, platelight; from platelight.recipe import Recipe; from pathlib import Path\n"
        f"server = platelight.connect(connection_file={str(serving.file)!r})\n"
        "job = server.submit(Recipe.from_toml(Path(sys.argv[1])))\n"
        "print(job.id, flush=True); os._exit(9)"
    )
    recipe = tmp_path / "shot.toml"
    recipe.write_text(slow(shot.recipe(), 0.1).to_toml())
    done = subprocess.run(
        [sys.executable, "-c", code, recipe], env=environment(), capture_output=True, text=True, check=False
    )
    with serving.connect() as server:
        job = server.job(done.stdout.strip())
        events = list(job.events())
        assert ([event.number for event in events], job.result(5).rendered) == (list(range(1, len(events) + 1)), 8)


def test_future_ends_with_the_job(server: platelight.Client, shot: Shot) -> None:
    future = server.submit(shot.recipe()).future
    assert future.result(30).rendered == 4


def test_result_waits_no_longer_than_asked(server: platelight.Client, shot: Shot) -> None:
    job = server.submit(slow(shot.recipe(), 0.5))
    with pytest.raises(TimeoutError):
        job.result(0.1)
    job.cancel()


def test_close_is_quick_and_may_be_repeated(serving: Server) -> None:
    server = serving.connect()
    began = time.monotonic()
    server.close()
    server.close()
    took = time.monotonic() - began
    with pytest.raises(platelight.ServerError, match="closed"):
        server.status()
    assert took < CLOSE_MOST_S


def test_waiting_calls_end_when_the_client_is_closed(serving: Server, shot: Shot) -> None:
    server = serving.connect()
    job = server.submit(slow(shot.recipe(), 1.0))
    threading.Timer(0.3, server.close).start()
    with pytest.raises(platelight.ServerError, match="closed"):
        job.result(20)


def test_process_that_forgets_to_close_ends_at_once(serving: Server) -> None:
    code = f"import platelight; s = platelight.connect(connection_file={str(serving.file)!r}); s.status(); print(1)"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr, time.monotonic() - began < 10) == (0, "1\n", "", True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Unix")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_connection_is_not_used_after_a_fork(server: platelight.Client) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            server.status()
        except platelight.ServerError as error:
            code = 0 if "after a fork" in str(error) else 2
        finally:
            server.close()
            os._exit(code)
    assert (os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), server.status().host != "") == (0, True)


def test_many_threads_share_a_connection(server: platelight.Client) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(50):
                server.status()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []


def test_asyncio_gathers_five_submits(serving: Server, shot: Shot, tmp_path: Path) -> None:
    async def main() -> tuple[int, list[int], list[int]]:
        async with platelight.connect_async(connection_file=serving.file) as server:
            recipes = [to(shot.recipe(), tmp_path / f"out{i}") for i in range(5)]
            jobs = await asyncio.gather(*(server.submit(recipe) for recipe in recipes))
            numbers = [event.number async for event in jobs[4].events()]
            results = await asyncio.gather(*(job.result(60) for job in jobs))
            assert threading.active_count() < 12
            return len({job.id for job in jobs}), [one.rendered for one in results], numbers

    jobs, rendered, numbers = asyncio.run(main())
    assert (jobs, rendered, numbers) == (5, [4] * 5, list(range(1, len(numbers) + 1)))


def test_asyncio_has_the_same_calls_and_errors(serving: Server, shot: Shot) -> None:
    async def main() -> list[object]:
        server = await platelight.connect_async(connection_file=serving.file)
        try:
            report = await server.check(shot.recipe())
            picture = await server.preview(shot.recipe(), 1001, width=48)
            job = await server.submit(slow(shot.recipe(), 0.5))
            await job.cancel()
            with pytest.raises(CancelledError):
                await job.result(20)
            with pytest.raises(NotFoundError):
                await server.job("0" * 16)
            status = await job.status()
            return [report.ok, picture.width, status.state, (await server.jobs(limit=1))[0].job == job.id]
        finally:
            await server.close()

    assert asyncio.run(main()) == [True, 48, "cancelled", True]


def test_both_clients_have_the_same_methods() -> None:
    for sync, other in ((platelight.Client, platelight.AsyncClient), (platelight.Job, platelight.AsyncJob)):
        names = {name for name in vars(sync) if not name.startswith("_")} - {"log_from"}
        assert names - {name for name in vars(other) if not name.startswith("_")} == set()
