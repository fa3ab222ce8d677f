"""The shot as an engine sees it: frames brought to model size, as torch tensors, with camera and lights of the frame."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from .color.spaces import luminance_weights
from .engines.interface import Capabilities, FrameInputs, Shot, sample_frames
from .plates.cameras import over_box
from .plates.geometry import model_size, resize
from .plates.inputs import FullFrame, Inputs


@dataclass(frozen=True)
class ModelView:
    """Makes `FrameInputs` of frames as read."""

    inputs: Inputs
    capabilities: Capabilities
    device: str = "cpu"
    _read: dict[int, FrameInputs] = field(default_factory=dict, compare=False, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the engine's pictures."""
        work = self.inputs.work
        return model_size(work.height, work.width, self.capabilities.model_height)

    def of(self, full: FullFrame) -> FrameInputs:
        """One frame at model size."""
        height, width = self.size
        inputs, frame = self.inputs, full.frame
        camera = inputs.camera
        return FrameInputs(
            frame,
            self._picture(full.plate),
            self._picture(full.matte),
            None if full.background is None else self._picture(full.background),
            self._tensor(inputs.probe(inputs.probe_background, frame)),
            self._tensor(inputs.probe(inputs.probe_plate, frame)),
            None if full.normal is None else self._picture(full.normal),
            None if camera is None else over_box(camera.at(frame), inputs.display, inputs.work, width, height),
            tuple(light.at(frame) for light in inputs.recipe.lights),
        )

    def shot(self) -> Shot:
        """The whole shot. An engine may look at the sampled frames alone: they are part of every frame's hash."""
        recipe = self.inputs.recipe
        frames = tuple(recipe.frames)
        return Shot(
            frames,
            lambda frame: self._samples()[frame],
            luminance_weights(self.inputs.space),
            recipe.ground,
            recipe.look.seed,
            frozenset(frame for frame in self.sampled_frames() if frame not in self.inputs.plate.files),
        )

    def sampled(self) -> list[FrameInputs]:
        """The frames that `prepare` may look at, read once."""
        return list(self._samples().values())

    def _samples(self) -> dict[int, FrameInputs]:
        if not self._read:
            frames = [frame for frame in self.sampled_frames() if frame in self.inputs.plate.files]
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                self._read.update(zip(frames, pool.map(lambda f: self.of(self.inputs.read(f)), frames), strict=True))
        return self._read

    def sampled_frames(self) -> tuple[int, ...]:
        """The frames that `prepare` may look at."""
        return sample_frames(tuple(self.inputs.recipe.frames), self.capabilities.sampled_frames)

    def _picture(self, pixels: np.ndarray) -> torch.Tensor:
        height, width = self.size
        return torch.from_numpy(np.ascontiguousarray(resize(pixels, height, width))).to(self.device)

    def _tensor(self, pixels: np.ndarray | None) -> torch.Tensor | None:
        return None if pixels is None else torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)
