"""Windows of a shot: every frame answered once, by a window that sees it, and latents that lead over."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from platelight_server.engines.windows import cross_fade, cut


@given(st.integers(1, 400), st.sampled_from([(49, 8, 4), (9, 4, 4), (81, 16, 4), (17, 8, 8)]))
def test_every_frame_is_answered_once_by_a_window_that_sees_it(count: int, shape: tuple[int, int, int]) -> None:
    shot = cut(count, *shape)
    answered = [position for i in range(len(shot.starts)) for position in shot.answered(i)]
    assert answered == list(range(count))
    for i in range(len(shot.starts)):
        assert set(shot.answered(i)) <= set(shot.seen(i))
        assert shot.index_of(shot.answered(i)[0]) == i


@given(st.integers(50, 400))
def test_windows_of_a_long_shot_are_full_and_whole_groups_apart(count: int) -> None:
    shot = cut(count, 49, 8, 4)
    assert all(len(shot.seen(i)) == 49 for i in range(len(shot.starts) - 1))
    assert len(shot.seen(len(shot.starts) - 1)) > 49 - 4
    assert all(start % 4 == 0 for start in shot.starts)
    overlaps = [shot.seen(i).stop - shot.starts[i + 1] - 1 for i in range(len(shot.starts) - 1)]
    assert all(overlap >= 8 for overlap in overlaps)


def test_a_window_needs_its_frames_and_those_of_the_one_before() -> None:
    windows = cut(200, 49, 8, 4).windows(range(1001, 1201))
    assert windows[1].needed == tuple(range(1001, 1090))
    assert windows[1].answered == tuple(range(1042, 1082))


def test_latents_lead_over_and_the_rest_stays_its_own() -> None:
    before, own = torch.zeros(13, 1, 1, 1), torch.ones(13, 1, 1, 1)
    joined = cross_fade(before, own, 10, 2).flatten().tolist()
    assert joined == [1.0, 0.25, 0.75] + [1.0] * 10


def test_equal_latents_are_not_changed_by_crossing_over() -> None:
    own = torch.randn(13, 2, 3, 3, generator=torch.Generator().manual_seed(1))
    before = torch.cat([torch.zeros(10, 2, 3, 3), own[:3]])
    assert torch.equal(cross_fade(before, own, 10, 2), own)


@pytest.mark.parametrize("shape", [(50, 8, 4), (49, 6, 4), (49, 28, 4), (49, 0, 4)])
def test_a_window_that_does_not_fit_the_groups_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="windows: expected"):
        cut(100, *shape)
