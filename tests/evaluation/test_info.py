"""`platelight info` of results, of other EXRs and of other pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from platelight.recipe import Recipe
from tests.cli.running import flags, here
from tests.shots import small
from tests.shots.small import Shot


@pytest.fixture
def result(shot: Shot) -> Path:
    assert here("relight", *flags(shot), "--quiet").returncode == 0
    return shot.folder / "out" / "small.1002.exr"


def info(path: Path, *more: str) -> dict[str, str]:
    done = here("info", str(path), "--json", *more)
    assert done.returncode == 0, done.stderr
    said: dict[str, str] = json.loads(done.stdout)
    return said


def test_result_is_current_until_its_input_changes(result: Path, shot: Shot) -> None:
    before = info(result)["current"]
    small.write(shot.folder / "matte" / "matte.1002.exr", small.matte_pixels(1009), "A")
    assert (before, info(result)["current"]) == ("yes", "no: its recipe, inputs or engine have changed since")


def test_result_whose_input_is_gone_is_of_unknown_state(result: Path, shot: Shot) -> None:
    (shot.folder / "background.exr").unlink()
    assert info(result)["current"].startswith("unknown: background.still: ")


def test_result_in_another_folder_is_current(result: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    result.parent.rename(moved)
    assert info(moved / result.name)["current"] == "yes"


def test_recipe_of_a_result_loads_and_is_the_one_rendered(result: Path, shot: Shot) -> None:
    done = here("info", str(result), "--recipe")
    assert (done.returncode, Recipe.from_toml(done.stdout)) == (0, shot.recipe())


def test_recipe_of_a_result_finds_its_frames_current(result: Path, tmp_path: Path) -> None:
    (tmp_path / "again.toml").write_text(here("info", str(result), "--recipe").stdout)
    again = here("relight", str(tmp_path / "again.toml"))
    assert (again.returncode, "nothing to do: all 4 frames" in again.stdout) == (0, True), again.stderr


def test_layers_and_colour_of_an_exr_that_is_not_ours(shot: Shot) -> None:
    said = info(shot.folder / "plate" / "plate.1001.exr")
    assert ("platelight" in said, said["layers"], said["color"]) == (
        False, {"": ["B", "G", "R"]}, "Linear Rec.709 (colorInteropID in the header)",
    )  # fmt: skip


def test_exr_without_a_colour_space_says_so(tmp_path: Path) -> None:
    small.write(tmp_path / "plain.exr", small.plate_pixels(1), "RGB")
    assert info(tmp_path / "plain.exr")["color"] == "unknown: the header does not say"


def test_png_is_described(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(tmp_path / "a.png")
    done = here("info", str(tmp_path / "a.png"))
    assert (done.returncode, "data 20x10" in done.stdout, "compression" in done.stdout) == (0, True, False)


@pytest.mark.parametrize("made", ["exr", "png"])
def test_file_without_a_recipe_is_named(made: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{made}"
    if made == "exr":
        small.write(path, small.plate_pixels(1), "RGB")
    else:
        Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(path)
    done = here("info", str(path), "--recipe")
    assert (done.returncode, f"{path}: expected a result of Platelight" in done.stderr, done.stdout) == (65, True, "")


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_file_that_is_no_picture_is_refused_by_name(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "x.exr"
    if content is not None:
        path.write_bytes(content)
    done = here("info", str(path))
    assert (done.returncode, str(path) in done.stderr, "Traceback" in done.stderr) == (65, True, False)
