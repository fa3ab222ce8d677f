"""Frame counts that a model does not take are filled up with the last frame, and nothing else."""

from __future__ import annotations

import pytest
import torch

from platelight_server.models.video.padding import pad_frames
from tests.models.video_nets import backbone, video

FACTS = backbone("2b").facts


@pytest.mark.parametrize(("count", "padded"), [(1, 1), (2, 9), (9, 9), (10, 17), (49, 49)])
def test_the_last_frame_is_repeated_up_to_the_next_valid_count(count: int, padded: int) -> None:
    frames = torch.arange(count, dtype=torch.float32)[:, None]
    found = pad_frames(frames, FACTS)
    assert found[:, 0].tolist() == [*range(count), *[count - 1] * (padded - count)]


def test_valid_counts_are_not_copied() -> None:
    frames = torch.zeros(9, 1)
    assert pad_frames(frames, FACTS) is frames


@pytest.mark.parametrize("count", [0, 50])
def test_no_frames_and_too_many_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"expected 1 to 49 frames, got {count}"):
        pad_frames(torch.zeros(count, 1), FACTS)


@pytest.mark.parametrize(("kind", "count"), [("2b", 12), ("wan", 6)])
def test_padded_clips_pass_the_codec_and_are_cut_back(kind: str, count: int) -> None:
    model, clip = backbone(kind), video(count)
    decoded = model.decode(model.encode(pad_frames(clip, model.facts)).mean)
    assert decoded.shape[0] == model.facts.frames_for(count)
    assert decoded[:count].shape == clip.shape
