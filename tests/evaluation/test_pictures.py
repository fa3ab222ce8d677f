"""Pictures for people: display encoding, captions, curves, contact sheets."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from platelight_server.color.spaces import named
from platelight_server.evaluation import contact_sheet, pictures
from tests.job.rendering import checked, render
from tests.shots.small import Shot

REC709 = named("lin_rec709_scene")


def flat(*values: float, height: int = 8, width: int = 12) -> np.ndarray:
    return np.stack([np.full((height, width), value, np.float32) for value in values])


@pytest.mark.parametrize(
    ("linear", "shown"), [(0.0, 0), (-1.0, 0), (0.18, 118), (1.0, 255), (16.0, 255), (np.inf, 255), (np.nan, 0)]
)
def test_display_is_srgb_clipped_to_white(linear: float, shown: int) -> None:
    assert np.unique(pictures.to_display(flat(linear, linear, linear), REC709, 6, 4)).tolist() == [shown]


def test_display_has_the_size_asked_for_and_is_packed() -> None:
    made = pictures.to_display(flat(0.1, 0.2, 0.3), named("ACEScg"), 7, 5)
    assert (made.shape, made.dtype, made.flags.c_contiguous) == ((5, 7, 3), np.uint8, True)


def test_matte_is_shown_as_it_is() -> None:
    assert np.unique(pictures.grey_to_display(flat(0.5)[0], 6, 4)).tolist() == [128]


@pytest.mark.parametrize(("stops", "shown"), [(0.0, 128), (3.0, 255), (-3.0, 0), (9.0, 255), (1.5, 191)])
def test_no_gain_is_middle_grey_and_three_stops_are_white(stops: float, shown: int) -> None:
    assert np.unique(pictures.gain_to_display(flat(stops, stops, stops), 6, 4)).tolist() == [shown]


@pytest.mark.parametrize("line", [[], [1.0], [1.0, 1.0], [0.0, 5.0, -5.0]])
def test_curve_of_any_length_stays_in_its_box(line: list[float]) -> None:
    sheet, pen = pictures.page(200, 120)
    pictures.curve(pen, (20, 30, 180, 90), "title", [("name", line, (255, 0, 0))])
    red = np.argwhere((np.asarray(sheet) == (255, 0, 0)).all(-1))
    drawn = red[red[:, 0] < 91]  # the name stands under the box in the same ink
    assert len(drawn) == 0 or (drawn.min(0) >= (30, 20)).all() and (drawn.max(0) <= (90, 180)).all()


def test_page_is_a_png() -> None:
    sheet, _ = pictures.page(40, 30)
    with Image.open(io.BytesIO(pictures.png(sheet))) as read:
        assert (read.format, read.size, read.getpixel((0, 0))) == ("PNG", (40, 30), pictures.PAPER)


def sheet_of(shot: Shot, **tables: object) -> Image.Image:
    recipe = shot.recipe(**tables)
    render(recipe)
    return Image.open(io.BytesIO(contact_sheet.sheet_png(checked(recipe), tile_width=96)))


def test_contact_sheet_has_a_tile_per_picture_and_a_row_per_frame(shot: Shot) -> None:
    with sheet_of(shot) as sheet:
        assert sheet.size == (2 * 32 + 5 * 96 + 4 * 12, 84 + 3 * (64 + 34))


@pytest.mark.parametrize(
    ("tables", "tiles"),
    [({"background": None}, 4), ({"output": ["composite"]}, 4), ({"output": ["gain"]}, 4), ({"output": ["alpha"]}, 3)],
)
def test_contact_sheet_leaves_out_what_is_not_there(shot: Shot, tables: dict[str, list[str]], tiles: int) -> None:
    layers = tables.get("output")
    given = {"output": {"directory": str(shot.folder / "out"), "layers": layers}} if layers else tables
    with sheet_of(shot, **given) as sheet:
        assert sheet.width == 2 * 32 + tiles * 96 + (tiles - 1) * 12
