"""The shot as an engine sees it: frames at model size, as torch tensors, with the camera and lights of the frame."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from platelight.camera import CameraFrame
from platelight.frames import sample_frames
from platelight.lights import LightFrame

from .color.spaces import luminance_weights, matrix, named
from .engines.interface import Capabilities, FrameInputs, Shot
from .plates.cameras import over_box
from .plates.geometry import model_size, resize
from .plates.inputs import FullFrame, Inputs


@dataclass(frozen=True)
class ModelView:
    """Makes `FrameInputs` of frames as read. `between` is called before each frame and may raise `Cancelled`."""

    inputs: Inputs
    capabilities: Capabilities
    device: str = "cpu"
    between: Callable[[], None] = lambda: None
    _from_rec709: list[np.ndarray] = field(default_factory=list, compare=False, repr=False)
    _read: dict[int, FrameInputs] = field(default_factory=dict, compare=False, repr=False)
    _made: dict[str, tuple[np.ndarray, torch.Tensor]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the engine's pictures."""
        work = self.inputs.work
        return model_size(work.height, work.width, self.capabilities.model_height, self.capabilities.model_width)

    def of(self, full: FullFrame) -> FrameInputs:
        """One frame at model size."""
        inputs, frame = self.inputs, full.frame
        return self.frame_inputs(
            frame,
            self.picture(full.plate),
            self.picture(full.matte),
            self._still("background", full.background, self.picture),
            None if full.normal is None else self.picture(full.normal),
            self._still("probe_background", inputs.probe("probe_background", frame), self.tensor),
            self._still("probe_plate", inputs.probe("probe_plate", frame), self.tensor),
            None if full.relit is None else self.picture(full.relit),
        )

    def frame_inputs(
        self,
        frame: int,
        plate: torch.Tensor,
        matte: torch.Tensor,
        background: torch.Tensor | None,
        normal: torch.Tensor | None,
        probe_background: torch.Tensor | None,
        probe_plate: torch.Tensor | None,
        relit: torch.Tensor | None = None,
    ) -> FrameInputs:
        """Pictures at model size (see `FrameInputs`) with the camera and the lights of their frame."""
        inputs = self.inputs
        return FrameInputs(
            frame, plate, matte, background, probe_background, probe_plate, normal,
            self._camera(frame),
            tuple(self._light(light.at(frame)) for light in inputs.recipe.lights),
            relit,
        )  # fmt: skip

    def shot(self, read: Callable[[int], FrameInputs] | None = None) -> Shot:
        """The whole shot. An engine may look at the sampled frames alone: they are part of every frame's hash.

        `read` gives a sampled frame; by default it is read from its files, with all others, on the first call.
        """
        recipe = self.inputs.recipe
        frames = tuple(recipe.frames)
        return Shot(
            frames,
            read or self._sample,
            luminance_weights(self.inputs.space),
            recipe.ground,
            recipe.look.seed,
            recipe.look.stability,
            frozenset(frame for frame in self.sampled_frames() if frame not in self.inputs.plate.files),
            recipe.background.prompt,
            self._camera,
            () if recipe.camera is None else recipe.camera.points,
            tuple(map(tuple, matrix(self.inputs.space, named("lin_rec709_scene")).tolist())),
        )

    def _camera(self, frame: int) -> CameraFrame | None:
        """The camera of a frame for pictures at model size; `None` where there is none."""
        inputs, camera = self.inputs, self.inputs.camera
        if camera is None or frame not in camera.frames:
            return None
        height, width = self.size
        return over_box(camera.frames[frame], inputs.display, inputs.work, width, height)

    def sampled(self) -> list[FrameInputs]:
        """The frames that `prepare` may look at, read once."""
        return list(self._samples().values())

    def _sample(self, frame: int) -> FrameInputs:
        self.between()
        return self._samples()[frame]

    def _samples(self) -> dict[int, FrameInputs]:
        if not self._read:
            frames = [frame for frame in self.sampled_frames() if frame in self.inputs.plate.files]
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                self._read.update(list(zip(frames, pool.map(self._load, frames), strict=True)))
        return self._read

    def _load(self, frame: int) -> FrameInputs:
        self.between()
        return self.of(self.inputs.read(frame))

    def sampled_frames(self) -> tuple[int, ...]:
        """The frames that `prepare` may look at."""
        return sample_frames(tuple(self.inputs.recipe.frames), self.capabilities.sampled_frames)

    def picture(self, pixels: np.ndarray) -> torch.Tensor:
        """(C, H, W) as read -> (C, h, w) float32 at model size, on the engine's device."""
        height, width = self.size
        return torch.from_numpy(np.ascontiguousarray(resize(pixels, height, width))).to(self.device)

    def tensor(self, pixels: np.ndarray) -> torch.Tensor:
        """(C, h, w) float32 as it is, on the engine's device."""
        return torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)

    def _still(
        self, role: str, pixels: np.ndarray | None, make: Callable[[np.ndarray], torch.Tensor]
    ) -> torch.Tensor | None:
        """The tensor of a picture. A still comes as the same array on every frame, and gives the same tensor."""
        if pixels is None:
            return None
        held = self._made.get(role)
        if held is None or held[0] is not pixels:
            held = self._made[role] = (pixels, make(pixels))
        return held[1]

    def _light(self, light: LightFrame) -> LightFrame:
        """A light with its colour, which recipes give in Rec.709, in the working primaries."""
        if not self._from_rec709:  # asking OCIO takes half a millisecond, a preview asks for some forty lights
            self._from_rec709.append(matrix(named("lin_rec709_scene"), self.inputs.space))
        red, green, blue = self._from_rec709[0] @ np.array(light.color)
        return replace(light, color=(float(red), float(green), float(blue)))
