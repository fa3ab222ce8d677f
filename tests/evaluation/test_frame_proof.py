"""What one frame states of itself: the outside is compared value by value, whatever the sign of a zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from platelight_server.evaluation.frame_proof import HALF_MOST, frame_proof
from platelight_server.finish.layers import Layers
from platelight_server.plates.inputs import FullFrame
from platelight_server.plates.picture import Box
from tests.shots import small

HEIGHT, WIDTH = small.HEIGHT, small.WIDTH
LAYERS = Layers({}, 0, 0, 1.5, 0.25)
OUTSIDE, INSIDE = (0, 0), (HEIGHT // 2, WIDTH * 45 // 100)


def frame(kind: type = np.float16, background: bool = False) -> FullFrame:
    plate, matte = small.plate_pixels(1001).astype(kind), small.matte_pixels(1001).astype(kind)
    behind = small.plate_pixels(7).astype(kind) if background else None
    return FullFrame(1001, plate, matte, behind, None, {}, Box(0, 0, WIDTH - 1, HEIGHT - 1), 3)


def composite(full: FullFrame, **changed: float) -> dict[str, np.ndarray]:
    """The composite that nothing has changed, with single values outside the matte set."""
    behind = full.plate if full.background is None else full.background
    channels = {name: plane.copy() for name, plane in zip("RGB", behind, strict=True)}
    for name, value in changed.items():
        channels[name][OUTSIDE] = value
    return channels


def outside(full: FullFrame, channels: dict[str, np.ndarray]) -> Any:
    return frame_proof(full, LAYERS, channels)["outside"]


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_what_lies_behind_differs_by_nothing(kind: type, background: bool) -> None:
    full = frame(kind, background)
    assert outside(full, composite(full)) == 0.0


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_wrong_pixel_outside_is_found_with_its_size(kind: type) -> None:
    full = frame(kind)
    full.plate[:, 0, 0] = 0.5
    assert outside(full, composite(full, G=0.75)) == 0.25


def test_change_inside_the_matte_is_no_difference() -> None:
    full = frame()
    channels = composite(full)
    channels["R"][INSIDE] = 9
    assert outside(full, channels) == 0.0


def test_sign_of_a_zero_is_no_difference() -> None:
    full = frame()
    full.plate[:, 0, 0] = -0.0
    assert outside(full, composite(full, R=0.0)) == 0.0


def test_matte_of_minus_zero_is_outside() -> None:
    full = frame()
    full.matte[0, 0, 0] = -0.0
    full.plate[:, 0, 0] = 0.5
    assert outside(full, composite(full, B=0.0)) == 0.5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_value_that_is_not_finite_is_never_exact(value: float) -> None:
    full = frame()
    assert outside(full, composite(full, R=value)) == HALF_MOST


def test_pixel_in_shadow_is_not_held_against_the_background() -> None:
    full = frame(background=True)
    channels = {**composite(full, R=0.0), "shadow.V": np.ones((HEIGHT, WIDTH), np.float16)}
    channels["shadow.V"][OUTSIDE] = 0.5
    assert outside(full, channels) == 0.0


def test_composite_that_is_not_delivered_is_not_measured() -> None:
    said = frame_proof(frame(), LAYERS, {})
    assert (said["outside"], said["before"], said["after"]) == (None, None, None)


def test_mean_is_of_the_unpremultiplied_foreground() -> None:
    alpha = np.zeros((HEIGHT, WIDTH), np.float16)
    alpha[:32] = 0.5
    channels = {f"foreground.{c}": alpha * np.float16(v) for c, v in zip("RGBA", (1, 2, 4, 1), strict=True)}
    assert frame_proof(frame(), LAYERS, channels)["before"] == [1.0, 2.0, 4.0]


def test_empty_foreground_has_no_mean() -> None:
    blank = {f"relit.{c}": np.zeros((HEIGHT, WIDTH), np.float16) for c in "RGBA"}
    assert frame_proof(frame(), LAYERS, blank)["after"] is None


def test_largest_values_and_counts_are_passed_on() -> None:
    said = frame_proof(frame(), LAYERS, {})
    assert (said["largestGainStops"], said["largestFill"], said["repaired"]) == (1.5, 0.25, 3)
