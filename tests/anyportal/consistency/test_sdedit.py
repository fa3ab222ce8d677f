"""The loop: where it starts, what it depends on, and how it stops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from platelight.errors import ModelError
from platelight_server.engines.anyportal.consistency.refine import Refinement
from platelight_server.engines.anyportal.consistency.sdedit import Cadence, Run, enhance, slot_noise
from platelight_server.engines.interface import Cancelled
from platelight_server.engines.presets import PRESETS
from platelight_server.models.video.edge_control import EdgeControl
from tests.models.video_nets import backbone, box_matte, edge_net, video

RUN = Run(ratio=0.33, steps=4, seed=5)  # two steps of four


def counted(refined: list[int]):  # type: ignore[no-untyped-def]
    def refine(decoded: torch.Tensor) -> torch.Tensor:
        refined.append(len(decoded))
        return decoded

    return refine


def test_a_ratio_of_infinity_leaves_the_video_as_it_is() -> None:
    model = backbone("2b")
    found = enhance(model, video(), model.embed("", ""), replace(RUN, ratio=math.inf))
    assert torch.equal(found, model.encode(video()).mean)


def test_presets_start_at_the_same_noise_on_every_backbone() -> None:
    starts = {kind: Run(PRESETS["weak"].consistency).levels(backbone(kind))[0][0].ratio for kind in ("2b", "5b", "wan")}
    assert all(ratio == pytest.approx(PRESETS["weak"].consistency, rel=0.1) for ratio in starts.values())


def test_the_same_seed_gives_the_same_result_and_another_another() -> None:
    model = backbone("wan")
    prompt = model.embed("a street", "")
    first, again = (enhance(model, video(), prompt, RUN) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, enhance(model, video(), prompt, replace(RUN, seed=6)))


def test_windows_give_the_same_in_any_order_and_share_noise_where_they_overlap() -> None:
    model, clip = backbone("2b"), video(17)
    prompt = model.embed("a street", "")
    windows = [(clip[:9], replace(RUN, first_latent_slot=0)), (clip[8:], replace(RUN, first_latent_slot=2))]
    forwards = [enhance(model, frames, prompt, run) for frames, run in windows]
    backwards = [enhance(model, frames, prompt, run) for frames, run in reversed(windows)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    whole = slot_noise(5, 0, torch.empty(5, 16, 4, 6))
    assert torch.equal(whole[2:], slot_noise(5, 2, torch.empty(3, 16, 4, 6)))
    assert whole.std() == pytest.approx(1, abs=0.05)


def test_a_short_clip_is_padded_with_its_last_frame() -> None:
    model, short = backbone("2b"), video(6)
    prompt = model.embed("a street", "")
    long = torch.cat([short, short[-1:].expand(3, -1, -1, -1)])
    assert torch.equal(enhance(model, short, prompt, RUN), enhance(model, long, prompt, RUN))


def test_mattes_that_are_empty_throughout_change_no_bit() -> None:
    model = backbone("2b")
    prompt = model.embed("a street", "")
    refine = Refinement(video(seed=1), torch.zeros(9, 1, 32, 48), model.facts, sigma_px=15.0)
    assert torch.equal(enhance(model, video(), prompt, RUN, refine), enhance(model, video(), prompt, RUN))


def test_a_refinement_reaches_the_result() -> None:
    model = backbone("2b")
    prompt = model.embed("a street", "")
    refine = Refinement(video(seed=1), box_matte(), model.facts, sigma_px=15.0)
    assert (enhance(model, video(), prompt, RUN, refine) - enhance(model, video(), prompt, RUN)).abs().max() > 0.1


@pytest.mark.parametrize(
    ("cadence", "refined"), [(Cadence(), 3), (Cadence(every=2), 2), (Cadence(every=9), 1), (Cadence(from_ratio=1e9), 1)]
)
def test_the_cadence_says_how_often_and_the_last_step_is_always_refined(cadence: Cadence, refined: int) -> None:
    model, seen = backbone("2b"), list[int]()
    run = Run(ratio=0.14, steps=4)
    enhance(model, video(), model.embed("", ""), run, counted(seen), cadence=cadence)
    assert len(run.levels(model)) == 3
    assert seen == [9] * refined


def test_every_step_is_told_and_cancelling_leaves_no_hook() -> None:
    model, told = backbone("2b"), list[tuple[str, int, int]]()
    branch = EdgeControl(edge_net()).branch(torch.zeros(9, 1, 32, 48))
    prompt = model.embed("", "")
    enhance(model, video(), prompt, RUN, branches=[branch], step=lambda *said: told.append(said))
    assert told == [("consistency", 1, 2), ("consistency", 2, 2)]

    def cancel(*_: object) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        enhance(model, video(), prompt, RUN, branches=[branch], step=cancel)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.transformer.modules())


def test_numbers_that_are_none_are_named_with_their_step() -> None:
    model = backbone("2b")
    prompt = model.embed("", "")

    def breaks(_: str, step: int, __: int) -> None:
        with torch.no_grad():
            model.transformer.proj_out.bias.fill_(math.nan)

    with pytest.raises(ModelError, match="not finite at step 2 of 2 in float32; check its files"):
        enhance(model, video(), prompt, RUN, step=breaks)
