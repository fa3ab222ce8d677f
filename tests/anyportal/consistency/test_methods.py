"""The methods by name, and the self-test that tells a sound backbone from a broken one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from platelight_server.engines.anyportal.consistency.methods import METHODS, Clip
from platelight_server.engines.anyportal.consistency.sdedit import Run, enhance
from platelight_server.engines.anyportal.consistency.selftest import selftest
from platelight_server.models.residency import Residency
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.edge_control import EdgeControl
from platelight_server.models.video.edges import soft_edges
from platelight_server.models.video.interface import Moments, VideoBackbone
from platelight_server.models.video.padding import pad_frames
from tests.models.video_nets import backbone, box_matte, cogvideox15, edge_net, folder, video

RUN = Run(ratio=0.33, steps=4, seed=5)


def clip_for(model: VideoBackbone, frames: int = 6) -> Clip:
    return Clip(video(frames), video(frames, seed=1), box_matte(frames), model.embed("a street", ""), RUN, sigma_px=15)


@pytest.mark.parametrize("kind", ["2b", "wan"])
@pytest.mark.parametrize("name", ["rpa", "flow", "sdedit", "none"])
def test_every_method_takes_a_clip_of_any_length_on_every_backbone(name: str, kind: str) -> None:
    model = backbone(kind)
    latent = METHODS[name](model, clip_for(model))
    assert len(latent) == model.facts.latent_frames(model.facts.frames_for(6))
    assert torch.isfinite(model.decode(latent)[:6]).all()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_costs_are_what_is_called(name: str) -> None:
    model, method, calls = backbone("2b"), METHODS[name], Counter[str]()
    watched = {"predict": model.transformer, "decode": model.vae.decoder, "encode": model.vae.encoder}
    for part, network in watched.items():
        network.register_forward_pre_hook(lambda *_, part=part: calls.update([part]))
    method(model, clip_for(model))
    steps = len(RUN.levels(model))
    first = 2 if name == "flow" else 1  # encodes before the first step
    found = (calls["predict"], calls["decode"], calls["encode"] - first)
    assert found == (steps * method.predictions, steps * method.decodes, steps * method.encodes)


def test_networks_that_are_not_there_at_once_give_the_same() -> None:
    model = backbone("2b")
    control = EdgeControl(edge_net())
    clip = clip_for(model, 9)
    clip = replace(clip, branches=(control.branch(soft_edges(clip.plate)),))
    wanted = METHODS["rpa"](model, clip)
    networks = {**model.modules(), **control.modules()}
    residency = Residency(networks, {"transformer": "denoiser", "edge_control": "denoiser"}, "cpu", "stagewise")
    model.placed = control.placed = residency.use
    assert torch.equal(METHODS["rpa"](model, clip), wanted)
    assert "vae" in residency.on_device
    assert "transformer" not in residency.on_device


def test_rpa_holds_the_background_where_it_is_not_known_and_changes_it_where_it_is() -> None:
    model = backbone("2b")
    start, plate, other = (video(9, 48, 64, seed=seed) for seed in range(3))
    once = Run(ratio=0.8, steps=4, seed=5)
    clip = Clip(start, plate, box_matte(9, 48, 64), model.embed("a", ""), once, sigma_px=15)
    plain = enhance(model, clip.start, clip.prompt, clip.run)
    held = METHODS["rpa"](model, clip)
    known = METHODS["rpa"](model, replace(clip, background=other))
    assert torch.equal(held[..., 4:, 4:], plain[..., 4:, 4:])
    assert not torch.equal(known[..., 4:, 4:], plain[..., 4:, 4:])


def test_edges_take_part() -> None:
    model = backbone("2b")
    clip = clip_for(model, 9)
    branch = EdgeControl(edge_net()).branch(soft_edges(pad_frames(clip.plate, model.facts)))
    assert not torch.equal(METHODS["rpa"](model, replace(clip, branches=(branch,))), METHODS["rpa"](model, clip))


@pytest.mark.parametrize("kind", ["2b", "5b", "wan", "1.5"])
def test_a_sound_backbone_passes_its_selftest(kind: str) -> None:
    model = cogvideox15() if kind == "1.5" else backbone(kind, torch.bfloat16)
    checks = selftest(model, (48, 64))
    assert len(checks) == 7
    assert [check for check in checks if not check.passed] == []


class Drifting(CogVideoX):
    """A codec that is not the same twice, as one that draws samples or benchmarks its kernels."""

    def encode(self, video: torch.Tensor) -> Moments:
        found = super().encode(video)
        return Moments(found.mean + 1e-6 * torch.randn(found.mean.shape), found.logvar)


def test_a_codec_that_drifts_fails_it() -> None:
    checks = selftest(Drifting.from_folder(folder("2b"), torch.float32), (32, 48))
    failed = [check.name for check in checks if not check.passed]
    assert "the codec answers the same pictures with the same bits" in failed
    assert "projecting no refinement is plain SDEdit" in failed
