"""Algorithm 2: against its literal form, and exact where nothing is refined."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from platelight_server.engines.anyportal.consistency.lock import foreground_latents
from platelight_server.engines.anyportal.consistency.refine import Refinement
from platelight_server.engines.anyportal.consistency.rpa import project, refined_latent
from platelight_server.engines.anyportal.consistency.sdedit import Run, enhance
from platelight_server.models.video.interface import Moments, VideoBackbone
from tests.anyportal.consistency import literal
from tests.models.video_nets import backbone, box_matte, cogvideox15, video

FORMULA = 3e-6  # of latents of size 5 in float32, where sigma is about 1 and the literal form is stable
LOOP = 2e-5  # of latents of size 4: the same loop in float64 around the same float32 networks
RUN = Run(ratio=0.33, steps=4, guidance=3.0, seed=5)

FULL, HALF = torch.float32, torch.bfloat16
WHOLE = [(kind, dtype, None) for kind in ("2b", "5b", "wan") for dtype in (FULL, HALF)]
TILED = [("2b", FULL, (48, 40)), ("2b", HALF, (48, 40)), ("wan", FULL, (32, 32))]


@pytest.mark.parametrize(("kind", "dtype", "tile"), [*WHOLE, *TILED])
def test_projecting_no_refinement_is_plain_sdedit_bit_for_bit(kind: str, dtype: torch.dtype, tile: Any) -> None:
    model = backbone(kind, dtype, tile=tile)
    clip = video() if tile is None else video(9, 32, 64)
    _exact(model, clip)


def test_projecting_no_refinement_is_plain_sdedit_in_half_precision_and_on_1_5() -> None:
    _exact(backbone("2b", torch.float16), video())
    _exact(cogvideox15(), video(17))


def _exact(model: VideoBackbone, clip: torch.Tensor) -> None:
    prompt = model.embed("a street", "blurry")
    plain = enhance(model, clip, prompt, RUN)
    assert torch.equal(enhance(model, clip, prompt, RUN, refine=torch.clone), plain)
    start = model.encode(clip).mean
    assert (model.encode(model.decode(start)).mean - start).abs().max() > 0.1  # the codec alone would not give it back


def test_a_step_is_the_papers() -> None:
    draw = torch.Generator().manual_seed(2)
    clean, mean, moved = (torch.randn(3, 16, 4, 6, generator=draw) for _ in range(3))
    logvar, spread = (0.2 * torch.randn(3, 16, 4, 6, generator=draw) for _ in range(2))
    epsilon = (clean.double() - mean) / (logvar.double() / 2).exp()
    wanted = moved + epsilon * (spread.double() / 2).exp()
    found = project(clean, Moments(mean, logvar), Moments(moved, spread))
    torch.testing.assert_close(found.double(), wanted, atol=FORMULA, rtol=0)


def test_a_sigma_that_underflows_half_precision_does_no_harm() -> None:
    clean, mean = torch.randn(1, 16, 4, 6).half(), torch.randn(1, 16, 4, 6).half()
    floor = torch.full_like(clean, -30.0)
    assert torch.equal(project(clean, Moments(mean, floor), Moments(mean, floor)), clean)
    moved = project(clean, Moments(mean, floor), Moments(mean + 1, floor + 1))
    assert torch.isfinite(moved).all()


def test_the_whole_loop_is_the_papers() -> None:
    model = backbone("2b")
    clip, plate, full = video(), video(seed=1), torch.ones(9, 1, 32, 48)
    prompt = model.embed("a street", "blurry")
    refine = Refinement(plate, full, model.facts, sigma_px=15.0)
    found = enhance(model, clip, prompt, RUN, refine)

    levels = RUN.levels(model)
    timesteps = [int(level.timestep) for level, _ in levels]
    alphas = literal.kept_signal(snr_shift=3.0)
    decode, encode = literal.codec(model.vae)
    start = encode(clip)[0]
    a = alphas[timesteps[0]]
    latent = a.sqrt() * start + (1 - a).sqrt() * RUN.noise(start, 0).double()
    velocity = literal.guided(model.transformer, prompt.positive, prompt.negative, RUN.guidance)

    def refined(edited: torch.Tensor) -> torch.Tensor:
        return literal.refine(edited, plate, full, edited, sigma=1.0)

    wanted = literal.denoise(latent, timesteps, alphas, velocity, decode, encode, refined)
    assert len(timesteps) == 2
    torch.testing.assert_close(found.double(), wanted, atol=LOOP, rtol=0)
    assert (found - enhance(model, clip, prompt, RUN)).abs().max() > 100 * LOOP


def test_locked_latents_stay_bit_for_bit_and_without_a_lock_they_do_not() -> None:
    model = backbone("2b")
    clip, matte = video(9, 48, 64), box_matte(9, 48, 64)
    clean = model.encode(clip).mean
    refine = Refinement(video(9, 48, 64, seed=1), matte, model.facts, sigma_px=15.0)
    lock = foreground_latents(matte, model.facts)
    free, locked = refined_latent(model, clean, refine), refined_latent(model, clean, refine, lock)
    outside = ~lock.expand_as(clean)
    assert torch.equal(locked[outside], clean[outside])
    assert torch.equal(locked[~outside], free[~outside])
    assert not torch.equal(free[outside], clean[outside])
    assert (locked - clean).abs().max() > 0.1
