"""The commands that talk to a server: submit, jobs, watch, cancel and the like, and relight with `--server`."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import flags, here, run, start
from tests.cli.test_start import WITHOUT_SERVER, python
from tests.client.serving import Server, running, until
from tests.job.rendering import frames_in
from tests.shots.small import Shot, make_shot

SLOW = ["--set", "engine.sleep_seconds=0.3"]


def on(server: Server, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return here(*arguments, "--server", str(server.file), cwd=cwd)


def submitted(server: Server, shot: Shot, *more: str) -> str:
    done = on(server, "submit", *flags(shot), *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def state_of(server: Server, job: str) -> str:
    return {one["job"]: one["state"] for one in json.loads(on(server, "jobs", "--json").stdout)}[job]


def kinds(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [json.loads(line)["event"] for line in done.stdout.splitlines()]


def test_relight_on_a_server_gives_the_bytes_and_lines_of_a_local_run(serving: Server, tmp_path: Path) -> None:
    """From the same recipe file in two folders, as headers say where a recipe's files lie relative to it."""
    made = [make_shot(tmp_path / name) for name in ("here", "there")]
    for shot in made:
        recipe = shot.recipe().relative_to(shot.folder)
        (shot.folder / "shot.toml").write_text(recipe.to_toml())
    local = here("relight", "shot.toml", cwd=made[0].folder)
    remote = on(serving, "relight", "shot.toml", cwd=made[1].folder)
    assert (local.returncode, remote.returncode) == (0, 0), remote.stderr
    assert frames_in(made[1].folder / "out") == frames_in(made[0].folder / "out")
    assert remote.stdout.replace(str(made[1].folder), str(made[0].folder)) == local.stdout
    assert [line.split(",")[0] for line in remote.stderr.splitlines()] != []
    assert len(remote.stderr.splitlines()) == len(local.stderr.splitlines())


def test_json_lines_are_those_of_a_local_run(serving: Server, tmp_path: Path) -> None:
    made = [make_shot(tmp_path / name) for name in ("here", "there")]
    local = here("relight", *flags(made[0]), "--json")
    remote = on(serving, "relight", *flags(made[1]), "--json")
    assert kinds(remote) == kinds(local) == ["prepared", "done", "done", "done", "done", "end"]
    for ours, theirs in zip(remote.stdout.splitlines(), local.stdout.splitlines(), strict=True):
        assert json.loads(ours).keys() == json.loads(theirs).keys()
    proofs = [json.loads(done.stdout.splitlines()[-1])["proof"] for done in (remote, local)]
    assert proofs[0].keys() == proofs[1].keys()


def test_second_relight_on_a_server_does_nothing(serving: Server, shot: Shot) -> None:
    assert on(serving, "relight", *flags(shot), "--quiet").returncode == 0
    again = on(serving, "relight", *flags(shot))
    assert (again.returncode, "nothing to do: all 4 frames" in again.stdout, again.stderr) == (0, True, "")


def test_engine_steps_are_reported(serving: Server, shot: Shot) -> None:
    done = on(serving, "relight", *flags(shot, engine="test_steps"), "--json", "--set", "engine.sleep_seconds=0.05")
    steps = [json.loads(line) for line in done.stdout.splitlines() if '"step"' in line]
    assert (done.returncode, steps != [], {one["stage"] for one in steps}) == (0, True, {"relight"}), done.stderr


def test_bad_input_is_refused_as_it_is_here(serving: Server, shot: Shot) -> None:
    (shot.folder / "plate" / "plate.1002.exr").unlink()
    given = flags(shot, background=str(shot.folder / "gone.exr"))
    local, remote = here("relight", *given), on(serving, "relight", *given)
    assert (remote.returncode, remote.stdout) == (local.returncode, "") == (65, "")
    assert sorted(remote.stderr.splitlines()) == sorted(local.stderr.splitlines())


