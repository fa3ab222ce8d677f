"""What does not change is the plate, bit for bit, through files, colour, finish and files again."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest

from platelight.recipe import Recipe
from platelight_server.plates import exr
from tests.job.rendering import STILL, WAVY, delivered, header, render, stack
from tests.shots import small
from tests.shots.small import Shot

# Layers are half: eleven bits, so each of the two sums of a rebuild is off by at most half a step of its result, and by
# half a step of each delivered summand.
HALF_STEP = 2.0**-11
# Below the smallest normal half, steps are of this size.
HALF_TINY = 2.0**-24


def plate(shot: Shot, frame: int) -> np.ndarray:
    return exr.read(shot.folder / "plate" / f"plate.{frame}.exr", "RGB").pixels


def matte(shot: Shot, frame: int) -> np.ndarray:
    return exr.read(shot.folder / "matte" / f"matte.{frame}.exr", "A").pixels[0]


def bits(pixels: np.ndarray) -> np.ndarray:
    assert pixels.dtype == np.float16
    return pixels.view(np.uint16)


def test_small_shot_has_values_below_zero_and_above_one(shot: Shot) -> None:
    pixels = plate(shot, 1001)
    assert (bool((pixels < 0).any()), bool((pixels > 1).any())) == (True, True)


@pytest.mark.parametrize("edge", ["clean", "keep"])
def test_kept_background_and_no_change_give_the_plate_back(shot: Shot, edge: str) -> None:
    recipe = shot.recipe(background=None, engine=STILL, look={"edge": edge})
    render(recipe)
    same = [np.array_equal(bits(stack(delivered(recipe, f), "")), bits(plate(shot, f))) for f in shot.frames]
    assert same == [True] * len(shot.frames)


@pytest.mark.slow
def test_4k_plate_comes_back_bit_for_bit(tmp_path: Path) -> None:
    shot = small.make_shot(tmp_path, 1, 4096, 2160)
    recipe = shot.recipe(
        background=None, engine=STILL, output={"directory": str(tmp_path / "out"), "layers": ["composite"]}
    )
    render(recipe)
    assert np.array_equal(bits(stack(delivered(recipe, 1001), "")), bits(plate(shot, 1001)))


@pytest.mark.parametrize("engine", ["test_wavy", "test_painting"])
def test_outside_the_matte_the_kept_background_is_bit_exact(shot: Shot, engine: str) -> None:
    recipe = shot.recipe(background=None, engine={"name": engine})
    render(recipe)
    outside = matte(shot, 1002) == 0
    assert np.array_equal(bits(stack(delivered(recipe, 1002), "")[:, outside]), bits(plate(shot, 1002)[:, outside]))


def test_inside_the_matte_the_light_does_change(shot: Shot) -> None:
    recipe = shot.recipe(background=None, engine=WAVY)
    render(recipe)
    inside = matte(shot, 1002) == 1
    assert not np.array_equal(stack(delivered(recipe, 1002), "")[:, inside], plate(shot, 1002)[:, inside])


def test_on_a_new_background_the_opaque_foreground_is_the_plate(shot: Shot) -> None:
    recipe = shot.recipe(engine=STILL)
    render(recipe)
    inside = matte(shot, 1003) == 1
    assert np.array_equal(bits(stack(delivered(recipe, 1003), "relit")[:, inside]), bits(plate(shot, 1003)[:, inside]))


def test_outside_the_matte_the_composite_is_the_new_background(shot: Shot) -> None:
    recipe = shot.recipe(engine=WAVY)
    render(recipe)
    found, outside = delivered(recipe, 1003), matte(shot, 1003) == 0
    assert np.array_equal(bits(stack(found, "")[:, outside]), bits(stack(found, "background")[:, outside]))


def test_painted_background_stands_behind_the_foreground_at_plate_size(shot: Shot) -> None:
    recipe = shot.recipe(background={"prompt": "a grey wall"}, engine={"name": "test_backdrop"})
    render(recipe)
    found, outside = delivered(recipe, 1003), matte(shot, 1003) == 0
    painted = np.full((3, int(outside.sum())), 0.25, np.float16)
    assert np.array_equal(stack(found, "")[:, outside], painted)
    assert json.loads(header(recipe, 1003)["platelight:proof"])["outside"] == 0.0


def test_matte_is_delivered_as_it_came(shot: Shot) -> None:
    recipe = shot.recipe(engine=WAVY)
    render(recipe)
    assert np.array_equal(bits(delivered(recipe, 1003)["alpha.A"]), bits(matte(shot, 1003)))


def rebuilt(recipe: Recipe, frame: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    main = {name: plane.astype(np.float64) for name, plane in delivered(recipe, frame).items()}
    aux = {name: plane.astype(np.float64) for name, plane in delivered(recipe, frame, aux=True).items()}
    return main, aux


def test_relit_rebuilds_from_the_delivered_layers(shot: Shot) -> None:
    recipe = shot.recipe(engine=WAVY)
    render(recipe)
    main, aux = rebuilt(recipe, 1002)
    factor = np.exp2(stack(aux, "gain", "XYZ"))
    foreground, light = stack(aux, "foreground"), main["alpha.A"] * stack(aux, "fill")
    # The result's own rounding, and those of the layers that it is rebuilt from.
    allowed = HALF_STEP * (np.abs(stack(main, "relit")) + np.abs(foreground) * factor + light) + HALF_TINY * (
        2 + factor
    )
    assert bool((np.abs(foreground * factor + light - stack(main, "relit")) <= allowed).all())


def test_composite_rebuilds_from_the_delivered_layers(shot: Shot) -> None:
    recipe = shot.recipe(engine=WAVY)
    render(recipe)
    main, _ = rebuilt(recipe, 1002)
    behind = (1 - main["alpha.A"]) * stack(main, "background")
    relit, composite = stack(main, "relit"), stack(main, "")
    allowed = HALF_STEP * (np.abs(composite) + np.abs(relit) + np.abs(behind)) + 3 * HALF_TINY
    assert bool((np.abs(relit + behind - composite) <= allowed).all())


def windowed(folder: Path, window: Any, display: Any, frames: int = 3, kind: type = np.float16) -> Shot:
    """A shot whose plates have the data window `window(i)` in the display window `display`."""
    shot = small.make_shot(folder, frames)
    for i, frame in enumerate(shot.frames):
        (x, y), (x_last, y_last) = window(i)
        pixels = small.plate_pixels(frame, x_last - x + 1, y_last - y + 1).astype(kind)
        head = {**small.REC709, "dataWindow": window(i), "displayWindow": display, "framesPerSecond": Fraction(24, 1)}
        small.write(folder / "plate" / f"plate.{frame}.exr", pixels, "RGB", head)
        width, height = display[1][0] - display[0][0] + 1, display[1][1] - display[0][1] + 1
        small.write(folder / "matte" / f"matte.{frame}.exr", small.matte_pixels(frame, width, height), "A")
    return shot


WINDOWS = {
    "cropped": (lambda i: ((10, 5), (79, 50)), ((0, 0), (95, 63))),
    "cropped and moving": (lambda i: ((10 + 3 * i, 5 - i), (70 + 4 * i, 50)), ((0, 0), (95, 63))),
    "overscan": (lambda i: ((-8, -6), (103, 69)), ((0, 0), (95, 63))),
    "partly outside": (lambda i: ((-20, 30), (50, 80)), ((0, 0), (95, 63))),
    "display elsewhere": (lambda i: ((100, 200), (195, 263)), ((100, 200), (195, 263))),
}


@pytest.mark.parametrize("name", sorted(WINDOWS))
@pytest.mark.parametrize("background", ["kept", "new"])
def test_windows_of_the_plate_survive(tmp_path: Path, name: str, background: str) -> None:
    shot = windowed(tmp_path, *WINDOWS[name])
    recipe = shot.recipe(engine=WAVY, **({"background": None} if background == "kept" else {}))
    render(recipe)
    before = [exr.read_info(shot.folder / "plate" / f"plate.{f}.exr") for f in shot.frames]
    after = [exr.read_info(Path(recipe.output.directory) / f"small.{f}.exr") for f in shot.frames]
    assert [(i.data, i.display) for i in after] == [(i.data, i.display) for i in before]


@pytest.mark.parametrize("name", sorted(WINDOWS))
def test_plate_of_any_window_comes_back_bit_for_bit(tmp_path: Path, name: str) -> None:
    shot = windowed(tmp_path, *WINDOWS[name])
    recipe = shot.recipe(background=None, engine=STILL)
    render(recipe)
    same = [np.array_equal(bits(stack(delivered(recipe, f), "")), bits(plate(shot, f))) for f in shot.frames]
    assert same == [True] * len(shot.frames)


def test_matte_lies_where_the_display_window_says(tmp_path: Path) -> None:
    shot = windowed(tmp_path, *WINDOWS["display elsewhere"])
    recipe = shot.recipe(engine=STILL)
    render(recipe)
    assert np.array_equal(bits(delivered(recipe, 1001)["alpha.A"]), bits(matte(shot, 1001)))


def test_float_plate_comes_back_rounded_to_half(tmp_path: Path) -> None:
    shot = windowed(tmp_path, lambda i: ((0, 0), (95, 63)), ((0, 0), (95, 63)), kind=np.float32)
    recipe = shot.recipe(background=None, engine=STILL)
    render(recipe)
    assert np.array_equal(bits(stack(delivered(recipe, 1001), "")), bits(plate(shot, 1001).astype(np.float16)))


def test_float_output_holds_float_channels(shot: Shot) -> None:
    recipe = shot.recipe(output={"directory": str(shot.folder / "out"), "depth": "float"}, engine=WAVY)
    render(recipe)
    assert {plane.dtype for plane in delivered(recipe, 1001).values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("compression", ["none", "rle", "zips", "zip", "piz", "pxr24"])
def test_every_lossless_compression_keeps_the_plate(shot: Shot, compression: str) -> None:
    out = {"directory": str(shot.folder / "out"), "compression": compression, "layers": ["composite"]}
    recipe = shot.recipe(background=None, engine=STILL, output=out)
    render(recipe, "1002")
    assert np.array_equal(bits(stack(delivered(recipe, 1002), "")), bits(plate(shot, 1002)))


def test_headers_of_the_plate_survive(shot: Shot) -> None:
    recipe = shot.recipe(engine=WAVY)
    render(recipe)
    found = header(recipe, 1003)
    code = OpenEXR.TimeCode(1, 2, 3, 1003 % 24, False, False, False, False, False, False, 0, 0, 0, 0, 0, 0, 0, 0)
    expected = {
        "timeCode": str(code),
        "framesPerSecond": str(Fraction(24000, 1001)),
        "owner": "ACME",
        "studio/shot": "sh010",
    }
    assert {key: str(found.get(key)) for key in expected} == expected


def test_rate_of_the_recipe_goes_into_the_header(shot: Shot) -> None:
    recipe = shot.recipe(rate=25)
    render(recipe)
    assert header(recipe, 1001)["framesPerSecond"] == 25


def test_matte_from_the_plates_alpha(tmp_path: Path) -> None:
    shot = small.make_shot(tmp_path, 2)
    for frame in shot.frames:
        pixels = np.concatenate([small.plate_pixels(frame), small.matte_pixels(frame)])
        small.write(tmp_path / "plate" / f"plate.{frame}.exr", pixels, "RGBA", small.REC709)
    recipe = shot.recipe(matte={"from_plate_alpha": True}, engine=STILL)
    render(recipe)
    assert np.array_equal(bits(delivered(recipe, 1001)["alpha.A"]), bits(small.matte_pixels(1001)[0]))


def test_inverted_matte_is_one_less_the_matte(shot: Shot) -> None:
    recipe = shot.recipe(matte={"path": str(shot.folder / "matte" / "matte.####.exr"), "invert": True}, engine=STILL)
    render(recipe)
    assert np.array_equal(delivered(recipe, 1001)["alpha.A"], np.float16(1) - matte(shot, 1001))
