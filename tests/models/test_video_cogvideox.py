"""CogVideoX against diffusers' own pipelines, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXImageToVideoPipeline, CogVideoXPipeline

from platelight.errors import RecipeError
from platelight_server.engines.presets import PRESETS, first_step
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.guard import require_finite
from platelight_server.models.video.interface import CLEAN, Moments, NoiseLevel, Prediction, Prompt
from platelight_server.models.video.schedule import dynamic_guidance
from tests.models.video_nets import FRAMES, HEIGHT, WIDTH, backbone, cogvideox15, folder, video

STEPS = 4  # divides 1000, so that diffusers' own step takes the right one before
ROUNDING = 2e-5  # of latents of size 4: the pipelines do the same float32 operations in another order


def denoised(model: CogVideoX, start: torch.Tensor, prompt: Prompt, guidance: float, **given: Any) -> torch.Tensor:
    """Our own loop from pure noise."""
    levels = model.levels(STEPS)
    for level, following in zip(levels, (*levels[1:], CLEAN), strict=True):
        answer = model.predict(start, level, prompt, guidance, **given)
        start = following.signal * answer.clean + following.noise * answer.noise
    return start


def pipeline_of(model: CogVideoX, kind: type = CogVideoXPipeline) -> Any:
    scheduler = CogVideoXDDIMScheduler.from_pretrained(folder("5b") / "scheduler")
    if model.facts.precision == "float16":
        scheduler = CogVideoXDDIMScheduler.from_pretrained(folder("2b") / "scheduler")
    made = kind(model.tokenizer, model.text_encoder, model.vae, model.transformer, scheduler)
    made.set_progress_bar_config(disable=True)
    return made


def noise(frames: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(frames, 16, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["2b", "5b", "1.5"])
def test_text_to_video_is_that_of_diffusers(kind: str) -> None:
    model = cogvideox15() if kind == "1.5" else backbone(kind)
    frames = 1 + model.facts.frame_step
    start = noise(model.facts.latent_frames(frames))
    found = denoised(model, start, model.embed("a dancer on a street", "blurry"), 6.0)
    wanted = pipeline_of(model)(
        "a dancer on a street", "blurry", HEIGHT, WIDTH, frames, STEPS, latents=start[None], output_type="latent"
    ).frames[0]
    torch.testing.assert_close(found, wanted, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("kind", ["i2v", "1.5"])
def test_image_to_video_is_that_of_diffusers(kind: str) -> None:
    model = cogvideox15(32) if kind == "1.5" else backbone(kind)
    with torch.no_grad():  # a codec that is sure of itself: the pipeline samples, we take the mean
        model.vae.encoder.conv_out.conv.weight[16:] = 0
        model.vae.encoder.conv_out.conv.bias[16:] = -30
    frames = 1 + model.facts.frame_step
    image, start = video(1).clamp(-1, 1), noise(model.facts.latent_frames(frames))
    prompt = model.embed("a dancer on a street", "blurry")
    found = denoised(model, start, prompt, 6.0, condition=model.image_condition(image, frames))
    pipeline = pipeline_of(model, CogVideoXImageToVideoPipeline)
    given = {"latents": start[None], "output_type": "latent", "height": HEIGHT, "width": WIDTH}
    wanted = pipeline(
        (image + 1) / 2, "a dancer on a street", "blurry", num_frames=frames, num_inference_steps=STEPS, **given
    ).frames[0]
    torch.testing.assert_close(found, wanted, atol=ROUNDING, rtol=0)


def test_dynamic_guidance_is_that_of_diffusers() -> None:
    model = backbone("i2v")
    pipeline = pipeline_of(model, CogVideoXImageToVideoPipeline)
    seen: list[float] = []

    def note(running: Any, *_: object) -> dict[str, Any]:
        seen.append(running.guidance_scale)
        return {}

    given = {"height": HEIGHT, "width": WIDTH, "num_frames": FRAMES, "num_inference_steps": STEPS}
    given |= {"use_dynamic_cfg": True, "output_type": "latent", "callback_on_step_end": note}
    pipeline(torch.zeros(1, 3, HEIGHT, WIDTH), "a", **given)
    assert [dynamic_guidance(6.0, level, STEPS) for level in model.levels(STEPS)] == pytest.approx(seen, abs=1e-9)


def test_levels_start_without_signal_and_need_no_even_steps() -> None:
    levels = backbone("2b").levels(30)
    assert (levels[0].signal, levels[0].noise) == (0.0, 1.0)
    assert all(level.signal**2 + level.noise**2 == pytest.approx(1, abs=1e-12) for level in levels)
    assert [level.timestep for level in levels[:3]] == [999, 966, 932]


def test_the_strong_preset_is_fourteen_of_twenty_steps_on_5b_and_less_noise_on_2b() -> None:
    ratios = {kind: [level.ratio for level in backbone(kind).levels(20)] for kind in ("2b", "5b")}
    starts = {kind: first_step(found, PRESETS["strong"].consistency) for kind, found in ratios.items()}
    assert starts == {"5b": 6, "2b": 8}


def test_moments_and_pictures_have_the_scale_of_the_transformer() -> None:
    model = backbone("2b")
    clip = video()
    raw = model.vae.encode(clip.transpose(0, 1)[None]).latent_dist
    moments = model.encode(clip)
    torch.testing.assert_close(moments.mean, raw.mean[0].transpose(0, 1) * 1.15258426, atol=1e-6, rtol=1e-6)
    assert torch.equal(moments.logvar, raw.logvar[0].transpose(0, 1))
    assert model.decode(moments.mean).shape == clip.shape


def test_1_5_leads_with_a_copy_of_the_first_latent() -> None:
    model = cogvideox15()
    moments = model.encode(video(17))
    assert (moments.mean.shape[0], model.facts.latent_frames(17)) == (6, 6)
    assert torch.equal(moments.mean[0], moments.mean[1])
    assert model.decode(moments.mean).shape[0] == 17


@pytest.mark.parametrize(("count", "side"), [(8, 32), (13, 32), (9, 40), (57, 32)])
def test_counts_and_sizes_that_the_codec_garbles_are_refused(count: int, side: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        backbone("2b").encode(video(count, side, WIDTH))


def test_a_prompt_over_the_limit_is_refused_with_its_count() -> None:
    model = backbone("2b")
    count = len(model.tokenizer("word " * 300).input_ids)
    with pytest.raises(RecipeError, match=f"background.prompt: expected at most 226 tokens, got {count}"):
        model.embed("word " * 300, "")
    with pytest.raises(RecipeError, match=r"engine\.negative_prompt"):
        model.embed("", "word " * 300)


def test_prompts_outlive_the_text_encoder() -> None:
    placed: list[str] = []

    def place(name: str) -> AbstractContextManager[None]:
        placed.append(name)
        return nullcontext()

    model = backbone("2b", torch.float16, placed=place)
    prompt = model.embed("a street", "")
    assert (prompt.positive.shape, prompt.positive.dtype) == ((1, 226, 32), torch.float32)
    assert model.embed("a street", "") is prompt
    assert placed == ["text_encoder"]


def test_guidance_of_one_asks_once() -> None:
    model = backbone("5b")
    sizes: list[int] = []
    hook = model.transformer.register_forward_pre_hook(
        lambda _, args, given: sizes.append(len(given["timestep"])), with_kwargs=True
    )
    prompt = model.embed("a street", "blurry")
    once = model.predict(noise(3), model.levels(4)[1], prompt, 1.0)
    twice = model.predict(noise(3), model.levels(4)[1], Prompt(prompt.positive, prompt.positive), 6.0)
    hook.remove()
    assert sizes == [1, 2]
    torch.testing.assert_close(once.clean, twice.clean, atol=1e-5, rtol=0)


def test_tiles_that_do_not_divide_into_latents_are_refused() -> None:
    with pytest.raises(RecipeError, match="multiples of 48 and a width in multiples of 40, got 64x64"):
        backbone("2b", tile=(64, 64))


def test_tiles_cover_any_canvas() -> None:
    model = backbone("2b", tile=(48, 40))
    for height, width in ((32, 48), (64, 96), (80, 112)):
        moments = model.encode(video(9, height, width))
        assert model.decode(moments.mean).shape[-2:] == (height, width)


def test_a_learned_canvas_refuses_another_size() -> None:
    model = backbone("i2v")
    clip = video(9, 48, 64)
    latent, condition = model.encode(clip).mean, model.image_condition(clip[:1], 9)
    with pytest.raises(RecipeError, match="expected 32x48, the one size that cogvideox-i2v knows, got 48x64"):
        model.predict(latent, model.levels(4)[1], model.embed("", ""), 1.0, condition)


def test_a_missing_condition_is_named() -> None:
    model = backbone("i2v")
    with pytest.raises(ValueError, match="expected 32 channels"):
        model.predict(noise(3), model.levels(4)[1], model.embed("", ""), 1.0)


def test_numbers_that_overflow_half_precision_are_named_with_their_step() -> None:
    model = backbone("5b", torch.float16)
    with torch.no_grad():
        model.transformer.proj_out.weight.mul_(1e4)
        model.transformer.proj_out.weight.mul_(1e4)
    answer = model.predict(noise(3), model.levels(4)[1], model.embed("a", ""), 6.0)
    with pytest.raises(RecipeError, match="bfloat16 or float32 for cogvideox-5b.*step 2 of 4 in float16"):
        require_finite(answer, model, 2, 4)


def test_networks_are_placed_one_at_a_time() -> None:
    placed: list[str] = []

    @contextmanager
    def place(name: str) -> Iterator[None]:
        placed.append("+" + name)
        yield
        placed.append("-" + name)

    model = backbone("2b", placed=place)
    moments: Moments = model.encode(video())
    answer: Prediction = model.predict(moments.mean, NoiseLevel(499, 0.5, 0.8), model.embed("a", ""), 6.0)
    model.decode(answer.clean)
    assert placed == ["+vae", "-vae", "+text_encoder", "-text_encoder", "+transformer", "-transformer", "+vae", "-vae"]
    assert set(model.modules()) == {"vae", "text_encoder", "transformer"}
