"""A green screen's shot: the keyer is chosen in the panel, its dials reach the recipe, a real server keys by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

bpy = pytest.importorskip("bpy")

from platelight_addon.core import Keying, Matte  # noqa: E402
from platelight_addon.gather import gather  # noqa: E402

from tests.blender.making import read_exr, write_exr  # noqa: E402
from tests.blender.serving import WAIT_S, needs_server  # noqa: E402

WIDTH, HEIGHT, COUNT = 160, 90, 2
GREEN, MAGENTA = (0.06, 0.55, 0.10), (0.60, 0.05, 0.50)
MAGENTA_ACESCG, PRINTED = (0.40852, 0.09466, 0.45276), 1e-5  # by the config in ocio/, as printed
SUBJECT, GARBAGE = (slice(30, 90), slice(60, 100)), (slice(0, 20), slice(0, 30))  # rows, columns
DROPS = (slice(34, 86), slice(64, 96))  # well inside the subject
SINGLE = 1e-6
GRAIN = 0.02  # the keyer lets one screen pixel of a hundred stay over its black, by a little


def screened(folder: Path, screen: tuple[float, float, float]) -> Path:
    """A subject of skin before a screen with grain, and a grey stand in a corner. Returns the first file."""
    drawn = np.random.default_rng(3)
    for number in range(1001, 1001 + COUNT):
        picture = np.empty((3, HEIGHT, WIDTH), np.float32)
        picture[:] = np.array(screen)[:, None, None]
        picture[(slice(None), *SUBJECT)] = np.array((0.5, 0.3, 0.2))[:, None, None]
        picture[(slice(None), *GARBAGE)] = 0.2
        picture += drawn.normal(0, 0.004, picture.shape).astype(np.float32)
        write_exr(folder / f"plate.{number}.exr", dict(zip("RGB", picture, strict=True)))
    return folder / "plate.1001.exr"


@pytest.fixture
def keyed(shot: Any, tmp_path: Path) -> Any:
    """A shot before green, keyed."""
    shot.plate_clip = bpy.data.movieclips.load(str(screened(tmp_path / "plate", GREEN)))
    shot.output_directory, shot.matte_kind = str(tmp_path / "out"), "KEY"
    return shot


def matte_of(scene: Any, shot: Any) -> Matte:
    found = gather(scene, shot)
    assert found.recipe is not None, found.problems
    return found.recipe.matte


def test_the_keyer_alone_is_one_word_and_its_dials_begin_as_the_recipes(scene: Any, keyed: Any) -> None:
    assert matte_of(scene, keyed) == Matte(key="auto")
    keyed.keying.screen, keyed.matte_invert = "blue", True
    assert matte_of(scene, keyed) == Matte(key="blue", invert=True)


def test_dials_and_boxes_reach_the_recipe(scene: Any, keyed: Any) -> None:
    dials = keyed.keying
    dials.has_black, dials.black, dials.white, dials.shade, dials.core = True, 0.25, 0.75, 0.5, 0.0
    for kind, left in (("garbage", 0), ("hold_out", 60)):
        box = dials.boxes.add()
        box.kind, box.left, box.top, box.right, box.bottom = kind, left, 0, left + 30, 20
    held = matte_of(scene, keyed).keying
    assert held == Keying(
        None, 0.25, 0.75, 0.5, 0.0, garbage=((0.0, 0.0, 30.0, 20.0),), hold_out=((60.0, 0.0, 90.0, 20.0),)
    )


def test_what_cannot_be_keyed_is_one_sentence(scene: Any, keyed: Any) -> None:
    def told() -> list[str]:
        return [problem.text for problem in gather(scene, keyed).problems if problem.level == "stop"]

    keyed.keying.screen = "own"
    assert told() == ["The screen's color is grey (0, 0, 0): pick it in the plate with the eyedropper."]
    keyed.keying.color = GREEN
    assert told() == []
    keyed.keying.has_black, keyed.keying.black, keyed.keying.white = True, 0.9, 0.5
    assert told() == ["The shot cannot be sent: black: expected less than keying.white, 0.5, got 0.9."]
    keyed.keying.has_black = False
    box = keyed.keying.boxes.add()
    box.left, box.right = 9, 9
    assert told() == ["A garbage box of the keyer is empty (9, 0 to 9, 0): give it a size, or remove it."]


def test_a_picked_colour_is_told_as_the_plates_files_have_it(scene: Any, keyed: Any) -> None:
    keyed.keying.screen, keyed.keying.color = "own", MAGENTA
    assert matte_of(scene, keyed).keying.color == pytest.approx(MAGENTA, abs=SINGLE)
    keyed.plate_clip.colorspace_settings.name = "ACEScg"
    red, green, blue = matte_of(scene, keyed).keying.color
    assert (red, green, blue) == pytest.approx(MAGENTA_ACESCG, abs=PRINTED)
    keyed.plate_clip.colorspace_settings.name = "AgX Log"
    found = gather(scene, keyed)
    assert found.recipe.matte.keying.color == pytest.approx(MAGENTA, abs=SINGLE)
    assert any(problem.text.startswith("The primaries of AgX Log are not known here") for problem in found.problems)


@pytest.mark.skipif(bpy.app.version < (5, 0, 0), reason="before 5.0 a file's working space cannot be chosen")
def test_a_colour_picked_in_another_working_space_is_the_same_to_the_keyer(scene: Any, keyed: Any) -> None:
    bpy.ops.wm.set_working_color_space(working_space="ACEScg")
    scene = bpy.context.scene
    shot = scene.platelight.shots[0]
    shot.keying.screen, shot.keying.color = "own", MAGENTA_ACESCG
    assert matte_of(scene, shot).keying.color == pytest.approx(MAGENTA, abs=PRINTED)


@needs_server
@pytest.mark.parametrize(("screen", "name"), [(GREEN, "auto"), (MAGENTA, "own")])
def test_a_server_keys_as_the_panel_says(
    server: None, addon: object, tmp_path: Path, screen: tuple[float, float, float], name: str
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.data.movieclips.load(str(screened(tmp_path / "plate", screen)))
    assert bpy.ops.platelight.add_shot(name="sh010") == {"FINISHED"}
    shot = bpy.context.scene.platelight.shots[0]
    assert bpy.ops.platelight.fix(input="matte", choice="KEY") == {"FINISHED"}
    assert bpy.ops.platelight.screen_box(box=(0, 0, 30, 20)) == {"FINISHED"}
    shot.keying.screen = name
    if name == "own":
        shot.keying.color = screen
    shot.camera_kind, shot.use_world = "NONE", False
    assert bpy.ops.platelight.relight(wait=True, timeout=WAIT_S) == {"FINISHED"}
    for number in range(1001, 1001 + COUNT):
        alpha = read_exr(tmp_path / "platelight" / "sh010" / "v001" / f"sh010.{number}.exr")["alpha.A"]
        screen_only = np.ones(alpha.shape, bool)
        screen_only[28:, 58:102] = False  # the subject and its edge
        assert alpha[DROPS].min() == 1 and alpha[screen_only].max() < GRAIN
