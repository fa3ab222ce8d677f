"""What a clip of any length holds on the device: a batch of frames in the codec, a window in the networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from platelight_server.engines.canvas import Colors
from platelight_server.engines.harmovid.clip import Clip, Showing
from platelight_server.engines.harmovid.extent import Extent
from platelight_server.engines.harmovid.models import choose_models, plan_of
from platelight_server.engines.harmovid.options import Settings
from platelight_server.engines.harmovid.parts import Part
from platelight_server.engines.harmovid.studio import Studio
from platelight_server.engines.interface import IDENTITY, FrameInputs
from platelight_server.models.video.cogvideox import CogVideoX
from tests.models import video_nets

Told = tuple[str, int, int]  # a stage, the step that is done, and of how many

FRAMES = 17
BATCH = 9  # frames that CogVideoX's codec works on at once: the first batch's, those after it have eight


def codec(dtype: torch.dtype = torch.float32, **chosen: object) -> CogVideoX:
    """A backbone that takes clips of any length."""
    made = video_nets.backbone("2b", dtype, **chosen)
    assert isinstance(made, CogVideoX)
    made.facts = replace(made.facts, frames_most=1 << 20)
    return made


@pytest.mark.parametrize("tile", [None, (48, 40)], ids=["whole", "tiles"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_by_batch_gives_the_bits_of_the_whole_video(tile: tuple[int, int] | None, dtype: torch.dtype) -> None:
    model, video = codec(dtype, tile=tile), video_nets.video(FRAMES, 64, 48)
    whole = model.vae.encode(video.to(dtype).transpose(0, 1)[None]).latent_dist.mean
    latent = model.encode(video).mean
    assert torch.equal(latent, whole[0].transpose(0, 1).float() * model.vae.config.scaling_factor)
    shown = (latent / model.vae.config.scaling_factor).to(dtype).transpose(0, 1)[None]
    assert torch.equal(model.decode(latent), model.vae.decode(shown).sample[0].transpose(0, 1).float())


def test_the_codec_never_has_more_than_a_batch_on_the_device() -> None:
    """The device here is torch's "meta": what is sent there and what stays shows in the tensors themselves."""
    model, video, came = codec(), video_nets.video(FRAMES, 64, 48), []
    model.vae.to("meta")
    model.device = torch.device("meta")
    hook = model.vae.encoder.conv_in.register_forward_pre_hook(lambda _, given: came.append(given[0]))
    latent = model.encode(video).mean
    hook.remove()
    assert {one.device.type for one in came} == {"meta"} and video.device.type == "cpu"
    assert [one.shape[2] for one in came] == [BATCH, *[BATCH - 1] * ((FRAMES - BATCH) // (BATCH - 1))]
    assert latent.device.type == "meta" and len(latent) == 1 + (FRAMES - 1) // 4


def test_the_codec_keeps_no_hook() -> None:
    model = codec()
    model.decode(model.encode(video_nets.video()).mean)
    assert not model.vae.encoder._forward_pre_hooks and not model.vae.decoder._forward_hooks


@pytest.mark.usefixtures("harmovid_models")
def test_the_first_pass_relights_a_window_of_frames_at_a_time() -> None:
    """The bits are those of all frames at once, the last of which is in the second window, and progress counts frames.
    A frame without the subject costs nothing and stays as it is."""
    pictures = video_nets.video(7, 32, 48).abs()
    mattes = [torch.full((1, 32, 48), float(number != 3)) for number in range(7)]
    held = {number: FrameInputs(number, pictures[number], mattes[number], pictures[-1]) for number in range(7)}
    clip, found = Clip.of(tuple(held), held, Showing(Colors(IDENTITY), "given", 2.0)), []
    for window in (5, 17):
        settings = Settings.of({"mode": "deflicker", "light_steps": 1, "window_frames": window, "clip_frames": window})
        extent, chosen, told = Extent.of(settings, None), choose_models(settings, with_light=True), list[Told]()
        plan = plan_of(settings, chosen, extent, "cpu")
        studio = Studio(settings, extent, chosen, plan, "cpu", 0, lambda *step: told.append(step))  # noqa: B023
        found.append(torch.stack(studio.relit(clip)))
        for stage in {stage for stage, _, _ in told}:
            done = [step for name, step, frames in told if name == stage and frames == 6]
            assert done == sorted(done) and (done[0], done[-1]) == (1, 6)
    assert torch.equal(*found) and torch.equal(found[0][3], pictures[3]) and not torch.equal(found[0][4], pictures[4])


@pytest.mark.usefixtures("harmovid_models")
def test_what_goes_before_a_part_is_taken_off_again() -> None:
    """A part from the shot's frame 6 on is shown its first frame twice, so that it begins on the latents' grid."""
    settings = Settings.of({"lines": 32, "columns": 48})
    extent, chosen = Extent.of(settings, None), choose_models(settings, with_light=False)
    studio = Studio(settings, extent, chosen, plan_of(settings, chosen, extent, "cpu"), "cpu", 0, lambda *step: None)
    video, model = video_nets.video(7, 32, 48), studio.backbone
    whole = model.decode(model.encode(torch.cat([video[:1], video[:1], video])).mean)
    assert torch.equal(studio.roundtrip(video, Part(range(6, 13))), whole[2:])
