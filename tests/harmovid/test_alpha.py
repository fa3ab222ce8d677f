"""The mattes of HarmoVid have the widths that they are said to have."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from platelight_server.engines.harmovid import alpha

HALF_WIDTH = 6.0
# A row of pixels has its centres half a pixel beside the edge; a smoothstep moves by 0.75 / w a pixel at most.
PER_PIXEL = 0.75 / HALF_WIDTH


def half_plane(frames: int = 2, size: int = 80, edge: int = 40) -> torch.Tensor:
    """(F, 1, h, w): 1 to the left of column `edge`."""
    return (torch.arange(size) < edge).float().expand(frames, 1, size, size).clone()


def disc(radius: float = 20.0, size: int = 96, frames: int = 1) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    away = torch.hypot(x - size / 2, y - size / 2)
    return (away < radius).float().expand(frames, 1, size, size).clone()


def row(matte: torch.Tensor) -> torch.Tensor:
    """Alpha along the middle row."""
    return matte[0, 0, matte.shape[2] // 2]


def crossing(values: torch.Tensor, level: float) -> float:
    """Where a falling row passes a level, in pixels from the edge at 40, positive inside."""
    after = int((values > level).sum()) - 1
    share = float((values[after] - level) / (values[after] - values[after + 1]))
    return 40 - (after + 0.5 + share)


def test_distance_is_in_pixels_from_between_the_centres() -> None:
    found = row(alpha.signed_distance(half_plane()))
    assert found[36:44].tolist() == [3.5, 2.5, 1.5, 0.5, -0.5, -1.5, -2.5, -3.5]


def test_distance_is_euclidean() -> None:
    point = torch.zeros(1, 1, 32, 32)
    point[0, 0, 16, 16] = 1
    found = alpha.signed_distance(point)[0, 0]
    assert float(found[19, 20]) == pytest.approx(0.5 - 5.0)


def test_frames_without_an_edge_lie_far_in_or_out() -> None:
    found = alpha.signed_distance(torch.cat([torch.zeros(1, 1, 8, 6), torch.ones(1, 1, 8, 6)]))
    assert found[0].unique().tolist() == [-10.0] and found[1].unique().tolist() == [10.0]


# (maker, distance at which alpha is 0, where it is one half, where it is 1), in half-widths, positive inside
WIDTHS = [("ramp", -1.0, 0.0, 1.0), ("inward", 0.0, 0.5, 1.0), ("blur", -0.5, 0.5, 1.5)]


@pytest.mark.parametrize(("maker", "empty", "middle", "full"), WIDTHS)
def test_widths_are_as_stated(maker: str, empty: float, middle: float, full: float) -> None:
    made = row(alpha.MAKERS[maker](half_plane(), HALF_WIDTH, None))
    away = 40 - (torch.arange(80) + 0.5)
    near = 0.03 if maker == "blur" else 1e-6  # two sigmas of a Gaussian leave 0.023
    assert float(made[away >= full * HALF_WIDTH].min()) >= 1 - near
    assert float(made[away <= empty * HALF_WIDTH].max()) <= near
    assert crossing(made, 0.5) == pytest.approx(middle * HALF_WIDTH, abs=0.51 if maker == "blur" else 0.05)
    assert bool((made[1:] <= made[:-1] + 1e-6).all())  # falls from inside to outside, nowhere rising


def test_a_ramp_is_a_smoothstep_of_the_distance() -> None:
    made = row(alpha.ramp(half_plane(), HALF_WIDTH))
    for column in (35, 38, 41, 44):
        t = min(1.0, max(0.0, 0.5 + (40 - column - 0.5) / (2 * HALF_WIDTH)))
        assert float(made[column]) == pytest.approx(3 * t * t - 2 * t**3, abs=1e-6)


def test_inward_never_leaves_the_mask() -> None:
    mask = disc()
    assert float(alpha.inward(mask, HALF_WIDTH)[mask == 0].max()) == 0.0


def test_a_guided_edge_follows_the_picture_within_its_band() -> None:
    """The mask's edge lies four pixels beside the picture's: the matte goes over to the picture's."""
    mask, picture = half_plane(edge=40), (half_plane(edge=44) * 1.6 - 0.8).expand(2, 3, 80, 80)
    made = alpha.guided(mask, HALF_WIDTH, picture)
    steps = (row(made)[:-1] - row(made)[1:]).argmax()
    assert int(steps) == 43
    far = alpha.signed_distance(mask).abs() > 2 * HALF_WIDTH
    assert torch.equal(made[far], mask[far])
    with pytest.raises(ValueError, match="guided: expected pictures of .2, 3, 80, 80., got none"):
        alpha.guided(mask, HALF_WIDTH)


