"""The layers by name and channel, and the values that go into and come out of `layers.finish_frame`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch

from platelight_server.finish.spill import Screen

LAYERS: dict[str, tuple[str, ...]] = {
    "composite": ("R", "G", "B", "A"),
    "background": ("background.R", "background.G", "background.B"),
    "relit": ("relit.R", "relit.G", "relit.B", "relit.A"),
    "alpha": ("alpha.A",),
    "foreground": ("foreground.R", "foreground.G", "foreground.B", "foreground.A"),
    "gain": ("gain.X", "gain.Y", "gain.Z"),
    "fill": ("fill.R", "fill.G", "fill.B"),
    "shadow": ("shadow.V",),
    "confidence": ("confidence.V",),
    "normal": ("normal.X", "normal.Y", "normal.Z"),
    "albedo": ("albedo.R", "albedo.G", "albedo.B"),
    "depth": ("depth.Z",),
    "model": ("model.R", "model.G", "model.B"),
}
ALL_LAYERS = frozenset(LAYERS)
# The channels that a layer has of its own; alphas are the matte's.
COLOUR = {name: tuple(c for c in channels if c.rpartition(".")[2] != "A") for name, channels in LAYERS.items()}


@dataclass(frozen=True)
class EdgeLook:
    """How edges are treated.

    edge        "clean": foreground colours are estimated; "keep": the plate's colours as filmed
    screen      whose spill is taken off, decided for the clip (`detect_screen`); only where the background is replaced
    spill       0..1, how much of it
    light_wrap  0..1, background light laid over the foreground's edge; only where the background is replaced
    """

    edge: Literal["clean", "keep"] = "clean"
    screen: Screen | None = None
    spill: float = 1.0
    light_wrap: float = 0.0


@dataclass(frozen=True)
class Extras:
    """What else an engine knows, at any size: normal, albedo and model (3, h, w), depth (1, h, w), all float32."""

    normal: torch.Tensor | None = None
    albedo: torch.Tensor | None = None
    depth: torch.Tensor | None = None
    model: torch.Tensor | None = None


@dataclass(frozen=True)
class Layers:
    """Planes by channel name, each (H, W) half (`depth.Z` float32), and what the proof wants to know of them.

    nonfinite, clipped  values of plate, background and results that were NaN or infinite, or beyond ±65504
    largest_gain_stops  largest |gain| inside the matte; largest_fill likewise, light in the working primaries
    """

    planes: dict[str, torch.Tensor] = field(repr=False)
    nonfinite: int
    clipped: int
    largest_gain_stops: float
    largest_fill: float
