from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0

from platelight_server.engines.interface import Cancelled
from platelight_server.engines.light.frames import LightSettings
from platelight_server.engines.light.harmonize import Harmonizer
from platelight_server.engines.light.reference import PairwiseHarmonizer
from platelight_server.models.image.iclight import IcLight
from tests.engines.light.scenes import light_frame, window

TEXTS = ("a man on a beach", "lowres")
SETTINGS = LightSettings(steps=3)
ROUNDING = 1e-4  # batches of another size are summed in another order; steps multiply that (seen: 7e-6)
ANCHOR = light_frame(90)


class Calls:
    """Counts the rows that a network is called with, until it is taken off."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.rows: list[int] = []
        self._hook = network.register_forward_pre_hook(lambda _, given: self.rows.append(len(given[0])))

    def off(self) -> list[int]:
        self._hook.remove()
        return self.rows


def plain(parts: IcLight) -> bool:
    processors = [*parts.fc.attn_processors.values(), *parts.fbc.attn_processors.values()]
    return all(type(processor) is AttnProcessor2_0 for processor in processors)


def test_bank_is_the_released_pairs(parts: IcLight) -> None:
    found = Harmonizer(parts).harmonize(window(3), ANCHOR, *TEXTS, SETTINGS)
    pairs = PairwiseHarmonizer(parts).harmonize(window(3), ANCHOR, *TEXTS, SETTINGS)
    torch.testing.assert_close(found, pairs, atol=ROUNDING, rtol=0)


def test_every_frame_is_computed_once(parts: IcLight) -> None:
    calls = Calls(parts.fbc)
    Harmonizer(parts).harmonize(window(5), ANCHOR, *TEXTS, replace(SETTINGS, stage="image", chunk=2))
    assert calls.off() == [2, 4, 4, 2] * 3  # anchor, 2 frames, 2 frames, 1 frame; with the negative text each


@pytest.mark.parametrize("chunk", [2, 5])
def test_chunks_change_rounding_alone(parts: IcLight, chunk: int) -> None:
    harmonizer = Harmonizer(parts)
    one = harmonizer.harmonize(window(3), ANCHOR, *TEXTS, SETTINGS)
    more = harmonizer.harmonize(window(3), ANCHOR, *TEXTS, replace(SETTINGS, chunk=chunk))
    torch.testing.assert_close(more, one, atol=ROUNDING, rtol=0)


def test_a_frame_is_the_same_in_any_window(parts: IcLight) -> None:
    harmonizer = Harmonizer(parts)
    whole = harmonizer.harmonize(window(3), ANCHOR, *TEXTS, SETTINGS)
    part = harmonizer.harmonize(window(3)[2:3], ANCHOR, *TEXTS, SETTINGS)
    assert torch.equal(part[0], whole[2])


def test_frames_look_at_the_anchor(parts: IcLight) -> None:
    harmonizer = Harmonizer(parts)
    one, other, none = (
        harmonizer.harmonize(window(1), anchor, *TEXTS, SETTINGS) for anchor in (ANCHOR, light_frame(91), None)
    )
    assert (one - other).abs().max() > 100 * ROUNDING
    assert (one - none).abs().max() > 100 * ROUNDING


@pytest.mark.parametrize("kind", [Harmonizer, PairwiseHarmonizer])
def test_a_cancel_leaves_the_networks_as_they_were(parts: IcLight, kind: type[Harmonizer]) -> None:
    def cancel(stage: str, step: int, steps: int) -> None:
        if stage == "light text":
            assert not plain(parts)
            raise Cancelled

    with pytest.raises(Cancelled):
        kind(parts).harmonize(window(2), ANCHOR, *TEXTS, SETTINGS, cancel)
    assert plain(parts)
