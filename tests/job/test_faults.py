"""Faults: killed, interrupted, a full disk, an engine that ends all. What is finished stays, the rest goes on."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from platelight.errors import OutputError
from platelight_server.plates import exr, frames_out
from platelight_server.plates.frames_out import TEMPORARY
from tests.cli import running
from tests.job.rendering import frames_in, into, render
from tests.shots import small
from tests.shots.small import Shot

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and mounts of Unix")
FRAMES = 10


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shot, dict[str, bytes]]:
    """A shot and what an undisturbed run of it writes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shot = small.make_shot(folder / "shot", FRAMES, 192, 128)
    options = {"name": "test_wavy", "options": {"sleep_seconds": 0.1}}
    render(into(shot.recipe(engine=options), folder / "whole"))
    return shot, frames_in(folder / "whole")


def slow(shot: Shot, out: Path) -> list[str]:
    return ["relight", *running.flags(shot, out=str(out)), "--set", "engine.sleep_seconds=0.1", "--workers", "2"]


def wait_for_frames(process: subprocess.Popen[str], out: Path, count: int) -> None:
    """Until `count` files are there; fails with what the process said when it ends before."""
    limit = time.monotonic() + 60
    while len(list(out.glob("small.*.exr"))) < count:
        assert process.poll() is None and time.monotonic() < limit, process.kill() or process.communicate()
        time.sleep(0.005)


def leftovers(out: Path) -> list[str]:
    return [path.name for path in out.iterdir() if path.name.endswith(TEMPORARY)]


@pytest.mark.parametrize("files", [1, 7])
def test_killed_run_goes_on_to_the_same_bytes(
    undisturbed: tuple[Shot, dict[str, bytes]], tmp_path: Path, files: int
) -> None:
    shot, expected = undisturbed
    process = running.start(*slow(shot, tmp_path / "out"))
    wait_for_frames(process, tmp_path / "out", files)
    time.sleep(0.013 * files % 0.05)
    process.kill()
    process.communicate()
    assert len(frames_in(tmp_path / "out")) < len(expected)
    again = running.run(*slow(shot, tmp_path / "out"))
    assert (again.returncode, frames_in(tmp_path / "out"), leftovers(tmp_path / "out")) == (0, expected, [])


