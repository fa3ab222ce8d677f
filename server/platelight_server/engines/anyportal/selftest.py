"""What the engine promises, stage by stage, checked on real networks: `platelight selftest anyportal`."""

from __future__ import annotations

import math

import torch

from platelight_server.engines.anyportal.consistency.selftest import Check, selftest
from platelight_server.engines.light.frames import LightFrame, LightSettings
from platelight_server.engines.light.harmonize import Harmonizer
from platelight_server.engines.light.reference import PairwiseHarmonizer
from platelight_server.evaluation.random_models import random_cogvideox, random_iclight
from platelight_server.models.catalogue import card
from platelight_server.models.image.iclight import IcLight
from platelight_server.models.record import ensure
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.interface import VideoBackbone
from platelight_server.models.video.wan import Wan

__all__ = ["Check", "all_checks", "light_checks"]

# The bank and pairs compute the same sums in another order; measured 7e-6 in float32 over five steps.
BANK_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.25, torch.float16: 0.05}


def all_checks(backbone: str | None, dtype: torch.dtype, device: str) -> list[Check]:
    """All stages. With `backbone` the checkpoint of that name and IC-Light's are loaded, else small random networks.

    Raises `ModelError` for checkpoints that are not here.
    """
    if backbone is None:
        found = selftest(random_cogvideox("cogvideox-2b", False, dtype, device))
        return found + light_checks(random_iclight(False, dtype, device))
    found = selftest(_loaded(backbone, dtype, device))
    base, fc, fbc = (ensure(card(name)).folder for name in ("realistic-vision-v51", "iclight-fc", "iclight-fbc"))
    return found + light_checks(IcLight.from_folders(base, fc, fbc, dtype, device))


@torch.no_grad()
def light_checks(parts: IcLight, size: tuple[int, int] = (64, 96), steps: int = 3) -> list[Check]:
    """What the light stage promises, on a window of three small frames."""
    draw = torch.Generator().manual_seed(5)
    device = parts.device
    frames = [_frame(number, size, draw, device) for number in range(4)]
    anchor, window = frames[0], frames[1:]
    settings = LightSettings(steps=steps)
    harmonizer, pairwise = Harmonizer(parts), PairwiseHarmonizer(parts)
    texts = ("a street at night", "blurry")
    whole = harmonizer.harmonize(window, anchor, *texts, settings)
    again = harmonizer.harmonize(window, anchor, *texts, settings)
    alone = torch.cat([harmonizer.harmonize([one], anchor, *texts, settings) for one in window])
    pairs = pairwise.harmonize(window, anchor, *texts, settings)
    nothing = harmonizer.harmonize(window, anchor, *texts, LightSettings(stage="none"))
    plain = torch.stack([torch.where(f.matte == 0, f.background, f.foreground) for f in window])
    return [
        _bounded("the same seed gives the same light", again, whole, 0.0),
        _bounded("a frame's light does not depend on its window", alone, whole, 0.0),
        _bounded("the bank equals pairs with the anchor", whole, pairs, BANK_TOLERANCE[parts.dtype]),
        _bounded("without the stage nothing changes", nothing, plain, 0.0),
    ]


def _loaded(name: str, dtype: torch.dtype, device: str) -> VideoBackbone:
    kind = Wan if name.startswith("wan") else CogVideoX
    return kind.from_folder(ensure(card(name)).folder, dtype, device)


def _frame(number: int, size: tuple[int, int], draw: torch.Generator, device: torch.device) -> LightFrame:
    foreground, background = (torch.rand(3, *size, generator=draw) * 2 - 1 for _ in range(2))
    matte = torch.zeros(1, *size)
    matte[:, : size[0] // 2] = 1
    return LightFrame(number, foreground.to(device), matte.to(device), background.to(device))


def _bounded(name: str, found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> Check:
    value = float((found - wanted).abs().max())
    return Check(name, not math.isnan(value) and value <= tolerance, value, tolerance)
