"""Residual-corrected denoising: exact where nothing is edited, and the plate's detail where something is."""

from __future__ import annotations

import pytest
import torch

from platelight_server.engines.anyportal.consistency.flow import enhance_by_residual
from platelight_server.engines.anyportal.consistency.lock import foreground_latents
from platelight_server.engines.anyportal.consistency.sdedit import Run, enhance, mixed
from tests.models.video_nets import backbone, box_matte, video

RUN = Run(ratio=0.33, steps=4, guidance=3.0, seed=5)
ROUNDING = 2e-5  # of latents of size 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["2b", "wan"])
def test_a_video_edited_into_itself_comes_back_bit_for_bit(kind: str, dtype: torch.dtype) -> None:
    model = backbone(kind, dtype)
    prompt = model.embed("a street", "blurry")
    found = enhance_by_residual(model, video(), video(), prompt, prompt, RUN)
    assert torch.equal(found, model.encode(video()).mean)


def test_another_prompt_edits_it() -> None:
    model = backbone("wan")
    there, here = model.embed("a street at night", ""), model.embed("a beach", "")
    found = enhance_by_residual(model, video(), video(), there, here, RUN)
    assert (found - model.encode(video()).mean).abs().max() > 1e-3


def test_on_a_flow_a_step_is_flowportals() -> None:
    """z' = (1 - s') x_src + s' n + (z - z_src) + (s' - s) (V(z) - V(z_src)), in float64 around the network."""
    model = backbone("wan")
    there, here = model.embed("a street at night", ""), model.embed("a beach", "")
    found = enhance_by_residual(model, video(seed=1), video(), there, here, RUN)
    start, source = (model.encode(clip).mean.double() for clip in (video(seed=1), video()))
    noise = RUN.noise(start, 0).double()
    levels = RUN.levels(model)
    z = mixed(start, noise, levels[0][0])
    for level, following in levels:
        s, after = level.noise, following.noise
        z_source = (1 - s) * source + s * noise
        edited, known = (
            model.predict(x.float(), level, prompt, RUN.guidance) for x, prompt in ((z, there), (z_source, here))
        )
        change = (edited.noise - edited.clean).double() - (known.noise - known.clean).double()
        z = (1 - after) * source + after * noise + (z - z_source) + (after - s) * change
    torch.testing.assert_close(found.double(), z, atol=ROUNDING, rtol=0)


def test_outside_the_lock_it_is_plain_sdedit_at_the_first_step() -> None:
    model = backbone("2b")
    once = Run(ratio=0.8, steps=4, seed=5)
    prompt = model.embed("a street", "blurry")
    clip, matte = video(9, 48, 64), box_matte(9, 48, 64)
    lock = foreground_latents(matte, model.facts)
    found = enhance_by_residual(model, clip, video(9, 48, 64, seed=1), prompt, prompt, once, lock)
    plain = enhance(model, clip, prompt, once)
    outside = ~lock.expand_as(plain)
    assert len(once.levels(model)) == 1
    assert torch.equal(found[outside], plain[outside])
    assert not torch.equal(found, plain)
