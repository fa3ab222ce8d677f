"""A recipe whose matte is keyed: the same pixels whatever part is rendered, also in a preview; checked before work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platelight.errors import FrameError, RecipeError
from platelight.recipe import Recipe
from platelight_server.fingerprint import frame_hashes
from platelight_server.mattes.finding import found_screen
from platelight_server.mattes.keyer import key
from platelight_server.preview import Previewer
from tests.job.rendering import STILL, checked, delivered, frames_in, into, render
from tests.mattes import screens
from tests.shots import small


@pytest.fixture
def pattern(tmp_path: Path) -> str:
    return screens.write_plates(tmp_path / "plate")


def recipe_of(pattern: str, folder: Path, **tables: Any) -> Recipe:
    document: dict[str, Any] = {
        "platelight": 1,
        "name": "keyed",
        "frames": "1001-1006",
        "plate": {"path": pattern},
        "matte": {"key": "auto"},
        "engine": STILL,
        "output": {"directory": str(folder), "layers": ["composite", "alpha"]},
    }
    return Recipe.from_dict({**document, **tables})


def test_alpha_that_is_delivered_is_the_keyers(pattern: str, tmp_path: Path) -> None:
    recipe = recipe_of(pattern, tmp_path / "out")
    render(recipe)
    screen = found_screen(screens.FRAMES, screens.plate_of, "auto", recipe.matte.keying or _plain())  # type: ignore[union-attr]
    for frame in (1001, 1004):
        expected = key(screens.plate_of(frame), screen)[0].astype(np.float16)
        assert np.array_equal(delivered(recipe, frame)["alpha.A"], expected)


def test_part_of_the_shot_has_the_same_bytes(pattern: str, tmp_path: Path) -> None:
    whole, part = (recipe_of(pattern, tmp_path / name) for name in ("whole", "part"))
    render(whole)
    render(part, "1004")
    assert frames_in(tmp_path / "part") == {
        name: data for name, data in frames_in(tmp_path / "whole").items() if ".1004." in name
    }


def test_frames_are_current_until_a_dial_or_a_sampled_plate_changes(pattern: str, tmp_path: Path) -> None:
    recipe = recipe_of(pattern, tmp_path / "out")
    render(recipe)
    assert len(render(recipe).current) == 6
    dialled = recipe_of(pattern, tmp_path / "out", matte={"key": "auto", "keying": {"white": 0.9}})
    before = frame_hashes(checked(recipe))
    assert set(before.values()).isdisjoint(frame_hashes(checked(dialled)).values())
    Path(pattern.replace("####", "1006")).write_bytes(Path(pattern.replace("####", "1005")).read_bytes())
    assert frame_hashes(checked(recipe))[1001] != before[1001]


def test_preview_shows_the_same_matte(pattern: str, tmp_path: Path) -> None:
    maker = Previewer(settled_s=0.0)
    for keying in ({}, {"white": 0.5}):  # the second one without opening the shot anew
        recipe = recipe_of(pattern, tmp_path / f"out{len(keying)}", matte={"key": "green", "keying": keying})
        render(recipe)
        shown = maker.preview(recipe, tmp_path, 1003, 5000, ("alpha",))
        assert np.array_equal(shown.channels["alpha.A"], delivered(recipe, 1003)["alpha.A"])


def test_screen_is_measured_again_when_a_sampled_plate_changes(pattern: str, tmp_path: Path) -> None:
    recipe = recipe_of(pattern, tmp_path / "out")
    for frame in screens.FRAMES:  # older than what a timestamp may hide
        os.utime(pattern.replace("####", str(frame)), (1e9, 1e9))
    first = checked(recipe).inputs
    for frame in screens.FRAMES:
        small.write(
            Path(pattern.replace("####", str(frame))), screens.plate_of(frame, screens.BLUE), "RGB", small.REC709
        )
    again = checked(recipe).inputs
    assert first is not None and first.screen is not None and again is not None and again.screen is not None
    assert (first.screen.name, again.screen.name) == ("green", "blue")


def test_matte_may_be_inverted(pattern: str, tmp_path: Path) -> None:
    recipe = recipe_of(pattern, tmp_path / "out", matte={"key": "green", "invert": True})
    render(recipe, "1001")
    plain = recipe_of(pattern, tmp_path / "plain")
    render(plain, "1001")
    found, other = (delivered(one, 1001)["alpha.A"].astype(np.float32) for one in (recipe, plain))
    assert np.abs(found + other - 1).max() < 2.0**-10


def test_black_frames_have_no_matte(pattern: str, tmp_path: Path) -> None:
    Path(pattern.replace("####", "1003")).unlink()
    recipe = recipe_of(pattern, tmp_path / "out", plate={"path": pattern, "missing": "black"})
    render(recipe)
    assert delivered(recipe, 1003)["alpha.A"].max() == 0


def test_shot_without_a_screen_is_refused_by_the_check(shot: Any) -> None:
    answer = checked(shot.recipe(matte={"key": "auto"}))
    with pytest.raises(FrameError, match=r"matte\.key: frames 1001-1004: expected a green or blue screen"):
        answer.raise_first()


@pytest.mark.parametrize(
    ("matte", "path"),
    [
        ({"key": "red"}, "matte.key"),
        ({"key": "auto", "path": "a"}, "matte.key"),
        ({"path": "a", "keying": {}}, "matte.keying"),
        ({"key": "auto", "channel": "R"}, "matte.channel"),
        ({"key": "auto", "keying": {"black": 0.5, "white": 0.4}}, "matte.keying.black"),
        ({"key": "auto", "keying": {"color": [0.5, 0.5, 0.5]}}, "matte.keying.color"),
        ({"key": "auto", "keying": {"garbage": [[0, 0, 1]]}}, "matte.keying.garbage[0]"),
        ({"key": "auto", "keying": {"hold_out": [[5, 0, 1, 9]]}}, "matte.keying.hold_out[0]"),
    ],
)
def test_impossible_keying_is_refused_by_key(matte: dict[str, Any], path: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_of("plate.####.exr", tmp_path, matte=matte)
    assert caught.value.path == path


def test_recipe_with_boxes_survives_toml(pattern: str, tmp_path: Path) -> None:
    keying = {"color": [0.5, 0.4, 0.1], "garbage": [[0, 0, 10, 20.5]], "shade": 0.3}
    recipe = recipe_of(pattern, tmp_path, matte={"key": "auto", "keying": keying})
    (tmp_path / "shot.toml").write_text(recipe.to_toml())
    assert Recipe.from_toml(tmp_path / "shot.toml") == recipe


def _plain() -> Any:
    from platelight.recipe_parts import Keying

    return Keying()


def test_output_in_other_primaries_has_the_same_matte(pattern: str, tmp_path: Path) -> None:
    plain = recipe_of(pattern, tmp_path / "plain")
    wide = into(plain, tmp_path / "wide")
    wide = Recipe.from_dict({**wide.to_dict(), "output": {**wide.to_dict()["output"], "colorspace": "ACEScg"}})
    render(plain, "1002")
    render(wide, "1002")
    assert np.array_equal(delivered(plain, 1002)["alpha.A"], delivered(wide, 1002)["alpha.A"])
