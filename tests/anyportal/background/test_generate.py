"""A painted background: the published sampler, windows of any number, the first frame, what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import CogVideoXDPMScheduler, StableDiffusionInpaintPipeline

from platelight.errors import InputError, ModelError, RecipeError
from platelight_server.engines.anyportal.background.first_frame import TeleaRemover, hole, without_subject
from platelight_server.engines.anyportal.background.generate import Painting, paint, painted_cut
from platelight_server.engines.anyportal.background.sampler import dpm_step
from platelight_server.engines.anyportal.background.sources import SOURCES, background_source
from platelight_server.engines.anyportal.background.tracks import Tracks
from platelight_server.engines.interface import Cancelled
from platelight_server.models.image.inpainting import Inpainter
from platelight_server.models.video import das
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.interface import CLEAN
from platelight_server.models.video.schedule import diffusion_levels
from tests.anyportal.background.tiny_das import SIZE, diffusion_as_shader

QUICK = Painting(steps=2, overlap=4)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CogVideoX:
    return das.load_das(diffusion_as_shader(tmp_path_factory.mktemp("das")), torch.float32)


@pytest.fixture(scope="module")
def inpainter(tiny_folder: Path) -> Inpainter:
    return Inpainter.from_folder(tiny_folder / "sd15-inpainting", torch.float32, steps=3)


def sliding(positions: Sequence[int]) -> Tracks:
    """A grid that moves 2 px to the right on each frame."""
    x, y = np.meshgrid(np.arange(2, SIZE[1], 6.0), np.arange(2, SIZE[0], 6.0))
    moves = 2.0 * (np.array(positions) - positions[0])
    xy = np.stack([x.ravel()[None] + moves[:, None], np.broadcast_to(y.ravel(), (len(moves), y.size))], -1)
    return Tracks(xy, np.ones(xy.shape[:2]), np.ones(xy.shape[:2], bool))


FIRST = torch.tanh(torch.randn(3, *SIZE, generator=torch.Generator().manual_seed(7)))


def painted(model: CogVideoX, count: int, painting: Painting = QUICK, tracks: object = sliding) -> torch.Tensor:
    prompt = model.embed("a street at dusk", das.NEGATIVE)
    parts = list(paint(model, FIRST, tracks, count, prompt, painting))  # type: ignore[arg-type]
    assert [position for answered, _ in parts for position in answered] == list(range(count))
    return torch.cat([video for _, video in parts])


def test_the_sampler_is_the_published_one(tmp_path: Path) -> None:
    """Against diffusers' scheduler on the same predictions and noise."""
    folder = diffusion_as_shader(tmp_path)
    config, steps = dict(CogVideoXDPMScheduler.load_config(folder / "scheduler")), 10
    theirs = CogVideoXDPMScheduler.from_config(config, timestep_spacing="trailing")
    theirs.set_timesteps(steps)
    levels = diffusion_levels(config, steps)
    drawn, ours_drawn = (torch.Generator().manual_seed(5) for _ in range(2))
    shape = (1, 3, 4, 4, 6)
    expected = made = torch.randn(shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    old, before, last = None, None, None
    for i, (level, following) in enumerate(zip(levels, (*levels[1:], CLEAN), strict=True)):
        velocity = torch.sin(made * (i + 1))
        clean = level.signal * made - level.noise * velocity
        expected, old = theirs.step(
            torch.sin(expected * (i + 1)), old, theirs.timesteps[i], theirs.timesteps[i - 1] if i else None, expected,
            generator=drawn,
        )  # fmt: skip
        noise = torch.randn(shape, generator=ours_drawn, dtype=torch.float64)
        if last is not None and following is not CLEAN:  # theirs draws twice where it extrapolates
            noise = torch.randn(shape, generator=ours_drawn, dtype=torch.float64)
        made = dpm_step(made, clean, before, (last, level, following), noise)
        before, last = clean, level
        assert torch.allclose(made, expected, atol=1e-8), f"step {i}"


@pytest.mark.parametrize("count", [3, 9, 22])
def test_any_number_of_frames_is_painted_and_none_is_looped(model: CogVideoX, count: int) -> None:
    asked = []

    def tracks(positions: Sequence[int]) -> Tracks:
        asked.append(list(positions))
        return sliding(positions)

    video = painted(model, count, tracks=tracks)
    assert video.shape == (count, 3, *SIZE)
    assert torch.isfinite(video).all()
    windows = painted_cut(model, count, QUICK.overlap)
    assert len(asked) == len(windows.starts)
    for positions, index in zip(asked, range(len(asked)), strict=True):
        seen = list(windows.seen(index))
        assert positions == seen + [seen[-1]] * (9 - len(seen))


class Watched(CogVideoX):
    """Remembers the pictures that it was to begin with."""

    begun: list[torch.Tensor]

    def image_condition(self, image: torch.Tensor, frames: int) -> torch.Tensor:
        self.begun.append(image[0])
        return super().image_condition(image, frames)


def test_a_window_begins_with_the_frame_that_it_shares_with_the_one_before(model: CogVideoX) -> None:
    watched = Watched(model.transformer, model.vae, model.text_encoder, model.tokenizer, model._scheduler)
    watched.begun = []
    video = painted(watched, 17)
    starts = painted_cut(model, 17, QUICK.overlap).starts
    begun = watched.begun[::2]  # every second one is the first frame of the tracks
    assert len(begun) == len(starts) == 3
    assert torch.equal(begun[0], FIRST)
    assert all(torch.equal(picture, video[start]) for picture, start in zip(begun[1:], starts[1:], strict=True))


def test_the_same_seed_gives_the_same_background_and_another_another(model: CogVideoX) -> None:
    first, again = painted(model, 9), painted(model, 9)
    assert torch.equal(first, again)
    assert not torch.equal(first, painted(model, 9, Painting(steps=2, overlap=4, seed=43)))


def test_tracks_and_the_first_frame_lead_the_background(model: CogVideoX) -> None:
    def still(positions: Sequence[int]) -> Tracks:
        return sliding([positions[0]] * len(positions))

    assert not torch.equal(painted(model, 9), painted(model, 9, tracks=still))
    prompt = model.embed("a street at dusk", das.NEGATIVE)
    ((_, other),) = paint(model, -FIRST, sliding, 9, prompt, QUICK)
    assert not torch.equal(painted(model, 9), other)


def test_windows_share_the_noise_of_the_slots_they_share(model: CogVideoX) -> None:
    """A longer shot has the same first window: what comes later changes nothing before the crossing."""
    short, long = painted(model, 9), painted(model, 13)
    answered = painted_cut(model, 13, QUICK.overlap).answered(0)
    assert torch.equal(short[: answered.stop], long[: answered.stop])


def test_progress_is_told_and_a_cancel_passes_without_a_trace(model: CogVideoX) -> None:
    told = []
    prompt = model.embed("a street", "")
    list(paint(model, FIRST, sliding, 13, prompt, QUICK, lambda *what: told.append(what)))
    assert told == [("background", n, 4) for n in range(1, 5)]

    def stop(stage: str, step: int, steps: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        list(paint(model, FIRST, sliding, 9, prompt, QUICK, stop))
    assert not model.transformer._forward_pre_hooks
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in model.transformer.transformer_blocks)


def test_nan_is_stopped_where_it_appears(model: CogVideoX) -> None:
    prompt = model.embed("a street", "")
    broken = replace(prompt, positive=prompt.positive * float("nan"))
    with pytest.raises(ModelError, match="not finite at step 1 of 2"):
        list(paint(model, FIRST, sliding, 9, broken, QUICK))


def test_too_long_a_prompt_is_refused_not_cut(model: CogVideoX) -> None:
    with pytest.raises(RecipeError, match="at most 226 tokens"):
        model.embed("street " * 300, das.NEGATIVE)


def test_the_subject_is_taken_out_and_the_rest_keeps_its_bits() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 96), indexing="ij")
    scene = torch.stack([x * 1.4, y, x * y])
    matte = torch.zeros(1, 64, 96)
    matte[:, 20:40, 40:60] = 1
    shot = torch.where(matte > 0, torch.full_like(scene, 3.0), scene)
    shown = without_subject(shot, matte, TeleaRemover(), 1001)
    mask = hole(matte)
    assert mask.sum() > matte.sum()
    assert torch.equal(torch.where(mask > 0, 0, shown), torch.where(mask > 0, 0, shot))
    assert (shown - scene).abs()[:, 20:40, 40:60].mean() < 0.3
    assert shown.max() < 2.0
    assert torch.equal(without_subject(shot, torch.zeros_like(matte), TeleaRemover(), 1001), shot)


