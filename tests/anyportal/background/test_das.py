"""Diffusion as Shader on the stock transformer: the published keys and order of operations, and no trace left."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from safetensors.torch import load_file, save_file

from platelight.errors import ModelError
from platelight_server.models.ladder import LADDER
from platelight_server.models.residency import Residency
from platelight_server.models.video import das
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.interface import NoiseLevel
from platelight_server.models.video.rotary import rotary_embedding
from tests.anyportal.background.tiny_das import FRAMES, SIZE, diffusion_as_shader, published_state

LEVEL = NoiseLevel(499.0, 0.6, 0.8)
SLOTS, TALL, WIDE = 1 + (FRAMES - 1) // 4, SIZE[0] // 8, SIZE[1] // 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return diffusion_as_shader(tmp_path_factory.mktemp("das"))


@pytest.fixture(scope="module")
def model(folder: Path) -> CogVideoX:
    return das.load_das(folder, torch.float32)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LATENT, CONDITION, TRACKS = (noise(SLOTS, channels, TALL, WIDE, seed=i) for i, channels in enumerate((16, 16, 32)))


def published_forward(
    state: dict[str, torch.Tensor], network: CogVideoXTransformer3DModel, text: torch.Tensor
) -> torch.Tensor:
    """The paper's network written out, block by block, from the file's own tensors."""
    import torch.nn.functional as F

    state = {name: value.float() for name, value in state.items()}
    shown = torch.cat([LATENT, CONDITION], 1)[None].expand(len(text), -1, -1, -1, -1)
    emb = network.time_embedding(network.time_proj(torch.full((len(text),), 499)), None)
    both = network.patch_embed(text, shown)
    length = text.shape[1]
    e, h = both[:, :length], both[:, length:]
    t = network.patch_embed(text, TRACKS[None].expand(len(text), -1, -1, -1, -1))[:, length:]
    t = F.linear(h + t, state["initial_combine_linear.weight"], state["initial_combine_linear.bias"])
    rope = rotary_embedding(network.config, tuple(LATENT.shape), torch.device("cpu"))
    for i, block in enumerate(network.transformer_blocks):
        h, e = block(h, e, emb, image_rotary_emb=rope)
        if i < 2:
            own = {
                name.split(".", 2)[2]: v
                for name, v in state.items()
                if name.startswith(f"transformer_blocks_copy.{i}.")
            }
            t, _ = torch.func.functional_call(block, own, (t, e, emb), {"image_rotary_emb": rope})
            t = F.linear(t, state[f"combine_linears.{i}.weight"], state[f"combine_linears.{i}.bias"])
            h = h + t
    h = network.proj_out(network.norm_out(network.norm_final(h), temb=emb))
    made = h.reshape(len(text), SLOTS, TALL // 2, WIDE // 2, -1, 2, 2)
    return made.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4)


def test_the_branch_computes_what_the_published_network_does(folder: Path, model: CogVideoX) -> None:
    prompt = model.embed("a street at dusk", das.NEGATIVE)
    with torch.no_grad():
        answer = published_forward(
            published_state(folder), model.transformer, torch.cat([prompt.negative, prompt.positive])
        )
    velocity = answer[0] + 6 * (answer[1] - answer[0])
    with model.attached([das.branch(model, TRACKS)]):
        found = model.predict(LATENT, LEVEL, prompt, 6.0, CONDITION)
    assert torch.allclose(found.clean, LEVEL.signal * LATENT - LEVEL.noise * velocity, atol=1e-4)
    plain = model.predict(LATENT, LEVEL, prompt, 6.0, CONDITION)
    assert (plain.clean - found.clean).abs().max() > 1e-2


def test_a_branch_of_zeros_changes_no_bit(tmp_path: Path) -> None:
    model = das.load_das(diffusion_as_shader(tmp_path / "silent", silent=True), torch.bfloat16)
    prompt = model.embed("a street", "")
    plain = model.predict(LATENT, LEVEL, prompt, 6.0, CONDITION)
    with model.attached([das.branch(model, TRACKS)]):
        led = model.predict(LATENT, LEVEL, prompt, 6.0, CONDITION)
    assert torch.equal(plain.clean, led.clean)
    assert torch.equal(plain.noise, led.noise)


def test_the_same_branch_serves_every_step(model: CogVideoX) -> None:
    prompt = model.embed("a street", "")
    with model.attached([das.branch(model, TRACKS)]):
        first, second = (model.predict(LATENT, LEVEL, prompt, 6.0, CONDITION).clean for _ in range(2))
    assert torch.equal(first, second)


def test_the_checkpoint_is_split_without_a_rest(folder: Path, model: CogVideoX) -> None:
    state, held = published_state(folder), model.transformer.state_dict()
    assert set(state) == set(held)
    assert all(torch.equal(held[name], value.float()) for name, value in state.items())
    assert len(model.transformer.transformer_blocks_copy) == 2


def test_tracks_are_coded_in_the_published_range_or_the_trained_one(model: CogVideoX) -> None:
    tracks = torch.rand(FRAMES, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    released, trained = das.track_latent(model, tracks), das.track_latent(model, tracks, "-1..1")
    assert released.shape == (SLOTS, 32, TALL, WIDE)
    assert torch.equal(released[:, :16], model.encode(tracks).mean)
    assert torch.equal(trained[:, :16], model.encode(tracks * 2 - 1).mean)
    assert torch.equal(released[:, 16:], trained[:, 16:])
    assert (released[1:, 16:] == 0).all()
    assert (released[0, 16:] != 0).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("combine_linears.1.bias"), "combine_linears.1.bias is missing"),
        (
            lambda state: state.pop("transformer_blocks.0.norm1.linear.bias"),
            "transformer_blocks.0.norm1.linear.bias is missing",
        ),
        (
            lambda state: [state.pop(name) for name in list(state) if "combine_linears" in name],
            "expected the tracking branch",
        ),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, folder: Path, change: object, message: str) -> None:
    import shutil

    copied = shutil.copytree(folder, tmp_path / "das")
    path = copied / "transformer" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    change(state)  # type: ignore[operator]
    save_file(state, path, {"format": "pt"})
    with pytest.raises(ModelError, match=message):
        das.load_das(copied, torch.float32)


def test_wrong_tracks_are_refused(model: CogVideoX, tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match="expected 32 channels, got 16"):
        das.branch(model, LATENT)
    prompt = model.embed("a street", "")
    with (
        model.attached([das.branch(model, TRACKS[:2])]),
        pytest.raises(ValueError, match="expected 3 latent frames, got 2"),
    ):
        model.predict(LATENT, LEVEL, prompt, 6.0, CONDITION)
    stock = CogVideoX.from_folder(tiny_folder / "cogvideox-5b-i2v", torch.float32)
    with pytest.raises(ModelError, match="expected the tracking branch"):
        das.branch(stock, TRACKS)


@pytest.mark.parametrize("rung", [rung.name for rung in LADDER])
def test_the_branch_goes_where_the_transformer_goes(folder: Path, model: CogVideoX, rung: str) -> None:
    held = das.load_das(folder, torch.float32)
    prompt = model.embed("a street", "")
    with model.attached([das.branch(model, TRACKS)]):
        expected = model.predict(LATENT, LEVEL, prompt, 6.0, CONDITION).clean
    residency = Residency(held.modules(), {"transformer": "denoiser"}, "cpu", rung)
    with residency.use("transformer"), held.attached([das.branch(held, TRACKS)]):
        found = held.predict(LATENT, LEVEL, prompt, 6.0, CONDITION).clean
    if residency.rung.changes_pixels:
        stored = held.transformer.transformer_blocks_copy[0].ff.net[2].weight.dtype
        assert stored == torch.float8_e4m3fn
        assert torch.isfinite(found).all()
    else:
        assert torch.equal(found, expected)