def test_folder_that_cannot_be_written_is_74(serving: Server, shot: Shot) -> None:
    (shot.folder / "out").write_text("in the way")
    assert on(serving, "relight", *flags(shot)).returncode == 74


def test_partial_result_is_3(serving: Server, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "long", 12)
    job = submitted(serving, shot, *SLOW)
    until(lambda: frames_in(shot.folder / "out") != {} if (shot.folder / "out").is_dir() else False)
    (shot.folder / "plate" / "plate.1012.exr").write_bytes(b"broken")
    done = on(serving, "watch", job)
    assert (done.returncode, "frame 1012 failed" in done.stderr, "2 of 12 frames failed" in done.stderr) == (
        3, True, True,
    ), done.stderr  # fmt: skip


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_first_signal_cancels_the_job_and_keeps_what_is_finished(
    serving: Server, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    shot = make_shot(tmp_path / "long", 24)
    with start("relight", *flags(shot), *SLOW, "--server", str(serving.file)) as process:
        assert process.stderr is not None and process.stdout is not None
        process.stderr.readline()
        process.send_signal(number)
        said, result = process.stderr.read(), process.stdout.read()
    (job, *_) = json.loads(on(serving, "jobs", "--json").stdout)
    assert (process.returncode, job["state"], "stopping after" in said) == (code, "cancelled", True), said
    assert "the same command goes on from here" in result and 0 < len(frames_in(shot.folder / "out")) < 48


def test_job_goes_on_when_the_command_is_killed(serving: Server, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "long", 8)
    with start("relight", *flags(shot), *SLOW, "--server", str(serving.file)) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.kill()
    (job, *_) = json.loads(on(serving, "jobs", "--json").stdout)
    assert on(serving, "watch", job["job"], "--quiet").returncode == 0
    assert len(frames_in(shot.folder / "out")) == 16


def test_submit_prints_the_job_and_waits_when_asked(serving: Server, shot: Shot) -> None:
    job = submitted(serving, shot, "--key", "one")
    assert submitted(serving, shot, "--key", "one") == job
    waited = on(serving, "submit", *flags(shot), "--wait", "--json", "--key", "one")
    assert (waited.returncode, kinds(waited)[0], kinds(waited)[-1]) == (0, "accepted", "end"), waited.stderr


def test_uploaded_job_is_fetched(tmp_path: Path) -> None:
    """From a server that sees another folder alone."""
    (tmp_path / "media").mkdir()
    shot = make_shot(tmp_path / "shot")
    with running(tmp_path, "--root", f"shows={tmp_path / 'media'}") as server:
        refused = on(server, "relight", *flags(shot))
        assert (refused.returncode, f"shows = {tmp_path / 'media'}" in refused.stderr) == (77, True)
        done = on(server, "relight", *flags(shot), "--upload", "--quiet")
        assert (done.returncode, len(frames_in(shot.folder / "out"))) == (0, 8), done.stderr
        assert done.stdout.startswith(f"4 frames rendered: {shot.folder / 'out'}")
        job = on(server, "submit", *flags(shot), "--upload").stdout.strip()
        assert on(server, "watch", job, "--quiet").returncode == 0
        fetched = on(server, "fetch", job, "--out", str(tmp_path / "fetched"), "--json")
        listed = json.loads(on(server, "fetch", job, "--list", "--json").stdout)
        assert [Path(one["path"]).name for one in json.loads(fetched.stdout)] == [one["name"] for one in listed]
        assert frames_in(tmp_path / "fetched") == frames_in(shot.folder / "out")


def test_jobs_table_has_a_line_per_job(serving: Server, shot: Shot) -> None:
    job = submitted(serving, shot)
    on(serving, "watch", job, "--quiet")
    lines = on(serving, "jobs", "--state", "done", "--limit", "1").stdout.splitlines()
    assert (len(lines), lines[0].split()[:3], lines[1].split()[:5]) == (
        2, ["JOB", "STATE", "NAME"], [job, "done", "small", "1001-1004", "4/4"],
    )  # fmt: skip


def test_pause_resume_cancel_retry_by_the_first_letters(serving: Server, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "long", 12)
    job = submitted(serving, shot, *SLOW)
    until(lambda: state_of(serving, job) == "running")
    assert on(serving, "pause", job[:10]).returncode == 0
    until(lambda: state_of(serving, job) == "paused")
    assert on(serving, "resume", job).returncode == 0
    until(lambda: state_of(serving, job) == "running")
    said = json.loads(on(serving, "cancel", job, "--json").stdout)
    assert (said["job"], said["state"] in ("running", "cancelled")) == (job, True)
    until(lambda: state_of(serving, job) == "cancelled")
    assert on(serving, "retry", job).returncode == 0
    on(serving, "cancel", job)
    until(lambda: state_of(serving, job) == "cancelled")


def test_several_jobs_are_cancelled_and_those_that_refuse_are_named(serving: Server, shot: Shot) -> None:
    job = submitted(serving, shot)
    assert on(serving, "watch", job, "--quiet").returncode == 0
    done = on(serving, "cancel", job, "0" * 16, "zz")
    assert (done.returncode, len(done.stderr.splitlines()), "Traceback" in done.stderr) == (65, 3, False), done.stderr


def test_logs_are_printed_and_followed(serving: Server, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "long", 4)
    job = submitted(serving, shot, *SLOW)
    followed = on(serving, "logs", job, "--follow")
    printed = on(serving, "logs", job)
    lines = [json.loads(line)["line"] for line in on(serving, "logs", job, "--json").stdout.splitlines()]
    assert (followed.stdout == printed.stdout, printed.stdout.splitlines() == lines, job in printed.stdout) == (
        True, True, True,
    )  # fmt: skip


def test_watching_the_queue_tells_of_every_change(serving: Server, tmp_path: Path) -> None:
    shot = make_shot(tmp_path / "long", 24)
    job = submitted(serving, shot, "--set", "engine.sleep_seconds=2")
    states: list[str] = []
    with start("watch", "--json", "--server", str(serving.file)) as process:
        assert process.stdout is not None
        while "cancelled" not in states:
            said = json.loads(process.stdout.readline())
            if said["job"] == job:
                if not states:
                    on(serving, "cancel", job)
                states.append(said["state"])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert (states[0] != "cancelled", process.returncode) == (True, 130)


@pytest.mark.parametrize("command", ["jobs", "watch", "logs 00", "cancel 00", "submit --plate p.####.exr --frames 1"])
def test_without_a_server_every_command_says_so(command: str, tmp_path: Path) -> None:
    done = here(*command.split(), cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (69, 1), done.stderr
    assert done.stderr.endswith("no server is running here; start one with: platelight serve\n")


def test_base_install_submits_and_watches(serving: Server, shot: Shot) -> None:
    """A farm's submit host needs neither torch nor picture libraries."""
    done = python(WITHOUT_SERVER, "relight", *flags(shot), "--server", str(serving.file))
    assert (done.returncode, "4 frames rendered" in done.stdout, len(frames_in(shot.folder / "out"))) == (0, True, 8), (
        done.stderr
    )
    assert python(WITHOUT_SERVER, "jobs", "--server", str(serving.file)).returncode == 0


def test_demo_ends_with_its_server_when_interrupted(tmp_path: Path) -> None:
    import psutil

    for number in (signal.SIGINT, signal.SIGKILL):
        with start("demo", cwd=tmp_path) as process:
            assert process.stderr is not None
            process.stderr.readline()
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(number)
        gone, alive = psutil.wait_procs(family, 15)
        assert (len(gone) >= 2, alive) == (True, [])


def test_demo_touches_no_home(tmp_path: Path, own_home: Path) -> None:
    assert run("demo", "--quiet", cwd=tmp_path, PLATELIGHT_HOME=str(own_home)).returncode == 0
    assert not own_home.exists()