def test_a_first_frame_without_background_is_refused() -> None:
    with pytest.raises(InputError, match=r"frame 1001: expected some background around the subject.* covers 100%"):
        without_subject(FIRST, torch.ones(1, *SIZE), TeleaRemover(), 1001)


def test_inpainting_is_diffusers_own_pipeline_bit_for_bit(inpainter: Inpainter, tiny_folder: Path) -> None:
    mask = torch.zeros(1, *SIZE)
    mask[:, 8:24, 16:32] = 1
    prompt = inpainter.describe("an empty street")
    pipeline = StableDiffusionInpaintPipeline(
        vae=inpainter.codec.vae, unet=inpainter.unet, text_encoder=inpainter.text.model,
        tokenizer=inpainter.text.tokenizer, scheduler=pndm(tiny_folder), safety_checker=None,
        feature_extractor=None, image_encoder=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    grey = torch.where(mask > 0.5, torch.zeros_like(FIRST), FIRST)
    known = inpainter.codec.encode(grey[None])
    small = torch.nn.functional.max_pool2d(mask[None], 8)
    made = inpainter._denoised(known, small, prompt)
    noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(0))
    expected = pipeline(
        prompt_embeds=prompt.positive, negative_prompt_embeds=prompt.negative, image=(FIRST[None] + 1) / 2,
        mask_image=small, masked_image_latents=known, latents=noise, height=SIZE[0], width=SIZE[1],
        num_inference_steps=3, guidance_scale=7.5, strength=1.0, output_type="latent",
    ).images  # fmt: skip
    assert torch.allclose(made, expected, atol=1e-5)


