"""SAM 2: frames are streamed and forgotten, and the answer is that of transformers' own propagation over the clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Sam2VideoInferenceSession, Sam2VideoModel

from platelight.errors import InputError, ModelError
from platelight_server.mattes import sam2
from platelight_server.mattes.interface import Asked, Prompt, ShotFrames, code_values
from platelight_server.mattes.refine import refined
from platelight_server.mattes.registry import create
from tests.mattes import screens

FRAMES = tuple(range(1001, 1013))
POINT = Prompt(1001, points=((60.0, 45.0),))
# Frames arrive one by one in both; sums of the same numbers in another order.
LOGIT_TOLERANCE = 1e-4


def shot_of(frames: tuple[int, ...] = FRAMES, read: Any = screens.plate_of) -> ShotFrames:
    return ShotFrames(frames, read, (screens.HEIGHT, screens.WIDTH))


def mattes_of(prompts: tuple[Prompt, ...], wanted: tuple[int, ...] = FRAMES, **asked: Any) -> dict[int, np.ndarray]:
    made = create("sam2", Asked(shot_of(), prompts=prompts, **asked))
    return dict(made.mattes(set(wanted)))


def whole_clip(folder: Path, frames: tuple[int, ...], start: int, reverse: bool) -> dict[int, torch.Tensor]:
    """Logits by transformers' propagation, with the whole clip in memory and nothing forgotten."""
    network = Sam2VideoModel.from_pretrained(folder).eval()
    mean, deviation = (torch.tensor(one)[:, None, None] for one in (sam2.MEAN, sam2.DEVIATION))
    pictures = [code_values(screens.plate_of(frame), (64, 64), np.eye(3)) for frame in frames]
    session = Sam2VideoInferenceSession(
        torch.stack([(one - mean) / deviation for one in pictures]), screens.HEIGHT, screens.WIDTH, dtype=torch.float32
    )
    x, y = POINT.points[0]
    at = torch.tensor([[[[x * 64 / screens.WIDTH, y * 64 / screens.HEIGHT]]]])
    place = session.obj_id_to_idx(1)
    session.add_point_inputs(place, start, {"point_coords": at, "point_labels": torch.ones(1, 1, 1, dtype=torch.int32)})
    session.obj_with_new_inputs = [1]
    with torch.inference_mode():
        network(session, frame_idx=start)
        answers = network.propagate_in_video_iterator(session, start_frame_idx=start, reverse=reverse)
        return {frames[one.frame_idx]: one.pred_masks[0, 0] for one in answers}


@pytest.mark.parametrize(("start", "reverse"), [(0, False), (len(FRAMES) - 1, True)])
def test_streamed_mattes_are_those_of_the_whole_clip(tiny_mattes_models: Path, start: int, reverse: bool) -> None:
    prompt = Prompt(FRAMES[start], points=POINT.points)
    found = mattes_of((prompt,))
    expected = whole_clip(tiny_mattes_models / "sam2.1-hiera-large", FRAMES, start, reverse)
    assert len({float(one.mean()) for one in expected.values()}) == len(FRAMES)  # the subject is followed
    assert set(found) == set(expected) == set(FRAMES)
    for frame, logits in expected.items():
        code = code_values(screens.plate_of(frame), (screens.HEIGHT, screens.WIDTH), np.eye(3)).numpy()
        assert np.abs(found[frame] - refined(logits, code)).max() < LOGIT_TOLERANCE


def test_part_of_the_frames_has_the_same_mattes(tiny_mattes_models: Path) -> None:
    prompt = Prompt(1006, points=POINT.points, outside=((5.0, 5.0),))
    whole, part = mattes_of((prompt,)), mattes_of((prompt,), (1003, 1008))
    assert set(part) == {1003, 1008}
    assert all(np.array_equal(part[frame], whole[frame]) for frame in part)


