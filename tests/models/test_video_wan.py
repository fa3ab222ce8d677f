"""Wan against diffusers' own pipeline, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanPipeline

from platelight.errors import RecipeError
from platelight_server.models.video.interface import NoiseLevel
from platelight_server.models.video.text import cleaned
from tests.models.video_nets import FRAMES, HEIGHT, WIDTH, backbone, edge_net, folder, video

ROUNDING = 2e-5  # of latents of size 4


def test_text_to_video_is_that_of_diffusers() -> None:
    model = backbone("wan")
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)  # plain steps along the flow, as ours are
    pipeline = WanPipeline(model.tokenizer, model.text_encoder, model.vae, scheduler, model.transformer)
    pipeline.set_progress_bar_config(disable=True)
    start = torch.randn(3, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(3))
    given = {"height": HEIGHT, "width": WIDTH, "num_frames": FRAMES, "num_inference_steps": 4, "output_type": "latent"}
    wanted = pipeline("a  dancer &amp; a street", "blurry", latents=start.transpose(0, 1)[None], **given).frames
    prompt, latent = model.embed("a  dancer &amp; a street", "blurry"), start
    sigmas = scheduler.sigmas.tolist()
    for timestep, sigma, following in zip(scheduler.timesteps.tolist(), sigmas, sigmas[1:], strict=False):
        answer = model.predict(latent, NoiseLevel(timestep, 1 - sigma, sigma), prompt, 5.0)
        latent = (1 - following) * answer.clean + following * answer.noise
    torch.testing.assert_close(latent, wanted[0].transpose(0, 1), atol=ROUNDING, rtol=0)


def test_levels_are_those_of_the_published_scheduler() -> None:
    scheduler = UniPCMultistepScheduler.from_pretrained(folder("wan") / "scheduler")
    scheduler.set_timesteps(20)
    levels = backbone("wan").levels(20)
    assert [level.timestep for level in levels] == scheduler.timesteps.tolist()
    assert [level.noise for level in levels] == scheduler.sigmas[:-1].tolist()
    assert all(level.signal + level.noise == pytest.approx(1, abs=1e-12) for level in levels)


def test_latents_are_normalised_and_back() -> None:
    model = backbone("wan")
    clip = video()
    raw = model.vae.encode(clip.transpose(0, 1)[None]).latent_dist.mean[0].transpose(0, 1)
    mean = torch.tensor(model.vae.config.latents_mean)[:, None, None]
    spread = torch.tensor(model.vae.config.latents_std)[:, None, None]
    found = model.encode(clip).mean
    torch.testing.assert_close(found, (raw - mean) / spread)
    again = model.vae.decode((found * spread + mean).transpose(0, 1)[None]).sample[0].transpose(0, 1)
    torch.testing.assert_close(model.decode(found), again)


def test_prompts_are_cleaned_masked_and_never_cut() -> None:
    assert cleaned("  a &amp;amp; b\n\tcafÃ©  ") == "a & b café"
    model = backbone("wan")
    prompt = model.embed("a street", "")
    length = len(model.tokenizer("a street").input_ids)
    assert (prompt.positive[0, :length].abs().amax(1) > 0).all()
    assert (prompt.positive[0, length:] == 0).all()
    with pytest.raises(RecipeError, match="at most 512 tokens, got 901"):
        model.embed("word " * 300, "")


@pytest.mark.parametrize("count", [8, 85])
def test_counts_that_the_model_does_not_take_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        backbone("wan").encode(video(count))


def test_branches_and_conditions_are_refused() -> None:
    from platelight_server.models.video.edge_control import EdgeControl

    model = backbone("wan")
    branch = EdgeControl(edge_net()).branch(torch.zeros(9, 1, HEIGHT, WIDTH))
    with pytest.raises(RecipeError, match="no branches beside wan"), model.attached([branch]):
        pass
    latent = model.encode(video()).mean
    with pytest.raises(ValueError, match="expected no condition"):
        model.predict(latent, model.levels(4)[0], model.embed("", ""), 1.0, latent)


def test_half_precision_keeps_the_codec_in_float32() -> None:
    model = backbone("wan", torch.bfloat16)
    assert (model.dtype, model.vae.dtype) == (torch.bfloat16, torch.float32)
    answer = model.predict(model.encode(video()).mean, model.levels(4)[1], model.embed("a", ""), 5.0)
    assert answer.clean.dtype == torch.float32
    assert torch.isfinite(answer.clean).all()


def test_tiles_of_broken_latents_are_refused() -> None:
    with pytest.raises(RecipeError, match="multiples of 32, got 48x40"):
        backbone("wan", tile=(48, 40))
    model = backbone("wan", tile=(32, 32))
    assert model.decode(model.encode(video(9, 64, 80)).mean).shape == (9, 3, 64, 80)
