"""Engines with a known answer, registered under names that no recipe of a user has."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import torch

from platelight_server.engines.interface import (
    Answer,
    Capabilities,
    Engine,
    FrameInputs,
    LightChange,
    Notes,
    Option,
    Pictures,
    Shot,
)
from platelight_server.engines.registry import register

BACKGROUNDS = ("keep", "still", "sequence")


class StillEngine(Engine):
    """Changes nothing."""

    capabilities = Capabilities("test_still", "changes nothing", BACKGROUNDS, 64, 1)

    def prepare(self, shot: Shot) -> Notes:
        return Notes()

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        for seen in window:
            if seen.frame in answered:
                blank = torch.zeros_like(seen.plate)
                yield Answer(seen.frame, LightChange(blank, blank, torch.ones_like(seen.matte)))


class WavyEngine(Engine):
    """A strong smooth gain and a little fill, different on every frame, the same for the same frame."""

    capabilities = Capabilities(
        "test_wavy", "a strong wave of light", BACKGROUNDS, 48, 2, context_before=1, context_after=1,
        options=(Option("sleep_seconds", "float", 0.0, "per frame"), Option("break_at", "int", -1, "breaks here")),
    )  # fmt: skip

    def prepare(self, shot: Shot) -> Notes:
        return Notes({"frames": len(shot.frames)})

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        for seen in window:
            if seen.frame not in answered:
                continue
            time.sleep(self.options["sleep_seconds"])
            if seen.frame == self.options["break_at"]:
                os._exit(9)
            _, h, w = seen.plate.shape
            y, x = torch.meshgrid(torch.linspace(0, 3, h), torch.linspace(0, 3, w), indexing="ij")
            wave = torch.sin(x + seen.frame) * torch.cos(y) * 2
            gain = torch.stack([wave, 0.5 * wave, -wave])
            yield Answer(seen.frame, LightChange(gain, gain.clamp_min(0) * 0.01, torch.ones(1, h, w)))


class PaintingEngine(Engine):
    """Shows pictures, as a model does: a decoded copy of the plate, and the same twice as bright in red."""

    capabilities = Capabilities("test_painting", "shows pictures", BACKGROUNDS, 48, 1)

    def prepare(self, shot: Shot) -> Notes:
        return Notes()

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        for seen in window:
            if seen.frame in answered:
                source = seen.plate.clamp_min(0)
                relit = source * torch.tensor([2.0, 1.0, 1.0]).view(3, 1, 1)
                yield Answer(seen.frame, Pictures(source, source, relit))


class BackdropEngine(Engine):
    """Paints a flat background at model size, whatever the prompt asks, and changes nothing else."""

    capabilities = Capabilities("test_backdrop", "paints a background", ("prompt",), 32, 1)

    def prepare(self, shot: Shot) -> Notes:
        return Notes()

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        for seen in window:
            if seen.frame in answered:
                blank = torch.zeros_like(seen.plate)
                change = LightChange(blank, blank, torch.ones_like(seen.matte))
                yield Answer(seen.frame, change, background=torch.full_like(seen.plate, 0.25))


class SteppingEngine(WavyEngine):
    """The wavy engine's answers after many small steps per window, and some in `prepare`."""

    capabilities = Capabilities(
        "test_steps", "takes many steps", BACKGROUNDS, 48, 4, context_before=1, context_after=1,
        options=(
            Option("sleep_seconds", "float", 0.0, "per step"), Option("steps", "int", 10, "per window"),
            Option("prepare_steps", "int", 0, "before the first window"), Option("break_at", "int", -1, "as in wavy"),
        ),
    )  # fmt: skip

    def prepare(self, shot: Shot) -> Notes:
        for _ in shot.sampled(self.capabilities.sampled_frames):
            pass
        self._steps("look", self.options["prepare_steps"])
        return super().prepare(shot)

    def relight(self, window: Sequence[FrameInputs], answered: Sequence[int]) -> Iterator[Answer]:
        self._steps("relight", self.options["steps"])
        pause, self.options["sleep_seconds"] = self.options["sleep_seconds"], 0.0
        yield from super().relight(window, answered)
        self.options["sleep_seconds"] = pause

    def _steps(self, stage: str, steps: int) -> None:
        for step in range(steps):
            time.sleep(self.options["sleep_seconds"])
            self.step(stage, step + 1, steps)


for engine, attribute in (
    ("still", "StillEngine"),
    ("wavy", "WavyEngine"),
    ("painting", "PaintingEngine"),
    ("backdrop", "BackdropEngine"),
    ("steps", "SteppingEngine"),
):
    register(f"test_{engine}", "tests.shots.engines", attribute)
