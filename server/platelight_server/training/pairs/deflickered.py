"""The paper's second stage: pairs of `relit` whose flickering foreground a trained network makes steady."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from platelight.errors import FrameError
from platelight_server.engines.harmovid import alpha
from platelight_server.models.record import ensure
from platelight_server.training.pairs.makers import Made, Maker
from platelight_server.training.pairs.relighting import Steadier
from platelight_server.training.pairs.sources import Source

__all__ = ["Deflickered"]


class Deflickered(Maker):
    """Adds the role `relit`: the network's answer inside the binary mask, over the background it was relit for."""

    stage = "deflickered"

    def __init__(self, network: Steadier, folder: Path, steps: int, seed: int) -> None:
        self._network = network
        self._asked = {"steps": steps, "seed": seed, "network": ensure(network.card, folder).digest}
        self.models = (f"{network.card.name} ({network.card.licence})",)
        self.commercial = network.card.terms != "noncommercial"

    def settings(self, source: Source) -> dict[str, Any]:
        lacking = [role for role in ("flicker", "background") if role not in source.roles]
        if lacking:
            raise FrameError(
                f"clip {source.name}: expected {lacking[0]}, as `platelight data pairs relit` makes it, found none"
            )
        return self._asked

    def pictures(self, source: Source, height: int, width: int) -> Made:
        flicker, matte = (
            torch.from_numpy(np.stack([source.read(role, frame, height, width) for frame in source.frames]))
            for role in ("flicker", "matte")
        )
        steady = self._network.steady(flicker, matte)
        for number, frame in enumerate(source.frames):
            given = {role: source.read(role, frame, height, width) for role in source.roles if role != "relit"}
            behind = torch.from_numpy(given["background"])
            relit = alpha.composite(steady[number], alpha.binary(matte[number]), behind)
            yield frame, {**given, "relit": relit.numpy()}
