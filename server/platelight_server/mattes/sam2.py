"""SAM 2 video (Ravi et al. 2024): a subject pointed at on one frame or a few, followed forwards and backwards.

The network is transformers' own. Frames are streamed: of the shot only the features of the frame at hand and the
memories that the network looks back at are held, however long the shot is. Frames are counted by their place in the
shot, so gaps in the numbers are no gaps in time. The tracker begins at the first prompt, so a frame's matte depends on
that prompt, on the others, and on the frames between; a run that goes on after it was stopped tracks these again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Sam2VideoInferenceSession, Sam2VideoModel

from platelight.errors import InputError

from ..models.loading import load
from .detector import DETECTOR, box_of_text
from .interface import Asked, MatteSource, Prompt, code_values
from .refine import refined
from .use import stated_models, used

__all__ = ["SAM2", "Sam2Mattes"]

SAM2 = "sam2.1-hiera-large"
# As the published preprocessor does: ImageNet's means and deviations.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUBJECT = 1


class Sam2Mattes(MatteSource):
    """Mattes of one subject by prompts."""

    def __init__(self, asked: Asked) -> None:
        """Finds the model and checks the prompts. Raises `ModelError`, `InputError`."""
        self._asked, self._shot = asked, asked.shot
        models = [used(asked.model or SAM2)]
        prompts = asked.prompts
        if asked.text is not None:
            models.append(used(asked.detector or DETECTOR))
            prompts = (*prompts, self._prompt_of_text(models[-1].folder))
        self._network = load(models[0].folder, Sam2VideoModel, dtype=torch.float32, device=asked.device)
        self._prompts = checked_prompts(prompts, self._shot.frames, self._shot.size, self._shot.offset)
        self._place = {frame: i for i, frame in enumerate(self._shot.frames)}
        said = [_prompt_said(one) for one in self._prompts]
        self.said = {"method": "sam2", "version": 1, "models": stated_models(models), "prompts": said}

    def depends(self, frame: int) -> Collection[int]:
        prompted = [self._place[one.frame] for one in self._prompts]
        first, last = min(prompted[0], self._place[frame]), max(prompted[0], self._place[frame])
        return {*self._shot.frames[first : last + 1], *(one.frame for one in self._prompts)}

    def mattes(self, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
        frames, start = self._shot.frames, self._place[self._prompts[0].frame]
        places = [self._place[frame] for frame in wanted]
        ways = (range(start, max(places, default=-1) + 1), range(start - 1, min(places, default=start) - 1, -1))
        steps, done = sum(len(way) for way in ways), 0
        for way, reverse in zip(ways, (False, True), strict=True):
            if not way:
                continue
            # Each way begins with the prompts alone, so that neither depends on how far the other went.
            session = self._prompted()
            for place in way:
                self._asked.step("follow", done, steps)
                plate = self._shot.read(frames[place])
                logits = self._followed(session, place, plate, reverse)
                done += 1
                if frames[place] in wanted:
                    code = code_values(plate, self._shot.size, self._shot.to_rec709).numpy()
                    yield frames[place], refined(logits, code)

    def _prompt_of_text(self, detector: Path) -> Prompt:
        asked = self._asked
        assert asked.text is not None
        frame = asked.text_frame if asked.text_frame is not None else self._shot.frames[0]
        if frame not in self._shot.frames:
            raise InputError(f"frame {frame}: expected a frame of the shot for the text, it has none such")
        plate = self._shot.read(frame)
        box = box_of_text(detector, asked.text, plate, self._shot.to_rec709, asked.device)
        x, y = self._shot.offset
        return Prompt(frame, box=(box[0] + x, box[1] + y, box[2] + x, box[3] + y))

    def _prompted(self) -> Sam2VideoInferenceSession:
        """A session that has seen the prompted frames and nothing else."""
        height, width = self._shot.size
        device = self._asked.device
        session = Sam2VideoInferenceSession(
            video_height=height, video_width=width, inference_device=device, inference_state_device=device,
            video_storage_device=device, dtype=torch.float32,
        )  # fmt: skip
        subject = session.obj_id_to_idx(SUBJECT)
        for prompt in self._prompts:
            self._asked.step("prompt", 0, 1)
            place = self._place[prompt.frame]
            session.add_point_inputs(subject, place, self._point_inputs(prompt))
            session.obj_with_new_inputs = [SUBJECT]
            self._seen(session, place, self._shot.read(prompt.frame), False)
        return session

    def _point_inputs(self, prompt: Prompt) -> dict[str, torch.Tensor]:
        """Points as the network takes them: (1, 1, n, 2) pixels of its own picture, (1, 1, n) labels; a box first."""
        corners = [] if prompt.box is None else [(prompt.box[:2], 2), (prompt.box[2:], 3)]
        labelled = [*corners, *((at, 1) for at in prompt.points), *((at, 0) for at in prompt.outside)]
        size, (height, width), (x, y) = self._network.image_size, self._shot.size, self._shot.offset
        places = [[(at[0] - x) * size / width, (at[1] - y) * size / height] for at, _ in labelled]
        return {
            "point_coords": torch.tensor([[places]], dtype=torch.float32),
            "point_labels": torch.tensor([[[label for _, label in labelled]]], dtype=torch.int32),
        }

    def _followed(self, session: Any, place: int, plate: np.ndarray, reverse: bool) -> torch.Tensor:
        logits = self._seen(session, place, plate, reverse)
        _forget(session, place, self._network.config)
        return logits

    def _seen(self, session: Any, place: int, plate: np.ndarray, reverse: bool) -> torch.Tensor:
        """(h, w) logits of the subject on one frame."""
        size = self._network.image_size
        picture = code_values(plate, (size, size), self._shot.to_rec709)
        pixels = (picture - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
        with torch.inference_mode():
            answer = self._network(session, frame_idx=place, frame=pixels[None], reverse=reverse)
        session.processed_frames.clear()
        logits: torch.Tensor = answer.pred_masks[0, 0].float().cpu()
        return logits


def checked_prompts(
    prompts: Collection[Prompt], frames: Collection[int], size: tuple[int, int], offset: tuple[int, int]
) -> tuple[Prompt, ...]:
    """The prompts in the order of their frames, one a frame. Raises `InputError`."""
    merged: dict[int, Prompt] = {}
    for one in prompts:
        held = merged.get(one.frame, Prompt(one.frame))
        if held.box is not None and one.box is not None:
            raise InputError(f"frame {one.frame}: expected one box, got two")
        merged[one.frame] = replace(
            held, points=held.points + one.points, outside=held.outside + one.outside, box=held.box or one.box
        )
    for one in merged.values():
        if one.frame not in frames:
            raise InputError(f"frame {one.frame}: expected a frame of the shot for the prompt, it has none such")
        if not one.points and one.box is None:
            raise InputError(f"frame {one.frame}: expected a point on the subject or a box, got points off it alone")
        for x, y in (*one.points, *one.outside, *((one.box[:2], one.box[2:]) if one.box else ())):
            if not (0 <= x - offset[0] <= size[1] and 0 <= y - offset[1] <= size[0]):
                raise InputError(
                    f"frame {one.frame}: expected a prompt within {offset[0]}, {offset[1]} to {offset[0] + size[1]},"
                    f" {offset[1] + size[0]}, got {x:g}, {y:g}"
                )
    if not merged:
        raise InputError("expected a point, a box or a text that says what the subject is, got none")
    return tuple(merged[frame] for frame in sorted(merged, key=list(frames).index))


def _forget(session: Any, place: int, config: Any) -> None:
    """Drops what no later frame looks back at: memories out of reach, and masks, which are never looked at again."""
    reach = max(config.num_maskmem, config.max_object_pointers_in_encoder)
    for outputs in session.output_dict_per_obj.values():
        past = outputs["non_cond_frame_outputs"]
        for old in [one for one in past if abs(one - place) >= reach]:
            del past[old]
        for held in past.values():
            held.pop("high_res_masks", None)
    for tracked in session.frames_tracked_per_obj.values():
        for old in [one for one in tracked if abs(one - place) >= reach]:
            del tracked[old]


def _prompt_said(prompt: Prompt) -> dict[str, Any]:
    parts = {"points": prompt.points, "outside": prompt.outside, "box": prompt.box}
    return {"frame": prompt.frame, **{name: value for name, value in parts.items() if value}}
