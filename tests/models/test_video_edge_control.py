"""The edge ControlNet: the published layout, what it adds and when, and that at weight 0 it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.edge_control import EdgeControl
from tests.models.video_nets import FRAMES, HEIGHT, WIDTH, backbone, edge_net


def edges(frames: int = FRAMES) -> torch.Tensor:
    return torch.rand(frames, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(4)) * 2 - 1


def predicted(model: CogVideoX, control: EdgeControl | None, step: int = 3, frames: int = FRAMES) -> torch.Tensor:
    latent = torch.randn(3, 16, 4, 6, generator=torch.Generator().manual_seed(1))
    branches = [] if control is None else [control.branch(edges(frames))]
    with model.attached(branches):
        return model.predict(latent, model.levels(8)[step], model.embed("a", ""), 6.0).clean


@pytest.mark.parametrize("kind", ["2b", "5b"])
def test_edges_reach_the_answer_of_both_published_kinds(kind: str) -> None:
    model = backbone(kind)
    changed = predicted(model, EdgeControl(edge_net(kind))) - predicted(model, None)
    assert changed.abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["2b", "5b"])
def test_a_published_folder_is_read_without_a_key_of_our_own(kind: str, tmp_path: Path) -> None:
    network = edge_net(kind)
    network.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "_class_name": "CogVideoXControlnet"}))
    keys = set(load_file(tmp_path / "diffusion_pytorch_model.safetensors"))
    assert keys >= {
        "controlnet_encode_first.0.weight",
        "controlnet_encode_second.1.bias",
        "time_embedding.linear_2.bias",
    }
    assert keys >= {"patch_embed.text_proj.weight", "transformer_blocks.1.attn1.norm_k.weight"}
    assert ("out_projectors.1.weight" in keys) == (kind == "5b")
    model = backbone(kind)
    read = EdgeControl.from_folder(tmp_path, torch.float32)
    assert torch.equal(predicted(model, read), predicted(model, EdgeControl(network)))


def test_weight_zero_and_zero_weights_change_no_bit() -> None:
    model, network = backbone("5b"), edge_net("5b")
    plain = predicted(model, None)
    assert torch.equal(predicted(model, EdgeControl(network, weight=0.0)), plain)
    with torch.no_grad():
        for layer in network.out_projectors:
            layer.weight.zero_(), layer.bias.zero_()
    assert torch.equal(predicted(model, EdgeControl(network)), plain)


def test_the_weight_scales_what_is_added() -> None:
    model, network = backbone("2b"), edge_net("2b")
    plain, half, whole = (
        predicted(model, EdgeControl(network, weight=weight)) - predicted(model, None) for weight in (1e-3, 5e-4, 2e-3)
    )
    assert half.abs().max() == pytest.approx(float(plain.abs().max()) / 2, rel=0.05)
    assert whole.abs().max() == pytest.approx(float(plain.abs().max()) * 2, rel=0.05)


def test_edges_take_part_in_their_share_of_the_steps_alone() -> None:
    model, control = backbone("2b"), EdgeControl(edge_net("2b"), start=0.25, end=0.5)
    levels = model.levels(8)
    assert [control.runs_at(level.timestep) for level in levels] == [
        False,
        False,
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert torch.equal(predicted(model, control, step=5), predicted(model, None, step=5))


def test_the_first_edge_frame_stands_alone_and_the_others_go_by_fours() -> None:
    network = edge_net("2b")
    one, other = edges().expand(-1, 3, -1, -1).clone(), edges().expand(-1, 3, -1, -1).clone()
    other[5:] *= -1
    with torch.no_grad():
        changed = (network.encode_control(one) - network.encode_control(other)).abs().amax((1, 2, 3))
    assert (changed > 0).tolist() == [False, False, True]


def test_edges_of_another_count_are_refused() -> None:
    with pytest.raises(ValueError, match="edges: expected 3 latent frames, got 5"):
        predicted(backbone("2b"), EdgeControl(edge_net("2b")), frames=17)


def test_edges_run_in_bfloat16() -> None:
    model, network = backbone("2b", torch.bfloat16), edge_net("2b").to(torch.bfloat16)
    assert torch.isfinite(predicted(model, EdgeControl(network))).all()
