"""Memory does not grow with the shot."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from platelight_server import job
from platelight_server.reading import ReadAhead
from tests.cli import running
from tests.job.rendering import WAVY, checked
from tests.shots import small
from tests.shots.small import Shot

# The allocator's own noise between two runs, beside the tenth that is allowed.
NOISE_BYTES = 16 << 20


def long_shot(folder: Path, count: int) -> Shot:
    """Many frames of the same two pictures: names are links, so that making them costs nothing."""
    made = small.make_shot(folder, 2, 480, 270)
    frames = tuple(range(1001, 1001 + count))
    for frame in frames[2:]:
        for name in ("plate", "matte"):
            os.link(folder / name / f"{name}.{1001 + frame % 2}.exr", folder / name / f"{name}.{frame}.exr")
    return Shot(made.folder, frames)


def peak_bytes(folder: Path, count: int) -> int:
    shot = long_shot(folder, count)
    done = running.run("relight", *running.flags(shot), "--workers", "2", "--json")
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout.splitlines()[-1])["proof"]["peakMemoryBytes"])


def test_six_times_the_frames_take_the_same_memory(tmp_path: Path) -> None:
    few, many = peak_bytes(tmp_path / "few", 24), peak_bytes(tmp_path / "many", 144)
    assert many <= few * 1.1 + NOISE_BYTES


def test_frames_in_flight_are_let_go_when_their_window_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shot = small.make_shot(tmp_path, 40)
    answer = checked(shot.recipe(engine=WAVY, look={"spill": "none"}))
    for frame in range(1014, 1026):
        (tmp_path / "plate" / f"plate.{frame}.exr").write_bytes(b"")
    held: list[int] = []
    left = ReadAhead.__exit__

    def counted(self: ReadAhead, *error: object) -> None:
        left(self, *error)
        held.append(len(self._full))

    monkeypatch.setattr(ReadAhead, "__exit__", counted)
    outcome = job.run(answer, workers=2)
    assert (len(outcome.failed) >= 12, held) == (True, [0])