def test_frame_depends_on_the_way_from_the_prompt(tiny_mattes_models: Path) -> None:
    made = create(
        "sam2", Asked(shot_of(), prompts=(Prompt(1006, points=POINT.points), Prompt(1010, box=(20, 10, 90, 80))))
    )
    assert set(made.depends(1003)) == {1003, 1004, 1005, 1006, 1010}
    assert set(made.depends(1008)) == {1006, 1007, 1008, 1010}


class Counted(sam2.Sam2Mattes):
    """Counts what the tracker holds after each frame: pictures, features, memories."""

    def _followed(self, session: Any, place: int, plate: np.ndarray, reverse: bool) -> torch.Tensor:
        logits = super()._followed(session, place, plate, reverse)
        (outputs,) = session.output_dict_per_obj.values()
        seen = len(session.processed_frames) + len(session.cache._vision_features)
        held.append(seen + len(outputs["non_cond_frame_outputs"]) + len(session.frames_tracked_per_obj[0]))
        return logits


held: list[int] = []


def test_memory_does_not_grow_with_the_shot(tiny_mattes_models: Path) -> None:
    held.clear()
    dict(Counted(Asked(shot_of(), prompts=(POINT,))).mattes(FRAMES))
    assert len(held) == len(FRAMES)
    assert max(held) == held[-1] == held[6]


def test_point_box_and_second_prompt_change_the_matte(tiny_mattes_models: Path) -> None:
    frames = (1001, 1002)
    box = Prompt(1001, box=(30.0, 15.0, 90.0, 75.0))
    variants = [(POINT,), (box,), (POINT, Prompt(1003, points=((75.0, 45.0),)))]
    found = [mattes_of(prompts, frames)[1002] for prompts in variants]
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_text_becomes_a_box_that_is_followed(tiny_mattes_models: Path) -> None:
    made = create("sam2", Asked(shot_of(), text="a dancer", text_frame=1002))
    (prompt,) = made.said["prompts"]
    x0, y0, x1, y1 = prompt["box"]
    assert prompt["frame"] == 1002
    assert 0 <= x0 < x1 <= screens.WIDTH and 0 <= y0 < y1 <= screens.HEIGHT
    assert [one["model"] for one in made.said["models"]] == ["sam2.1-hiera-large", "owlv2-base"]
    assert set(dict(made.mattes({1001, 1003}))) == {1001, 1003}


@pytest.mark.parametrize(
    ("text", "message"), [("a dancer", "best fits by"), (" ", "got none"), ("dancer " * 20, "at most 16 tokens, got")]
)
def test_text_that_fits_nothing_is_refused(tiny_mattes_models: Path, text: str, message: str) -> None:
    from platelight_server.mattes.detector import box_of_text

    with pytest.raises(InputError, match=message):
        box_of_text(tiny_mattes_models / "owlv2-base", text, screens.plate_of(1001), np.eye(3), least=1.01)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt(1001, points=((200.0, 5.0),)), "within 0, 0 to 160, 90, got 200, 5"),
        (Prompt(1099, points=((20.0, 5.0),)), "frame 1099: expected a frame of the shot"),
        (Prompt(1001, outside=((20.0, 5.0),)), "a point on the subject or a box"),
    ],
)
def test_prompt_that_cannot_be_is_refused(tiny_mattes_models: Path, prompt: Prompt, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mattes_of((prompt,))


def test_prompts_start_at_the_display_window(tiny_mattes_models: Path) -> None:
    moved = ShotFrames((1001,), screens.plate_of, (screens.HEIGHT, screens.WIDTH), (10, 20))
    made = create("sam2", Asked(moved, prompts=(Prompt(1001, points=((70.0, 65.0),)),)))
    assert np.array_equal(dict(made.mattes({1001}))[1001], mattes_of((POINT,), (1001,))[1001])


def test_absent_model_is_named_with_the_command_that_fetches_it() -> None:
    with pytest.raises(ModelError, match="hf download facebook/sam2.1-hiera-large"):
        create("sam2", Asked(shot_of(), prompts=(POINT,)))
