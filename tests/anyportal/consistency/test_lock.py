"""Which latents a matte frees: aligned with the codec's frames, and a little beyond."""

from __future__ import annotations

import pytest
import torch

from platelight_server.engines.anyportal.consistency.lock import foreground_latents
from tests.models.video_nets import backbone, cogvideox15

FACTS = backbone("2b").facts


@pytest.mark.parametrize(("frame", "latent"), [(0, 0), (1, 1), (4, 1), (5, 2), (8, 2)])
def test_the_first_frame_has_a_latent_of_its_own_and_the_others_go_by_fours(frame: int, latent: int) -> None:
    matte = torch.zeros(9, 1, 32, 48)
    matte[frame, 0, 9, 17] = 1
    free = foreground_latents(matte, FACTS, reach=0)
    assert free.nonzero().tolist() == [[latent, 0, 1, 2]]


def test_neighbours_within_reach_are_free_too() -> None:
    matte = torch.zeros(1, 1, 64, 96)
    matte[..., 24, 40] = 1
    free = foreground_latents(matte, FACTS, reach=1)[0, 0]
    assert free.nonzero().amin(0).tolist() == [2, 4]
    assert free.nonzero().amax(0).tolist() == [4, 6]


def test_an_empty_matte_frees_nothing_and_noise_is_no_foreground() -> None:
    assert not foreground_latents(torch.full((9, 1, 32, 48), 0.003), FACTS).any()
    assert foreground_latents(torch.full((9, 1, 32, 48), 0.1), FACTS).all()


def test_a_short_clip_is_padded_and_1_5_led() -> None:
    matte = torch.zeros(6, 1, 32, 48)
    matte[0] = 1
    assert foreground_latents(matte, FACTS)[:, 0, 0, 0].tolist() == [True, False, False]
    assert foreground_latents(matte, cogvideox15().facts)[:, 0, 0, 0].tolist() == [True, True, *[False] * 4]
