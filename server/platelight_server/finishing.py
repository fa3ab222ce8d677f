"""From an engine's answer to a frame's delivered channels: the look, the finish at plate size, the frame's proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from .color.spaces import Space, luminance_weights
from .engines.interface import Answer, FrameInputs, LightChange
from .evaluation.frame_proof import frame_proof
from .finish.change import estimate_change
from .finish.layers import EdgeLook, Extras, Layers, finish_frame
from .finish.look import shape_change
from .finish.spill import Screen, detect_screen
from .model_view import ModelView
from .plates.geometry import resize
from .plates.inputs import FullFrame, Inputs
from .plates.picture import Box
from .stages import Stages

# A probe whose mean light leans towards the screen's colour by this factor has seen the screen.
SEEN_SCREEN = 1.1


@dataclass(frozen=True)
class Finisher:
    """What the finish of every frame of a job has in common."""

    inputs: Inputs
    edges: EdgeLook
    wanted: frozenset[str]
    luminance: tuple[float, float, float]

    @classmethod
    def of(cls, inputs: Inputs, view: ModelView) -> Finisher:
        """Decides once for the shot: the screen whose spill is taken off, and the layers."""
        return cls.with_screen(inputs, screen_of(inputs, view.sampled))

    @classmethod
    def with_screen(cls, inputs: Inputs, screen: Screen | None) -> Finisher:
        """The same, the screen being known."""
        look = inputs.recipe.look
        edges = EdgeLook(look.edge, screen, 1.0, look.light_wrap)
        return cls(inputs, edges, frozenset(inputs.recipe.output.layers), luminance_weights(inputs.space))

    @property
    def kind(self) -> torch.dtype:
        """The type of the delivered planes."""
        return torch.float32 if self.inputs.recipe.output.depth == "float" else torch.float16

    @property
    def work(self) -> Box:
        """The window that channels cover."""
        return self.inputs.work

    @property
    def space(self) -> Space:
        """The space of what is delivered."""
        return self.inputs.space

    def finish(
        self, full: FullFrame, seen: FrameInputs, answer: Answer, stages: Stages
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """A frame's channels (name -> (H, W) over the work window) and its proof, as plain JSON values."""
        with stages.timed("finish"):
            full = self._behind(full, answer)
            layers = self.layers(full, seen, answer, self.change(seen, answer))
            channels = {name: plane.numpy() for name, plane in layers.planes.items()}
            return channels, frame_proof(full, layers, channels)

    def change(self, seen: FrameInputs, answer: Answer) -> LightChange:
        """The engine's change of light at model size, before the look: read from its pictures where it shows some."""
        if isinstance(answer.change, LightChange):
            return answer.change
        with torch.inference_mode():
            return estimate_change(answer.change, seen.matte, self.luminance)

    def layers(self, full: FullFrame, seen: FrameInputs, answer: Answer, change: LightChange) -> Layers:
        """A frame's layers from the change of light (see `change`), with the look's dials turned."""
        with torch.inference_mode():
            change = shape_change(change, seen.plate, seen.matte, self.inputs.recipe.look, self.luminance)
            full = self._behind(full, answer)
            plate, matte = torch.from_numpy(full.plate), torch.from_numpy(full.matte)
            background = None if full.background is None else torch.from_numpy(full.background)
            model = None if isinstance(answer.change, LightChange) else answer.change.relit
            return finish_frame(
                plate, matte, background, change, answer.shadow, self.edges,
                Extras(answer.normal, answer.albedo, answer.depth, model), self.wanted, self.kind,
            )  # fmt: skip

    def _behind(self, full: FullFrame, answer: Answer) -> FullFrame:
        """The frame with the background that the engine painted, brought to plate size, where the recipe gives none."""
        kept = self.inputs.recipe.background.kind == "keep"
        if kept or full.background is not None or answer.background is None:
            return full
        painted = answer.background.cpu().numpy()
        return replace(full, background=resize(painted, *full.plate.shape[-2:]))


def screen_of(
    inputs: Inputs,
    sampled: Callable[[], Sequence[FrameInputs]],
    detect: Callable[[FrameInputs], Screen | None] = lambda seen: detect_screen(seen.plate, seen.matte),
) -> Screen | None:
    """The screen of the shot: named by the look, or the one that most sampled frames show, which are read if asked."""
    look = inputs.recipe.look
    if look.spill == "none" or inputs.recipe.background.kind == "keep":
        return None
    if look.spill != "auto":
        return look.spill
    frames = sampled()
    votes = Counter(detect(seen) for seen in frames)
    winner, count = votes.most_common(1)[0] if votes else (None, 0)
    if winner is None or count * 2 <= sum(votes.values()):
        return None
    return None if any(_lit_by(winner, seen.probe_plate) for seen in frames) else winner


def _lit_by(screen: Screen, probe: torch.Tensor | None) -> bool:
    """True where the plate's own probe has seen the screen: the change of light then takes its spill off already, and
    taking it off twice would leave the foreground in the opposite colour."""
    if probe is None:
        return False
    red, green, blue = (float(value) for value in probe.mean((1, 2)))
    key, others = (green, max(red, blue)) if screen == "green" else (blue, max(red, green))
    return key > SEEN_SCREEN * others
