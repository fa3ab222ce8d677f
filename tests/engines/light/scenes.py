"""Small frames: a box that moves over noise."""

from __future__ import annotations

import torch

from platelight_server.engines.light.frames import LightFrame

HEIGHT, WIDTH = 32, 48


def light_frame(frame: int, height: int = HEIGHT, width: int = WIDTH, empty: bool = False) -> LightFrame:
    """Frame number `frame`: its content depends on the number alone."""
    generator = torch.Generator().manual_seed(frame)
    foreground, background = (torch.rand(3, height, width, generator=generator) * 2 - 1 for _ in range(2))
    matte = torch.zeros(1, height, width)
    if not empty:
        matte[:, 4 : height - 4, 8 + frame % 8 : 32 + frame % 8] = 1
        matte[:, 4] = 0.5
    return LightFrame(frame, foreground, matte, background)


def window(count: int = 5, first: int = 100) -> list[LightFrame]:
    """`count` frames in a row."""
    return [light_frame(first + index) for index in range(count)]
