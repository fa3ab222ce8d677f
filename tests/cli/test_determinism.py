"""The classic engine through the whole command, on the demo's shot: the bytes do not depend on how it is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from platelight_server.commands.demo import SHOT
from tests.cli.running import here, run
from tests.job.rendering import frames_in

RECIPE = str(SHOT / "recipe.toml")


def rendered(out: Path, *more: str) -> dict[str, bytes]:
    done = here("relight", RECIPE, "--out", str(out), "--quiet", *more)
    assert done.returncode == 0, done.stderr
    return frames_in(out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The shot as one worker renders it."""
    return rendered(tmp_path_factory.mktemp("whole") / "out", "--workers", "1")


def test_three_workers_write_the_same_bytes(whole: dict[str, bytes], tmp_path: Path) -> None:
    assert (len(whole), rendered(tmp_path, "--workers", "3") == whole) == (24, True)


def test_another_process_writes_the_same_bytes(whole: dict[str, bytes], tmp_path: Path) -> None:
    done = run("relight", RECIPE, "--out", str(tmp_path), "--quiet", PYTHONHASHSEED="7")
    assert (done.returncode, frames_in(tmp_path) == whole) == (0, True), done.stderr


@pytest.mark.parametrize("part", ["1002-1003", "1003-1011x4"])
def test_part_of_the_shot_has_the_bytes_of_the_whole(whole: dict[str, bytes], tmp_path: Path, part: str) -> None:
    some = rendered(tmp_path, "--frames", part)
    assert (len(some) in (4, 6), some == {name: whole[name] for name in some}) == (True, True)