@pytest.mark.parametrize("maker", alpha.MAKERS)
def test_makers_keep_to_zero_and_one_and_to_the_mask_far_from_its_edge(maker: str) -> None:
    mask, picture = disc(frames=2), torch.rand(2, 3, 96, 96) * 2 - 1
    made = alpha.MAKERS[maker](mask, 3.0, picture)
    assert made.shape == mask.shape and made.dtype == torch.float32
    assert made.min() >= 0 and made.max() <= 1
    far = alpha.signed_distance(mask).abs() > 12
    assert torch.allclose(made[far], mask[far], atol=1e-3)


def test_a_width_is_a_share_of_the_subject_and_holds_for_the_clip() -> None:
    clip = torch.zeros(3, 1, 1200, 1200)
    clip[0, 0, 0:300, 0:400] = 1  # its box has a diagonal of 500
    clip[1, 0, 0:600, 0:800] = 1  # of 1000, the largest
    assert alpha.width_px(clip, 0.01) == pytest.approx(10.0)
    assert alpha.width_px(clip, 0.0001) == 2.0 and alpha.width_px(clip, 0.9) == 24.0
    assert alpha.width_px(torch.zeros(2, 1, 8, 8)) == 2.0


def test_paths_get_the_mattes_that_they_should() -> None:
    soft = alpha.ramp(disc(), 4.0)
    there = alpha.path_matte("real-to-synthetic", soft)
    back = alpha.path_matte("synthetic-to-real", there, width=4.0)
    assert set(there.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(back, alpha.ramp(disc(), 4.0))
    assert torch.equal(alpha.path_matte("synthetic-to-real", there, "inward", 4.0), alpha.inward(disc(), 4.0))


def test_a_binary_matte_is_known_also_after_scaling_down() -> None:
    hard = disc(80.0, 384)
    assert alpha.is_binary(hard)
    assert alpha.is_binary(F.avg_pool2d(hard, 4))
    assert alpha.is_binary(F.interpolate(hard, scale_factor=0.37, mode="bilinear", antialias=True))
    assert alpha.is_binary(torch.zeros(1, 1, 8, 8)) and alpha.is_binary(torch.ones(1, 1, 8, 8))
    for width in (2.0, 6.0):
        soft = alpha.ramp(disc(40.0, 192), width)
        assert not alpha.is_binary(soft)
        assert alpha.soft_width_px(soft) == pytest.approx(2 * width, rel=0.25)


def test_an_artists_soft_matte_is_shown_as_it_is_and_a_binary_one_gets_a_ramp() -> None:
    soft, hard = alpha.ramp(disc(), 4.0), disc()
    assert alpha.inference_matte(soft) is soft
    assert torch.equal(alpha.inference_matte(hard, width=4.0), soft)
    assert alpha.inference_matte(hard, "given") is hard
    assert torch.equal(alpha.inference_matte(soft, "inward", 4.0), alpha.inward(hard, 4.0))


def test_compositing_is_linear_and_exact_at_the_ends() -> None:
    matte = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
    foreground, background = torch.full((1, 3, 1, 3), 3.0), torch.full((1, 3, 1, 3), -0.1)
    foreground[..., 0], background[..., 2] = math.nan, math.inf
    assert alpha.composite(foreground, matte, background)[0, 0, 0].tolist() == pytest.approx([-0.1, 1.45, 3.0])
