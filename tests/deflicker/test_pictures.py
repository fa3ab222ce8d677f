"""At plate size: what is outside the matte, over 1, under 0 or no number."""

from __future__ import annotations

import numpy as np
import pytest

from platelight_server.deflicker import pictures
from tests.deflicker.scenes import clip

# A stop of correction through float32 logarithms.
RELATIVE = 2e-5


def frame(scale: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    made = clip(1)
    three = made.source[0], made.clean[0], made.matte[0]
    return tuple(np.repeat(np.repeat(x, scale, 1), scale, 2) for x in three)  # type: ignore[return-value]


def steadied(
    source: np.ndarray, relit: np.ndarray, matte: np.ndarray, stops: float, lines: int = 540, **dials: float
) -> np.ndarray:
    seen = pictures.look(0, source, relit, matte, lines)
    return pictures.steadied(source, relit, matte, seen, np.full_like(seen.signal, stops), **dials)


def test_outside_the_matte_every_bit_stays() -> None:
    source, relit, matte = frame()
    relit[:, 0, 0] = (np.nan, -3, 70000)
    result = steadied(source, relit, matte, 1.0)
    outside = np.broadcast_to(matte == 0, relit.shape)
    assert np.array_equal(result[outside], relit[outside], equal_nan=True)


def test_inside_light_changes_by_the_correction_also_above_one() -> None:
    source, relit, matte = frame()
    source[:, 36, 56] = relit[:, 36, 56] = 900.0
    result = steadied(source, relit, matte, 1.0)
    inside = np.broadcast_to((matte == 1) & (relit.min(0) > 0.5), relit.shape)
    assert result[inside] == pytest.approx(2 * relit[inside], rel=5e-3)
    assert result[:, 36, 56] == pytest.approx(1800.0, rel=RELATIVE * 100)


def test_no_correction_gives_the_relit_picture() -> None:
    source, relit, matte = frame()
    assert steadied(source, relit, matte, 0.0) == pytest.approx(relit, rel=RELATIVE, abs=1e-6)
    assert np.array_equal(steadied(source, relit, matte, 1.0, strength=0.0), relit)


def test_black_negative_and_missing_pixels_stay_what_they_are() -> None:
    source, relit, matte = frame()
    source[:, 30, 50] = relit[:, 30, 50] = 0
    source[:, 31, 50] = relit[:, 31, 50] = -0.25
    source[:, 32, 50], relit[:, 33, 50] = np.nan, np.inf
    result = steadied(source, relit, matte, 1.0)
    assert np.all(result[:, 30, 50] == 0)
    assert result[:, 31, 50] == pytest.approx(-0.5)
    assert np.array_equal(result[:, 32:34, 50], relit[:, 32:34, 50])
    rest = np.ones_like(relit, bool)
    rest[:, 33, 50] = False
    assert np.isfinite(result[rest]).all()


def test_light_out_of_the_dark_is_kept() -> None:
    source, relit, matte = frame()
    source[:], relit[:] = 0, 0.4
    assert steadied(source, relit, matte, 0.0) == pytest.approx(relit, rel=1e-4)


def test_detail_finer_than_the_light_is_the_source_s_or_the_relit_picture_s_own() -> None:
    source, relit, matte = frame(4)
    source = source * (1 + 0.4 * (np.indices(source.shape[1:]).sum(0) % 2))  # a checkerboard that the relit one lacks
    solid = np.broadcast_to(matte == 1, relit.shape)

    def contrast(picture: np.ndarray) -> float:
        steps = np.abs(np.diff(np.log2(picture + pictures.FLOOR), axis=2))[:, :, :-1:2]
        return float(steps[solid[:, :, 1:-1:2]].mean())

    of_source, of_relit = (contrast(steadied(source, relit, matte, 0.0, lines=72, detail=x)) for x in (0.0, 1.0))
    assert of_source == pytest.approx(contrast(source), rel=0.15)
    assert of_relit == pytest.approx(contrast(relit), rel=0.01)


def test_a_picture_of_twice_the_size_gets_the_same_light() -> None:
    small, large = (steadied(*frame(scale), 0.5, lines=72) for scale in (1, 2))
    matte = frame()[2]
    inside = np.broadcast_to(matte == 1, small.shape)
    means = large.reshape(3, 72, 2, 112, 2).mean((2, 4))
    assert np.abs(np.log2(means[inside] / small[inside])).mean() < 0.03
