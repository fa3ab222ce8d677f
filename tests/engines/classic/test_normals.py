"""Normals from mattes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from platelight_server.engines.classic import normals
from platelight_server.engines.classic.sphere import Array

from .scenes import HEIGHT, WIDTH, ball_matte, ball_normals, jittered

BALL_DEG = 15  # a ball comes out a little flatter than it is: the cylinder's constant
JITTER_SHARE = 0.6  # of a single frame's wander that may be left after five are averaged (0.45 for white noise)


def inflated(matte: Array) -> Array:
    return normals.from_potential(normals.potential(matte), *matte.shape)


def degrees(a: Array, b: Array) -> Array:
    return np.degrees(np.arccos(np.clip((a * b).sum(-1), -1, 1)))


def test_a_ball_comes_out_as_a_ball() -> None:
    assert float(degrees(inflated(ball_matte()), ball_normals())[ball_matte(27) > 0.99].mean()) < BALL_DEG


def test_a_limb_comes_out_as_a_cylinder() -> None:
    matte = np.zeros((HEIGHT, WIDTH), np.float32)
    matte[:, 60:100] = 1  # cut by the frame above and below: it goes on outside
    x = (np.arange(WIDTH) + 0.5 - 80) / 20
    expected = np.stack([x, 0 * x, np.sqrt(np.clip(1 - x**2, 0, 1))], -1)
    actual = inflated(matte)
    assert float(degrees(actual[45, 64:96], expected[64:96]).max()) < 8
    assert float(np.abs(actual[45] - actual[2])[64:96].max()) < 0.02


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 200), (64, 64), (360, 640)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_any_flat_matte_gives_unit_normals(size: tuple[int, int], value: float) -> None:
    actual = inflated(np.full(size, value, np.float32))
    np.testing.assert_allclose(np.linalg.norm(actual, axis=-1), 1, rtol=1e-4)


def test_an_empty_matte_faces_the_camera() -> None:
    np.testing.assert_allclose(inflated(np.zeros((HEIGHT, WIDTH), np.float32))[..., 2], 1, atol=1e-5)


def test_nan_in_a_matte_counts_as_outside() -> None:
    broken, whole = ball_matte(), ball_matte()
    broken[5, 5] = np.nan
    np.testing.assert_array_equal(inflated(broken), inflated(whole))


def test_small_holes_are_closed_and_gaps_are_kept() -> None:
    matte = ball_matte(40)
    cv2.circle(matte, (80, 45), 4, 0, -1)
    assert float(normals.close_holes(matte)[45, 80]) == 1
    gap = ball_matte(40)
    cv2.circle(gap, (80, 45), 15, 0, -1)
    assert float(normals.close_holes(gap)[45, 80]) == 0


def test_averaged_potentials_calm_a_jittering_outline() -> None:
    matte = ball_matte()
    held = [normals.potential(jittered(matte, f)) for f in range(12)]
    core = ball_matte(24) > 0.99

    def wander(potentials: list[Array]) -> float:
        facing = np.stack([normals.from_potential(u, *matte.shape) for u in potentials])
        return float(np.diff(facing, axis=0)[:, core].std())

    averaged = [normals.average(held[i - 2 : i + 3], range(-2, 3)) for i in range(2, 10)]
    assert wander(averaged) < JITTER_SHARE * wander(held[2:10])


def test_stability_of_zero_lets_a_frame_stand_alone() -> None:
    held = [normals.potential(jittered(ball_matte(), f)) for f in range(3)]
    np.testing.assert_array_equal(normals.average(held, (-1, 0, 1), 0.0), held[1])


def test_a_users_normals_are_taken_where_they_are() -> None:
    layer = np.zeros((4, 4, 3), np.float32)
    layer[0] = (3, 0, 4)
    layer[1] = np.nan
    fallback = np.broadcast_to(np.array([0, 0, 1], np.float32), (4, 4, 3))
    actual = normals.from_layer(layer, fallback)
    np.testing.assert_allclose(actual[0], np.broadcast_to([0.6, 0, 0.8], (4, 3)), rtol=1e-6)
    np.testing.assert_array_equal(actual[1:], fallback[1:])
