"""`platelight matte`: EXR mattes that a recipe takes, made once, refused in a sentence where they cannot be made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from platelight_server.commands.matte import METHODS as OFFERED
from platelight_server.mattes.registry import METHODS, create
from platelight_server.plates import exr
from platelight_server.plates.header import read_stated
from tests.cli.running import here
from tests.job.rendering import STILL, delivered, render
from tests.mattes import screens
from tests.mattes.test_keyed_job import recipe_of


@pytest.fixture
def pattern(tmp_path: Path) -> str:
    return screens.write_plates(tmp_path / "plate")


def test_methods_of_the_command_are_the_registrys() -> None:
    assert tuple(one.name for one in METHODS) == OFFERED
    for one in METHODS:
        assert {card.name for card in one.cards} == {*one.models, *one.detectors}
        assert callable(create) and one.purpose and one.needs


def test_mattes_carry_the_plates_header_and_how_they_were_made(pattern: str, tmp_path: Path) -> None:
    done = here("matte", "--plate", pattern, "--out", str(tmp_path / "mattes"), "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    info = exr.read_info(tmp_path / "mattes" / "matte.1003.exr")
    assert info.channels == ("A",) and info.header["owner"] == "ACME"
    said = json.loads(read_stated(info.header)["matte"])
    assert (said["method"], said["screen"], said["models"]) == ("key", "green", [])
    matte = exr.read(tmp_path / "mattes" / "matte.1003.exr", "A").pixels
    assert matte.dtype == np.float16
    assert np.abs(matte[0].astype(np.float32) - screens.alpha_of(1003)).mean() < 0.01


def test_matte_file_is_what_a_recipe_keys(pattern: str, tmp_path: Path) -> None:
    here("matte", "--plate", pattern, "--out", str(tmp_path / "mattes"), "--white", "0.8", "--quiet")
    from_file = recipe_of(pattern, tmp_path / "a", matte={"path": str(tmp_path / "mattes" / "matte.####.exr")})
    keyed = recipe_of(pattern, tmp_path / "b", matte={"key": "auto", "keying": {"white": 0.8}}, engine=STILL)
    render(from_file, "1002")
    render(keyed, "1002")
    assert np.array_equal(delivered(from_file, 1002)["alpha.A"], delivered(keyed, 1002)["alpha.A"])


def test_second_run_makes_what_is_missing_alone(pattern: str, tmp_path: Path) -> None:
    out = tmp_path / "mattes"
    arguments = ("matte", "--plate", pattern, "--out", str(out), "--json")
    here(*arguments)
    before = {path.name: path.read_bytes() for path in out.glob("*.exr")}
    (out / "matte.1004.exr").unlink()
    events = [json.loads(line) for line in here(*arguments).stdout.splitlines()]
    assert [one["frame"] for one in events if one["event"] == "done"] == [1004]
    assert (events[-1]["written"], events[-1]["current"]) == (1, 5)
    assert {path.name: path.read_bytes() for path in out.glob("*.exr")} == before


def test_part_of_the_shot_has_the_same_bytes(pattern: str, tmp_path: Path) -> None:
    here("matte", "--plate", pattern, "--out", str(tmp_path / "whole"), "--quiet")
    here("matte", "--plate", pattern, "--out", str(tmp_path / "part"), "--frames", "1005", "--quiet")
    assert [path.name for path in (tmp_path / "part").glob("*.exr")] == ["matte.1005.exr"]
    parts = [(tmp_path / name / "matte.1005.exr").read_bytes() for name in ("whole", "part")]
    assert parts[0] == parts[1]


def test_changed_dial_makes_them_anew(pattern: str, tmp_path: Path) -> None:
    arguments = ("matte", "--plate", pattern, "--out", str(tmp_path / "m"), "--frames", "1001-1002")
    assert here(*arguments).stdout.startswith("2 mattes made")
    assert here(*arguments).stdout.startswith("nothing to do: all 2 mattes")
    assert here(*arguments, "--white", "0.9").stdout.startswith("2 mattes made")


def test_subject_is_followed_from_a_point(pattern: str, tmp_path: Path, tiny_mattes_models: Path) -> None:
    out = tmp_path / "m"
    arguments = ("matte", "--plate", pattern, "--out", str(out), "--method", "sam2", "--point", "1003,66,45", "--json")
    done = here(*arguments, "--frames", "1002-1005")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["frame"] for one in events if one["event"] == "done"] == [1003, 1004, 1005, 1002], done.stderr
    said = json.loads(read_stated(exr.read_info(out / "matte.1002.exr").header)["matte"])
    assert said["models"][0]["model"] == "sam2.1-hiera-large" and said["models"][0]["licence"] == "Apache-2.0"
    before = {path.name: path.read_bytes() for path in out.glob("*.exr")}
    (out / "matte.1004.exr").unlink()
    here(*arguments, "--frames", "1002-1005")
    assert {path.name: path.read_bytes() for path in out.glob("*.exr")} == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--screen", "red"], "--screen: expected auto, green, blue or R,G,B, got 'red'"),
        (["--screen", "blue"], "expected a screen in 6 sampled frames, got 0 pixels of its colour"),
        (["--white", "2"], "key.white: expected 0.1 to 1, got 2"),
        (["--garbage", "1,2,3"], "--garbage: expected X0,Y0,X1,Y1, got '1,2,3'"),
        (["--frames", "1001-1010"], "it has 1001-1006, got 1007-1010"),
        (["--point", "1001,5,5"], "--method key: expected no point, box or text"),
        (["--method", "sam2"], "expected a point, a box or a text that says what the subject is, got none"),
        (["--method", "sam2", "--point", "1001,5"], "--point: expected FRAME,X,Y, got '1001,5'"),
        (["--method", "sam2", "--box", "1001,9,5,2,8"], "--box: expected X0 < X1 and Y0 < Y1"),
        (["--method", "sam2", "--point", "1001,5,5"], "hf download facebook/sam2.1-hiera-large"),
        (["--method", "sam2", "--point", "1001,5,5", "--model", "birefnet"], "expected one of sam2.1-hiera-large"),
        (["--method", "birefnet"], "platelight models accept birefnet"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(
    flags: list[str], message: str, pattern: str, tmp_path: Path
) -> None:
    done = here("matte", "--plate", pattern, "--out", str(tmp_path / "m"), *flags)
    assert done.returncode == 65
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert list((tmp_path / "m").glob("*.exr")) == []


def test_prompt_outside_the_frame_is_refused(pattern: str, tmp_path: Path, tiny_mattes_models: Path) -> None:
    flags = ("--method", "sam2", "--point", "1001,500,5")
    done = here("matte", "--plate", pattern, "--out", str(tmp_path / "m"), *flags)
    assert done.returncode == 65 and "within 0, 0 to 160, 90, got 500, 5" in done.stderr


@pytest.mark.parametrize("plate", ["nothing.####.exr", "plate.1001.exr"])
def test_plate_that_is_no_sequence_is_refused(plate: str, pattern: str, tmp_path: Path) -> None:
    done = here("matte", "--plate", str(Path(pattern).parent / plate), "--out", str(tmp_path / "m"))
    assert done.returncode == 65 and "--plate: expected" in done.stderr
