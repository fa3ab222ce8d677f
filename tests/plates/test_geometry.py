"""Pictures of other windows and sizes brought to the plate's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from platelight.errors import FrameError
from platelight_server.plates.geometry import fit, over_plate
from platelight_server.plates.picture import Box, Picture, PictureInfo


def picture(data: Box, display: Box | None = None, aspect: float = 1.0) -> Picture:
    """Pixels that say where they are: y * 100 + x, from the corner of the data window."""
    y, x = np.mgrid[0 : data.height, 0 : data.width]
    pixels = (y * 100 + x)[None].astype(np.float32)
    return Picture(PictureInfo(Path("p.exr"), ("A",), data, display or data, {}, aspect), pixels)


def test_matte_of_the_plates_windows_is_unchanged() -> None:
    one = picture(Box(0, 0, 7, 5))
    assert np.array_equal(over_plate(one, Box(0, 0, 7, 5), Box(0, 0, 7, 5)), one.pixels)


def test_cropped_matte_is_zero_where_it_knows_nothing() -> None:
    laid = over_plate(picture(Box(2, 1, 3, 2), Box(0, 0, 7, 5)), Box(0, 0, 7, 5), Box(0, 0, 7, 5))
    assert (float(laid[0, 1, 2]), float(laid[0, 2, 3]), int(np.count_nonzero(laid))) == (0, 101, 3)


def test_matte_follows_a_display_window_that_starts_elsewhere() -> None:
    laid = over_plate(picture(Box(0, 0, 7, 5)), Box(10, 20, 17, 25), Box(10, 20, 17, 25))
    assert np.array_equal(laid, picture(Box(0, 0, 7, 5)).pixels)


def test_matte_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(FrameError, match=r"p\.exr: expected 8x6 like the plate, got 4x3"):
        over_plate(picture(Box(0, 0, 3, 2)), Box(0, 0, 7, 5), Box(0, 0, 7, 5))


@pytest.mark.parametrize("how", ["exact", "fit", "fill", "stretch"])
def test_background_of_the_same_size_is_unchanged(how: str) -> None:
    box = Box(0, 0, 7, 5)
    assert np.array_equal(fit(picture(box), box, box, how), picture(box).pixels)


@pytest.mark.parametrize("how", ["fit", "fill", "stretch"])
@pytest.mark.parametrize("size", [(5, 3), (31, 7), (7, 31), (1, 1)])
def test_background_of_any_size_covers_the_plates_window(how: str, size: tuple[int, int]) -> None:
    box = Box(0, 0, 15, 8)
    assert fit(picture(Box(0, 0, size[0] - 1, size[1] - 1)), box, box, how).shape == (1, 9, 16)


def test_fill_crops_the_longer_side_about_the_centre() -> None:
    wide = fit(picture(Box(0, 0, 11, 5)), Box(0, 0, 5, 5), Box(0, 0, 5, 5), "fill")
    assert np.array_equal(wide, picture(Box(0, 0, 11, 5)).pixels[:, :, 3:9])


def test_fit_leaves_black_around() -> None:
    tall = fit(picture(Box(0, 0, 5, 5)), Box(0, 0, 11, 5), Box(0, 0, 11, 5), "fit")
    assert (float(tall[0, 5, 2]), float(tall[0, 5, 3]), float(tall[0, 5, 9])) == (0, 500, 0)


def test_overscan_repeats_the_backgrounds_edge() -> None:
    laid = fit(picture(Box(0, 0, 3, 3)), Box(-2, -1, 5, 4), Box(0, 0, 3, 3), "fill")
    assert (laid[0, 0, :3].tolist(), float(laid[0, 5, 7])) == ([0, 0, 0], 303)


def test_exact_refuses_another_size() -> None:
    with pytest.raises(FrameError, match=r"background\.fit = 'exact'"):
        fit(picture(Box(0, 0, 3, 3)), Box(0, 0, 7, 5), Box(0, 0, 7, 5), "exact")
