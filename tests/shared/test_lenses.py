"""Lenses applied: each model by its formula; what it does in Blender is tested in tests/blender/test_solve.py."""

from __future__ import annotations

import pytest

from platelight.camera import CameraFrame, LensModel
from platelight.lenses import bent
from platelight.matrices import IDENTITY

CAMERA = CameraFrame(1, IDENTITY, 1000.0, 2000.0, 960.0, 540.0, 1920, 1080)  # pixels twice as high as wide
EXACT_PX = 1e-9


def test_no_lens_leaves_a_pixel_where_it_is() -> None:
    assert bent(LensModel(), CAMERA, 100.0, 200.0) == pytest.approx((100.0, 200.0), abs=EXACT_PX)


def test_centre_stays_where_it_is() -> None:
    for kind in ("polynomial", "brown", "division", "nuke"):
        assert bent(LensModel(kind, (0.1, 0.01)), CAMERA, 960.0, 540.0) == (960.0, 540.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lens", "expected"),
    [
        (LensModel("polynomial", (0.5, 0.25, 0.1)), (0.5 * 1.1837158203125, 0.25 * 1.1837158203125)),
        (LensModel("division", (0.5, 0.25)), (0.5 / 1.180664062, 0.25 / 1.180664062)),
        (
            LensModel("brown", (0.0, 0.0, 0.0, 0.0, 0.1, 0.01)),
            (0.5 + 0.1 * 0.8125 + 0.02 * 0.125, 0.25 + 0.01 * 0.4375 + 0.2 * 0.125),
        ),
    ],
)
def test_lens_bends_by_its_formula(lens: LensModel, expected: tuple[float, float]) -> None:
    got = bent(lens, CAMERA, 960 + 1000 * 0.5, 540 - 2000 * 0.25)  # x 0.5, y 0.25 (up)
    assert got == pytest.approx((960 + 1000 * expected[0], 540 - 2000 * expected[1]), abs=1e-3)


def test_nuke_lens_is_undone_by_its_own_formula() -> None:
    k1, k2, p1, p2 = 0.1, -0.02, 0.03, -0.01
    x, y = bent(LensModel("nuke", (k1, k2, p1, p2)), CAMERA, 1500.0, 300.0)
    half = 960  # max(1920, 1080 / 2) / 2
    xd, yd = (x - 960) / half, (y - 540) / 2 / half
    square = xd * xd + yd * yd
    radial = 1 + k1 * square + k2 * square * square
    back = xd / (radial + p1 * yd * yd) * half + 960, yd / (radial + p2 * xd * xd) * half * 2 + 540
    assert back == pytest.approx((1500.0, 300.0), abs=1e-6)
