"""Flags and recipe files are two ways to say the same job."""

from __future__ import annotations

from pathlib import Path

import pytest

from platelight.recipe import Recipe
from tests.cli.running import here
from tests.job.rendering import frames_in
from tests.shots.small import Shot

RELATIVE = [
    "--plate", "plate/plate.####.exr", "--matte", "matte/matte.####.exr", "--background", "background.exr",
    "--frames", "1001-1004", "--name", "small", "--engine", "test_wavy", "--set", "look.exposure=0.5",
]  # fmt: skip


def test_recipe_of_init_gives_the_bytes_of_the_flags(shot: Shot) -> None:
    here("relight", *RELATIVE, "--out", "out", cwd=shot.folder)
    by_flags = frames_in(shot.folder / "out")
    here("init", *RELATIVE, "--out", "out2", "-o", "x.toml", cwd=shot.folder)
    done = here("relight", "x.toml", cwd=shot.folder)
    assert (done.returncode, frames_in(shot.folder / "out2")) == (0, by_flags)


def test_recipe_of_init_finds_its_frames_current(shot: Shot) -> None:
    here("relight", *RELATIVE, "--out", "out", cwd=shot.folder)
    here("init", *RELATIVE, "--out", "out", "-o", "x.toml", cwd=shot.folder)
    assert "nothing to do: all 4 frames" in here("relight", "x.toml", cwd=shot.folder).stdout


def test_paths_of_a_recipe_start_at_its_folder(shot: Shot, tmp_path: Path) -> None:
    here("init", *RELATIVE, "-o", "x.toml", cwd=shot.folder)
    done = here("relight", str(shot.folder / "x.toml"), cwd=tmp_path)
    assert (done.returncode, len(frames_in(shot.folder / "out"))) == (0, 8), done.stderr


def test_recipe_written_into_another_folder_points_back(shot: Shot, tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    here("init", *RELATIVE, "-o", str(tmp_path / "recipes" / "x.toml"), cwd=shot.folder)
    done = here("check", str(tmp_path / "recipes" / "x.toml"))
    assert done.returncode == 0, done.stdout


def test_flags_are_relative_to_where_one_stands(shot: Shot, tmp_path: Path) -> None:
    here("init", *RELATIVE, "-o", "x.toml", cwd=shot.folder)
    here("relight", str(shot.folder / "x.toml"), "--out", "here", cwd=tmp_path)
    assert len(frames_in(tmp_path / "here")) == 8


def test_frames_of_a_recipe_file_are_the_part_to_render(shot: Shot) -> None:
    here("init", *RELATIVE, "-o", "x.toml", cwd=shot.folder)
    here("relight", "x.toml", "--frames", "1002-1003", cwd=shot.folder)
    assert sorted(frames_in(shot.folder / "out")) == [
        "small.1002.exr", "small.1003.exr", "small.aux.1002.exr", "small.aux.1003.exr",
    ]  # fmt: skip


def test_frames_outside_a_recipe_are_refused(shot: Shot) -> None:
    here("init", *RELATIVE, "-o", "x.toml", cwd=shot.folder)
    done = here("relight", "x.toml", "--frames", "1003-1009", cwd=shot.folder)
    assert (done.returncode, "--frames: expected frames within 1001-1004, got 1005-1009" in done.stderr) == (65, True)


def test_init_replaces_no_file_unasked(shot: Shot) -> None:
    (shot.folder / "x.toml").write_text("mine")
    done = here("init", *RELATIVE, "-o", "x.toml", cwd=shot.folder)
    assert (done.returncode, (shot.folder / "x.toml").read_text()) == (74, "mine")


@pytest.mark.parametrize("bare", [[], ["--bare"]])
def test_printed_recipe_is_a_recipe(shot: Shot, bare: list[str]) -> None:
    done = here("init", *RELATIVE, *bare, cwd=shot.folder)
    assert Recipe.from_toml(done.stdout).look.exposure_stops == 0.5


def test_second_run_says_that_there_is_nothing_to_do(shot: Shot) -> None:
    here("relight", *RELATIVE, cwd=shot.folder)
    done = here("relight", *RELATIVE, cwd=shot.folder)
    assert (done.returncode, "nothing to do: all 4 frames" in done.stdout) == (0, True)
