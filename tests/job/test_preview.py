"""Previews: what the job delivers, reduced; nothing done twice, and never an old picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from platelight.errors import ForbiddenPathError, FrameError, InputError, RecipeError
from platelight.lights import Light, Probe
from platelight.recipe import CameraSource, Recipe
from platelight_server.engines.interface import Cancelled
from platelight_server.plates import exr, fence
from platelight_server.plates.picture import Box
from platelight_server.preview import Preview, Previewer
from tests.job.rendering import STILL, WAVY, delivered, render, stack
from tests.shots import small
from tests.shots.small import Shot

HALF = 48  # half the width of a small shot: every pixel is the mean of four
# Half has 11 bits; the mean of four halves is rounded once, and once more when it is delivered.
HALF_ROUNDING = 2.0**-10
# Relative to 0.1 + value. Four pixels share one gain, and at the soft edge, some 5 % of a small shot's pixels, the
# colours of both sides are estimated from a coarser plate: there, beside highlights of 20, they may lie far off.
MEAN_TOLERANCE, FAR, FAR_SHARE = 0.02, 0.1, 0.05
SUN = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
TILTED = ((0.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
PIECES = ("open", "read", "prepare", "relight", "finish")


@pytest.fixture
def maker() -> Previewer:
    """Files of a test were written just before it; it does not wait for them to settle."""
    return Previewer(settled_s=0.0)


def made(preview: Preview) -> str:
    """The stages that had something to make."""
    return " ".join(stage for stage in PIECES if preview.spent[stage].made)


def rgb(preview: Preview) -> np.ndarray:
    """(3, h, w) float32, scene-linear: the composite of a preview."""
    return np.stack([preview.channels[name] for name in "RGB"]).astype(np.float32)


def smaller(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """(C, H, W) -> (C, height, width) float32, mean by area."""
    size = (width, height)
    return np.stack([cv2.resize(p.astype(np.float32), size, interpolation=cv2.INTER_AREA) for p in pixels])


def classic(shot: Shot, **tables: Any) -> Recipe:
    """The classic engine with a light and a probe on either side."""
    for name, seed in (("a", 1), ("b", 2)):
        pixels = np.random.default_rng(seed).random((3, 16, 32)).astype(np.float16)
        small.write(shot.folder / f"probe_{name}.exr", pixels, "RGB", small.REC709)
    recipe = shot.recipe(engine={"name": "classic"}, **tables)
    return replace(
        recipe, lights=(Light("sun", 2.0, transform=SUN),), probe_plate=Probe(str(shot.folder / "probe_a.exr")),
        probe_background=Probe(str(shot.folder / "probe_b.exr")),
    )  # fmt: skip


def close(preview: Preview, recipe: Recipe, frame: int) -> tuple[bool, bool]:
    """Whether the preview lies near the delivered frame: in the mean, and but for few pixels everywhere."""
    expected = smaller(stack(delivered(recipe, frame), ""), preview.width, preview.height)
    difference = np.abs(rgb(preview) - expected) / (0.1 + np.abs(expected))
    return float(difference.mean()) < MEAN_TOLERANCE, float((difference > FAR).mean()) < FAR_SHARE


@pytest.mark.parametrize("engine", ["test_wavy", "test_painting", "test_steps"])
@pytest.mark.parametrize("kept", [False, True])
def test_preview_is_the_delivered_frame_reduced(shot: Shot, maker: Previewer, engine: str, kept: bool) -> None:
    recipe = shot.recipe(engine={"name": engine}, **({"background": None} if kept else {}))
    render(recipe)
    found = maker.preview(recipe, shot.folder, 1003, HALF)
    assert (found.frame, found.width, found.height, found.colorspace) == (1003, HALF, 32, "Linear Rec.709")
    assert close(found, recipe, 1003) == (True, True)


@pytest.mark.parametrize("look", [{}, {"strength": 0.5, "exposure_stops": 1.0}, {"light_wrap": 0.5, "contrast": 1.3}])
def test_classic_preview_is_the_delivered_frame_reduced(shot: Shot, maker: Previewer, look: dict[str, float]) -> None:
    recipe = classic(shot, look=look)
    outcome = render(recipe)
    found = maker.preview(recipe, shot.folder, 1002, HALF)
    assert close(found, recipe, 1002) == (True, True)
    assert found.notes == dict(outcome.notes.values)


def test_preview_at_full_width_is_the_delivered_frame(shot: Shot, maker: Previewer) -> None:
    recipe = classic(shot, look={"exposure_stops": 0.5})
    render(recipe)
    layers = recipe.output.layers
    found = maker.preview(recipe, shot.folder, 1003, 5000, layers)
    expected = delivered(recipe, 1003) | delivered(recipe, 1003, aux=True)
    assert (found.width, set(found.channels)) == (small.WIDTH, set(expected))
    assert [name for name, plane in found.channels.items() if not np.array_equal(plane, expected[name])] == []


def test_preview_of_no_change_is_the_plate_reduced(shot: Shot, maker: Previewer) -> None:
    found = maker.preview(shot.recipe(engine=STILL, background=None), shot.folder, 1001, HALF)
    expected = smaller(small.plate_pixels(1001), HALF, 32)
    assert float((np.abs(rgb(found) - expected) / (np.abs(expected) + 1e-3)).max()) < HALF_ROUNDING


def test_channels_are_halves_of_the_layers_asked_for(shot: Shot, maker: Previewer) -> None:
    recipe = shot.recipe(output={"directory": str(shot.folder / "out"), "depth": "float"})
    found = maker.preview(recipe, shot.folder, 1001, HALF, ("composite", "background", "gain"))
    names = {"R", "G", "B", "A", *(f"background.{c}" for c in "RGB"), *(f"gain.{c}" for c in "XYZ")}
    assert (set(found.channels), {p.dtype.name for p in found.channels.values()}) == (names, {"float16"})
    assert {plane.shape for plane in found.channels.values()} == {(32, HALF)}
    with pytest.raises(ValueError, match="read-only"):
        found.channels["R"][0, 0] = 1


def test_nothing_is_written(shot: Shot, maker: Previewer) -> None:
    before = sorted(shot.folder.rglob("*"))
    maker.preview(shot.recipe(), shot.folder, 1001)
    assert sorted(shot.folder.rglob("*")) == before


def test_paths_may_be_relative(shot: Shot, maker: Previewer) -> None:
    recipe = shot.recipe()
    found = maker.preview(recipe.relative_to(shot.folder), shot.folder, 1001, HALF)
    assert np.array_equal(rgb(found), rgb(Previewer().preview(recipe, Path("/"), 1001, HALF)))


def look(**dials: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, look=replace(recipe.look, **dials))


def probe(role: str, **values: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: replace(recipe, **{role: replace(getattr(recipe, role), **values)})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda recipe: recipe, ""),
        (lambda recipe: replace(recipe, name="other", output=replace(recipe.output, directory="/nowhere")), ""),
        (look(strength=0.5), "finish"),
        (look(exposure_stops=1.0), "finish"),
        (look(edge="keep"), "finish"),
        (look(light_wrap=0.5), "finish"),
        (look(stability=0.5), "prepare relight finish"),
        (look(seed=3), "prepare relight finish"),
        (lambda recipe: replace(recipe, lights=(Light("sun", 2.0, transform=TILTED),)), "prepare relight finish"),
        (lambda recipe: replace(recipe, lights=()), "prepare relight finish"),
        (probe("probe_background", rotation_deg=90.0), "read prepare relight finish"),
        (probe("probe_plate", exposure_stops=1.0), "read prepare relight finish"),
        (probe("probe_background", rotations_deg={1002: 33.0}), "read prepare relight finish"),
        (probe("probe_background", path=None, color=(1.0, 0.5, 0.2)), "open read prepare relight finish"),
        (probe("background", exposure_stops=1.0), "read prepare relight finish"),
        (probe("matte", invert=True), "open read prepare relight finish"),
    ],
)  # fmt: skip
def test_only_what_changed_is_made_again_and_gives_what_a_new_previewer_gives(
    shot: Shot, maker: Previewer, change: Callable[[Recipe], Recipe], expected: str
) -> None:
    recipe = classic(shot)
    first = maker.preview(recipe, shot.folder, 1002, HALF)
    second = maker.preview(change(recipe), shot.folder, 1002, HALF)
    alone = Previewer().preview(change(recipe), shot.folder, 1002, HALF)
    assert (made(first), made(second)) == (" ".join(PIECES), expected)
    assert (np.array_equal(rgb(second), rgb(alone)), second.notes == alone.notes) == (True, True)
    if change(recipe).look.seed == 0:  # the classic engine draws no noise
        assert np.array_equal(rgb(second), rgb(first)) == (expected == "")


def test_turning_a_probe_reads_no_file(shot: Shot, maker: Previewer, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = classic(shot)
    maker.preview(recipe, shot.folder, 1002, HALF)
    monkeypatch.setattr(exr, "read", lambda *_: pytest.fail("a file was read"))
    monkeypatch.setattr(exr, "read_info", lambda *_: pytest.fail("a header was read"))
    for degrees in (30.0, 60.0):
        turned = probe("probe_background", rotation_deg=degrees)(recipe)
        assert maker.preview(turned, shot.folder, 1002, HALF).spent["read"].made == 1


def test_engine_that_cannot_be_prepared_again_is_made_anew_and_a_look_keeps_its_answer(
    shot: Shot, maker: Previewer
) -> None:
    recipe = shot.recipe(engine=WAVY)
    maker.preview(recipe, shot.folder, 1002, HALF)
    assert made(maker.preview(look(strength=0.1)(recipe), shot.folder, 1002, HALF)) == "finish"
    assert made(maker.preview(look(seed=7)(recipe), shot.folder, 1002, HALF)) == "prepare relight finish"
    slower = replace(recipe, engine=replace(recipe.engine, options={"sleep_seconds": 0.001}))
    assert made(maker.preview(slower, shot.folder, 1002, HALF)) == "prepare relight finish"


def test_flipping_between_frames_reads_once(shot: Shot, maker: Previewer) -> None:
    recipe = classic(shot)
    pictures = [rgb(maker.preview(recipe, shot.folder, frame, HALF)) for frame in (1001, 1003)]
    for frame, picture in ((1001, pictures[0]), (1003, pictures[1])):
        again = maker.preview(recipe, shot.folder, frame, HALF)
        assert (made(again), np.array_equal(rgb(again), picture)) == ("finish", True)


@pytest.mark.parametrize("engine", ["test_wavy", "classic"])
@pytest.mark.parametrize(
    ("name", "pixels", "channels"),
    [
        ("plate/plate.1002.exr", small.plate_pixels(77), "RGB"),
        ("matte/matte.1002.exr", small.matte_pixels(1009), "A"),
        ("background.exr", small.plate_pixels(78), "RGB"),
    ],
)
def test_changed_file_is_seen(
    shot: Shot, maker: Previewer, engine: str, name: str, pixels: np.ndarray, channels: str
) -> None:
    recipe = shot.recipe(engine={"name": engine})
    first = rgb(maker.preview(recipe, shot.folder, 1002, HALF))
    small.write(shot.folder / name, pixels, channels, small.REC709 if channels == "RGB" else {})
    second = maker.preview(recipe, shot.folder, 1002, HALF)
    alone = rgb(Previewer().preview(recipe, shot.folder, 1002, HALF))
    assert (np.array_equal(rgb(second), alone), np.array_equal(first, alone)) == (True, False)


def test_changed_neighbour_is_seen_by_an_engine_that_looks_at_it(shot: Shot, maker: Previewer) -> None:
    recipe = classic(shot)
    first = rgb(maker.preview(recipe, shot.folder, 1002, HALF))
    small.write(shot.folder / "matte" / "matte.1003.exr", small.matte_pixels(1012), "A")
    second = maker.preview(recipe, shot.folder, 1002, HALF)
    alone = rgb(Previewer().preview(recipe, shot.folder, 1002, HALF))
    assert (np.array_equal(rgb(second), alone), np.array_equal(first, alone)) == (True, False)


def test_changed_camera_file_is_seen(shot: Shot, maker: Previewer) -> None:
    path = shot.folder / "cam.chan"

    def turn(degrees: float) -> None:
        path.write_text("".join(f"{frame} 0 1 4 0 {degrees} 0 40\n" for frame in shot.frames))

    turn(0.0)
    recipe = replace(classic(shot), camera=CameraSource(path=str(path), sensor_mm=(36.0, 24.0)))
    first = rgb(maker.preview(recipe, shot.folder, 1002, HALF))
    turn(120.0)
    second = maker.preview(recipe, shot.folder, 1002, HALF)
    alone = rgb(Previewer().preview(recipe, shot.folder, 1002, HALF))
    assert (np.array_equal(rgb(second), alone), np.array_equal(first, alone)) == (True, False)


def test_cleared_previewer_begins_anew(shot: Shot, maker: Previewer) -> None:
    recipe = shot.recipe()
    first = rgb(maker.preview(recipe, shot.folder, 1002, HALF))
    maker.clear()
    second = maker.preview(recipe, shot.folder, 1002, HALF)
    assert (made(second), np.array_equal(rgb(second), first)) == (" ".join(PIECES), True)


def test_another_matte_path_is_seen(shot: Shot, maker: Previewer) -> None:
    recipe = shot.recipe()
    maker.preview(recipe, shot.folder, 1002, HALF)
    small.write(shot.folder / "other.exr", small.matte_pixels(1010), "A")
    other = replace(recipe, matte=replace(recipe.matte, path=str(shot.folder / "other.exr")))
    found = maker.preview(other, shot.folder, 1002, HALF)
    assert np.array_equal(rgb(found), rgb(Previewer().preview(other, shot.folder, 1002, HALF)))


def test_file_that_has_not_settled_is_read_at_every_request(shot: Shot) -> None:
    maker, recipe = Previewer(settled_s=3600.0), shot.recipe()
    maker.preview(recipe, shot.folder, 1002, HALF)
    assert made(maker.preview(recipe, shot.folder, 1002, HALF)) == " ".join(PIECES)


def test_file_that_goes_away_is_an_error_and_its_return_is_seen(shot: Shot, maker: Previewer) -> None:
    recipe, path = shot.recipe(), shot.folder / "plate" / "plate.1002.exr"
    first = rgb(maker.preview(recipe, shot.folder, 1002, HALF))
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(FrameError, match="missing frames 1002"):
        maker.preview(recipe, shot.folder, 1002, HALF)
    path.write_bytes(content)
    assert np.array_equal(rgb(maker.preview(recipe, shot.folder, 1002, HALF)), first)


@pytest.mark.parametrize("policy", ["hold", "black"])
def test_missing_frame_is_served_as_in_the_job(tmp_path: Path, maker: Previewer, policy: str) -> None:
    shot = small.make_shot(tmp_path, 6)
    (tmp_path / "plate" / "plate.1003.exr").unlink()
    plate = {"path": str(tmp_path / "plate" / "plate.####.exr"), "missing": policy}
    recipe = shot.recipe(engine=STILL, background=None, plate=plate)
    render(recipe)
    found = maker.preview(recipe, tmp_path, 1003, small.WIDTH)
    assert np.array_equal(rgb(found), stack(delivered(recipe, 1003), "").astype(np.float32))


def test_skipped_frame_has_no_preview_and_its_neighbours_have(tmp_path: Path, maker: Previewer) -> None:
    shot = small.make_shot(tmp_path, 6)
    (tmp_path / "plate" / "plate.1003.exr").unlink()
    recipe = shot.recipe(plate={"path": str(tmp_path / "plate" / "plate.####.exr"), "missing": "skip"})
    render(recipe)
    with pytest.raises(FrameError, match="frame 1003: plate.missing = 'skip'"):
        maker.preview(recipe, tmp_path, 1003, HALF)
    found = maker.preview(recipe, tmp_path, 1004, small.WIDTH)
    assert np.array_equal(rgb(found), stack(delivered(recipe, 1004), "").astype(np.float32))
    assert found.warnings == ("plate.missing = 'skip': frames 1003 are not rendered",)


def test_only_the_files_of_the_window_and_the_samples_must_be_there(tmp_path: Path, maker: Previewer) -> None:
    shot = small.make_shot(tmp_path, 40)
    (tmp_path / "matte" / "matte.1009.exr").unlink()
    recipe = shot.recipe(engine={"name": "classic"})
    maker.preview(recipe, tmp_path, 1020, HALF)
    with pytest.raises(FrameError, match="missing frames 1009"):
        maker.preview(recipe, tmp_path, 1010, HALF)


@pytest.mark.parametrize("width", [0, -5, 15, 9000, 96.5, True, "96"])
def test_bad_width_is_refused(shot: Shot, maker: Previewer, width: Any) -> None:
    with pytest.raises(RecipeError, match="width: expected a number of pixels from 16"):
        maker.preview(shot.recipe(), shot.folder, 1001, width)


@pytest.mark.parametrize("layers", [(), ("composite", "beauty")])
def test_bad_layers_are_refused(shot: Shot, maker: Previewer, layers: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match="layers: expected one or more of composite"):
        maker.preview(shot.recipe(), shot.folder, 1001, HALF, layers)


def test_frame_outside_the_shot_is_refused(shot: Shot, maker: Previewer) -> None:
    with pytest.raises(InputError, match="frame 1099: expected one of the shot, it has 1001-1004"):
        maker.preview(shot.recipe(), shot.folder, 1099)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"engine": {"name": "nosuch"}}, "engine.name: expected one of"),
        ({"engine": {"name": "test_wavy", "options": {"nosuch": 1}}}, "engine.options.nosuch"),
        ({"background": {"prompt": "a beach"}}, "background: expected one of keep"),
        ({"matte": {"path": "/nowhere/m.####.exr"}}, "/nowhere"),
        ({"output": {"colorspace": "nosuch"}}, "colour space 'nosuch'"),
    ],
)
def test_bad_recipe_is_refused_as_by_the_check(
    shot: Shot, maker: Previewer, tables: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        maker.preview(shot.recipe(**tables), shot.folder, 1001, HALF)


@pytest.mark.parametrize("value", [np.nan, 7.0, 0.0])
def test_bad_matte_is_refused(shot: Shot, maker: Previewer, value: float) -> None:
    for frame in shot.frames:
        pixels = np.full((1, small.HEIGHT, small.WIDTH), value, np.float16)
        small.write(shot.folder / "matte" / f"matte.{frame}.exr", pixels, "A")
    with pytest.raises(FrameError, match="expected (finite pixels|a matte from 0 to 1|a foreground)"):
        maker.preview(shot.recipe(), shot.folder, 1001, HALF)


def test_error_of_the_engine_leaves_a_previewer_that_works(shot: Shot, maker: Previewer) -> None:
    recipe = classic(shot)
    first = rgb(maker.preview(recipe, shot.folder, 1001, HALF))
    card = replace(recipe, engine=replace(recipe.engine, options={"grey_card": [1001, 0.5, 0.5]}))
    with pytest.raises(RecipeError, match="grey_card: expected four numbers"):
        maker.preview(card, shot.folder, 1001, HALF)
    assert np.array_equal(rgb(maker.preview(recipe, shot.folder, 1001, HALF)), first)


def test_cancelled_preview_stops_at_a_step_and_the_next_one_works(shot: Shot, maker: Previewer) -> None:
    recipe = shot.recipe(engine={"name": "test_steps", "options": {"steps": 5}})
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 16  # nine files are looked at, five pictures are read, then the engine takes its steps

    with pytest.raises(Cancelled):
        maker.preview(recipe, shot.folder, 1002, HALF, cancelled=cancelled)
    found = maker.preview(recipe, shot.folder, 1002, HALF)
    assert (made(found), found.spent["read"].made) == ("prepare relight finish", 0)


def test_preview_is_cancelled_while_files_are_looked_at(
    shot: Shot, maker: Previewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exr, "read", lambda *_: pytest.fail("a file was read"))
    with pytest.raises(Cancelled):
        maker.preview(shot.recipe(), shot.folder, 1002, HALF, cancelled=lambda: True)


def test_fence_holds_for_previews(shot: Shot, tmp_path: Path, maker: Previewer) -> None:
    recipe = shot.recipe()
    expected = rgb(maker.preview(recipe, shot.folder, 1002, HALF))
    outside = tmp_path / "outside.exr"
    small.write(outside, small.plate_pixels(7), "RGB", small.REC709)
    with fence.enclosed([fence.Root("show", shot.folder)]):
        assert np.array_equal(rgb(Previewer(0.0).preview(recipe, shot.folder, 1002, HALF)), expected)
        with pytest.raises(ForbiddenPathError):
            maker.preview(shot.recipe(background={"still": str(outside)}), shot.folder, 1002, HALF)


def test_cropped_plates_are_shown_over_the_work_window(tmp_path: Path, maker: Previewer) -> None:
    shot = small.make_shot(tmp_path)
    for frame in shot.frames:  # half the width, wandering to the right: together 51 columns
        left = 10 + frame - 1001
        pixels = small.plate_pixels(frame)[:, :, left : left + 48]
        windows = {
            "dataWindow": ((left, 0), (left + 47, 63)), "displayWindow": ((0, 0), (95, 63)),
        }  # fmt: skip
        small.write(tmp_path / "plate" / f"plate.{frame}.exr", pixels, "RGB", {**small.REC709, **windows})
    recipe = shot.recipe(engine=STILL, background=None)
    found = maker.preview(recipe, tmp_path, 1002)
    assert (found.work, found.display) == (Box(10, 0, 60, 63), Box(0, 0, 95, 63))
    assert (found.width, found.height) == (51, 64)
    assert np.array_equal(rgb(found)[:, :, 1:49], small.plate_pixels(1002)[:, :, 11:59].astype(np.float32))


def test_memory_is_bounded(tmp_path: Path, maker: Previewer) -> None:
    shot = small.make_shot(tmp_path, 40)
    recipe, held = classic(shot), []
    for frame in shot.frames:
        maker.preview(recipe, tmp_path, frame, HALF)
        held.append([len(store) for store in maker._reduced.stores()])
    # Plates with their mattes count one each, the still background one: eight beside those of the last request.
    shown, seen, radiances, probes = np.max(held, 0)
    assert (shown <= 8 + 6, seen <= 8 + 14, radiances, probes) == (True, True, 2, 2)