def pndm(tiny_folder: Path) -> object:
    from diffusers import PNDMScheduler

    return PNDMScheduler.from_pretrained(tiny_folder / "sd15-inpainting" / "scheduler")


def test_inpainting_fills_the_hole_and_tells_its_steps(inpainter: Inpainter) -> None:
    matte = torch.zeros(1, *SIZE)
    matte[:, 8:24, 16:32] = 1
    inpainter.describe("an empty street, " * 40)
    told = []
    inpainter.told = lambda *what: told.append(what)
    shown = without_subject(FIRST, matte, inpainter, 1001)
    inpainter.told = lambda *what: None
    mask = hole(matte).bool().expand(3, -1, -1)
    assert torch.equal(shown[~mask], FIRST[~mask])
    assert not torch.equal(shown[mask], FIRST[mask])
    assert torch.equal(shown, without_subject(FIRST, matte, inpainter, 1001))
    assert [what[0] for what in told] == ["inpaint"] * len(told)
    assert told[-1][1] == told[-1][2] == len(told)


def test_a_model_that_is_no_inpainting_model_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="expected a UNet of 9 channels, got 4"):
        Inpainter.from_folder(tiny_folder / "realistic-vision-v51")


def test_sources_are_data() -> None:
    assert [source.name for source in SOURCES] == ["given", "carried-still", "das"]
    assert background_source("prompt").name == "das"
    assert background_source("still", moved=True).name == "carried-still"
    assert background_source("still", painted=True).name == "das"
    assert background_source("sequence").name == "given"
    painting = background_source("prompt")
    assert not painting.commercial
    assert sum(card.size_bytes for card in painting.cards) > 25e9
    assert background_source("still").commercial
    with pytest.raises(RecipeError, match="got references"):
        background_source("references")