def test_killed_run_leaves_no_half_frame(undisturbed: tuple[Shot, dict[str, bytes]], tmp_path: Path) -> None:
    shot, expected = undisturbed
    process = running.start(*slow(shot, tmp_path / "out"))
    wait_for_frames(process, tmp_path / "out", 6)
    process.kill()
    process.communicate()
    assert {
        name: content == expected[name]
        for name, content in frames_in(tmp_path / "out").items()
        if content != expected[name]
    } == {}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_after_whole_frames_and_the_run_goes_on(
    undisturbed: tuple[Shot, dict[str, bytes]], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    shot, expected = undisturbed
    process = running.start(*slow(shot, tmp_path / "out"))
    wait_for_frames(process, tmp_path / "out", 3)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert (process.returncode, leftovers(tmp_path / "out")) == (code, [])
    again = running.run(*slow(shot, tmp_path / "out"))
    assert (again.returncode, frames_in(tmp_path / "out")) == (0, expected)


def test_engine_that_ends_the_process_loses_no_finished_frame(tmp_path: Path) -> None:
    shot = small.make_shot(tmp_path / "shot", 8)
    arguments = ["relight", *running.flags(shot), "--set", "engine.sleep_seconds=0.05"]
    broken = running.run(*arguments, "--set", "engine.break_at=1006")
    assert broken.returncode == 9
    kept = frames_in(shot.folder / "out")
    assert [
        exr.read(shot.folder / "out" / name, ("R",) if "aux" not in name else ("gain.X",)).info.path.name
        for name in kept
    ] == list(kept)


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def test_full_disk_keeps_finished_frames_and_goes_on_when_there_is_room(
    undisturbed: tuple[Shot, dict[str, bytes]], tmp_path: Path
) -> None:
    shot, expected = undisturbed
    half = sum(len(content) for content in expected.values()) // 2
    with mounted(tmp_path / "disk", f"size={half + 2_000_000}") as disk:
        (disk / "ballast").write_bytes(b"\0" * 1_900_000)
        full = running.run(*slow(shot, disk / "out"))
        assert (full.returncode, "no space left on the disk" in full.stderr, leftovers(disk / "out")) == (74, True, [])
        kept = frames_in(disk / "out")
        assert 0 < len(kept) < len(expected)
        assert [name for name, content in kept.items() if content != expected[name]] == []
        (disk / "ballast").unlink()
        subprocess.run(["mount", "-o", f"remount,size={3 * half + 8_000_000}", str(disk)], check=True)
        again = running.run(*slow(shot, disk / "out"))
        assert (again.returncode, frames_in(disk / "out")) == (0, expected)


def test_frame_is_whole_or_refused_however_little_room_is_left(tmp_path: Path) -> None:
    """OpenEXR writes the last kilobytes when it closes the file, and says nothing when they find no room."""
    planes = dict(zip("RGB", small.plate_pixels(1001), strict=True))
    window = {"dataWindow": ((0, 0), (small.WIDTH - 1, small.HEIGHT - 1))}
    exr.write(tmp_path / "good.exr", planes, window, "zips")
    good = (tmp_path / "good.exr").read_bytes()
    pages = -(-len(good) // mmap.PAGESIZE)
    outcomes = []
    for number in range(max(1, pages - 4), pages + 2):
        with mounted(tmp_path / f"disk{number}", f"size={number * mmap.PAGESIZE}") as disk:
            try:
                frames_out.write_frame(disk / "a.exr", planes, window, "zips")
                outcomes.append((disk / "a.exr").read_bytes() == good)
            except OutputError as error:
                outcomes.append("no space left on the disk" in str(error) and not list(disk.iterdir()))
    assert outcomes == [True] * len(outcomes)


@pytest.mark.parametrize("compression", sorted(exr.COMPRESSIONS))
def test_file_that_ends_early_is_not_whole(tmp_path: Path, compression: str) -> None:
    planes = dict(zip("RGB", small.plate_pixels(1001), strict=True))
    window = {"dataWindow": ((-3, 5), (small.WIDTH - 4, small.HEIGHT + 4)), "studio/note": "x" * 5000}
    exr.write(tmp_path / "a.exr", planes, window, compression)
    content = (tmp_path / "a.exr").read_bytes()
    found = []
    for length in (len(content), len(content) - 1, len(content) // 2, 3000, 20, 0):
        (tmp_path / "b.exr").write_bytes(content[:length])
        found.append(frames_out.is_whole(tmp_path / "b.exr"))
    assert found == [True] + [False] * 5


def test_read_only_disk_is_refused_before_work(shot: Shot, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m,ro") as disk:
        refused = running.run("relight", *running.flags(shot, out=str(disk / "out")))
    assert (refused.returncode, "cannot be written" in refused.stderr) == (74, True)


def test_output_folder_taken_away_during_the_run_is_an_output_error(tmp_path: Path) -> None:
    from platelight_server import job
    from tests.job.rendering import checked

    shot = small.make_shot(tmp_path / "shot", 4)
    answer = checked(shot.recipe())

    def take_away(event: job.Event) -> None:
        if event.kind == "prepared":
            import shutil

            shutil.rmtree(shot.folder / "out")

    with pytest.raises(OutputError, match="cannot be written"):
        job.run(answer, take_away, workers=2)


def test_listener_that_breaks_stops_the_job(shot: Shot) -> None:
    from platelight_server import job
    from tests.job.rendering import checked

    def broken(event: job.Event) -> None:
        if event.kind == "done":
            raise BrokenPipeError("nobody listens")

    with pytest.raises(BrokenPipeError):
        job.run(checked(shot.recipe()), broken, workers=2)


def test_cancelled_job_keeps_the_frames_it_was_writing(tmp_path: Path) -> None:
    from platelight_server import job
    from tests.job.rendering import checked

    shot = small.make_shot(tmp_path, 8)
    done: list[int] = []
    outcome = job.run(
        checked(shot.recipe()),
        lambda e: done.append(e.frame or 0) if e.kind == "done" else None,
        lambda: len(done) >= 2,
        workers=1,
    )
    assert (outcome.cancelled, 2 <= len(outcome.rendered) < 8, leftovers(shot.folder / "out")) == (True, True, [])
