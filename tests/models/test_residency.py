"""The memory ladder: which rung fits, what is on the device on each, that pixels stay, and the way down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel
from torch import nn
from transformers import T5EncoderModel

from platelight.errors import ResourceError
from platelight_server.models.ladder import LADDER, Kind, Network, Stage, choose, peak_bytes, rung
from platelight_server.models.loading import load
from platelight_server.models.residency import Residency, network_of, retrying
from tests.models import tiny

GIB = 2**30
KINDS: dict[str, Kind] = {"text_encoder": "text", "transformer": "denoiser", "vae": "codec"}
# CogVideoX-5b at 49x480x720: sizes in bfloat16, activations of the codec as diffusers' source states them.
NETWORKS = {
    "text_encoder": Network(int(9.5e9), "text", 400 * 2**20),
    "transformer": Network(int(11.1e9), "denoiser", 72 * 2**20),
    "vae": Network(int(0.43e9), "codec"),
}
STAGES = (
    Stage("prompt", ("text_encoder",), GIB // 2),
    Stage("denoise", ("transformer",), 2 * GIB),
    Stage("codec", ("vae",), int(17.8e9), tiled_bytes=int(4.5e9)),
)
SAME = ("resident", "text-freed", "stagewise", "group-offload")
# Weights rounded to 3 bits of mantissa: relative error of one is at most 2**-4, and averages out over a sum.
FP8_RELATIVE = 0.05


@pytest.mark.parametrize(
    ("free_gb", "name", "tiled"),
    [(80, "resident", False), (32, "text-freed", False), (24, "stagewise", False), (17, "text-freed", True),
     (14, "stagewise", True), (6, "group-offload", True)],
)  # fmt: skip
def test_first_rung_that_fits_is_chosen(free_gb: float, name: str, tiled: bool) -> None:
    plan = choose(NETWORKS, STAGES, int(free_gb * 1e9))
    assert (plan.rung.name, plan.tiled) == (name, tiled)
    assert plan.peak_bytes <= free_gb * 1e9
    assert plan.text.startswith(plan.rung.says) and ("tiles" in plan.text) == tiled


def test_tiling_depends_on_the_device_and_not_on_the_rung() -> None:
    """Whole pictures wherever they fit with every network off the device; so stepping down never changes it."""
    least = peak_bytes(NETWORKS, STAGES, rung("group-offload"), False)
    assert not choose(NETWORKS, STAGES, least).tiled
    assert choose(NETWORKS, STAGES, least - 1).tiled


def test_user_decides_on_tiles_and_on_8_bits() -> None:
    assert choose(NETWORKS, STAGES, int(80e9), tiled=True).tiled
    with pytest.raises(ResourceError, match=r"expected 17\.0 GiB of free memory, got 5\.6 GiB"):
        choose(NETWORKS, STAGES, int(6e9), tiled=False)
    assert choose(NETWORKS, STAGES, int(24e9), allow_fp8=True).rung.name == "stagewise"


def test_cpu_holds_everything() -> None:
    assert choose(NETWORKS, STAGES, None).rung.name == "resident"


def test_peaks_fall_from_rung_to_rung() -> None:
    peaks = [peak_bytes(NETWORKS, STAGES, one, True) for one in LADDER]
    assert peaks == sorted(peaks, reverse=True)
    assert [one.name for one in LADDER if not one.changes_pixels] == list(SAME)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.cogvideox(tmp_path_factory.mktemp("ladder"), "2b", size=(16, 32), frames=1, text_tokens=16, layers=2)


def networks(folder: Path) -> dict[str, nn.Module]:
    return {
        "text_encoder": load(folder, T5EncoderModel, "text_encoder", torch.float32),
        "transformer": load(folder, CogVideoXTransformer3DModel, "transformer", torch.float32),
        "vae": load(folder, AutoencoderKLCogVideoX, "vae", torch.float32),
    }


@torch.no_grad()
def render(residency: Residency, parts: dict[str, nn.Module]) -> torch.Tensor:
    """A prompt, two steps and a decode, as an engine does them."""
    latent = torch.randn(1, 1, 16, 2, 4, generator=torch.Generator().manual_seed(1))
    with residency.use("text_encoder"):
        text = parts["text_encoder"](torch.arange(1, 17)[None]).last_hidden_state
    for step in (800, 400):
        with residency.use("transformer"):
            latent = parts["transformer"](latent, text, torch.tensor([step])).sample
        with residency.use("vae"):
            picture: torch.Tensor = parts["vae"].decode(latent.transpose(1, 2)).sample
    return picture


@pytest.fixture(scope="module")
def resident(folder: Path) -> torch.Tensor:
    parts = networks(folder)
    return render(Residency(parts, KINDS, "cpu"), parts)


@pytest.mark.parametrize("name", SAME)
def test_rungs_give_the_same_bits_and_leave_nothing_behind(name: str, folder: Path, resident: torch.Tensor) -> None:
    parts = networks(folder)
    residency = Residency(parts, KINDS, "cpu", name)
    assert torch.equal(render(residency, parts), resident)
    residency.release()
    assert residency.on_device == frozenset()
    assert torch.equal(render(Residency(parts, KINDS, "cpu"), parts), resident)


def test_8_bit_storage_changes_pixels_a_little_and_is_smaller(folder: Path, resident: torch.Tensor) -> None:
    parts = networks(folder)
    before = network_of(parts["transformer"], "denoiser").bytes
    picture = render(Residency(parts, KINDS, "cpu", "fp8"), parts)
    change = float((picture - resident).abs().max() / resident.abs().max())
    assert 0 < change < FP8_RELATIVE
    assert network_of(parts["transformer"], "denoiser").bytes < before * 0.7  # here embeddings, kept, are a large part
    assert {one.dtype for one in parts["vae"].parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("resident", [{"text_encoder", "transformer", "vae"}] * 3),
        ("text-freed", [{"text_encoder"}, {"transformer", "vae"}, {"transformer", "vae"}]),
        ("stagewise", [{"text_encoder"}, {"transformer"}, {"vae"}]),
    ],
)
def test_rung_says_what_is_on_the_device(name: str, there: list[set[str]], folder: Path) -> None:
    residency = Residency(networks(folder), KINDS, "cpu", name)
    seen = []
    for used in ("text_encoder", "transformer", "vae"):
        with residency.use(used):
            seen.append(set(residency.on_device))
    assert seen == there


def test_outer_use_is_kept_by_an_inner_one(folder: Path) -> None:
    residency = Residency(networks(folder), KINDS, "cpu", "stagewise")
    with residency.use("transformer"):
        with residency.use("vae"):
            assert residency.on_device == {"transformer", "vae"}
        with residency.use("transformer"):
            assert residency.on_device == {"transformer"}


def test_freed_network_is_gone(folder: Path) -> None:
    residency = Residency(networks(folder), KINDS, "cpu")
    with residency.use("text_encoder"):
        pass
    residency.free("text_encoder")
    assert residency.on_device == {"transformer", "vae"}
    with (
        pytest.raises(ValueError, match="expected one of transformer, vae, got text_encoder"),
        residency.use("text_encoder"),
    ):
        pass


def test_running_out_of_memory_steps_down_and_goes_on(folder: Path, resident: torch.Tensor) -> None:
    """A device that holds the networks of one stage and no more: the budget is ours, the error is torch's own."""
    parts = networks(folder)
    residency = Residency(parts, KINDS, "cpu")
    sizes = {name: network_of(module, KINDS[name]).bytes for name, module in parts.items()}
    budget, tried = max(sizes.values()), []

    def fits(module: nn.Module, arguments: object) -> None:
        if sum(sizes[name] for name in residency.on_device) > budget:
            raise torch.OutOfMemoryError("allocation failed")

    for module in parts.values():
        module.register_forward_pre_hook(fits)
    picture = retrying(residency, lambda: render(residency, parts), lambda rung: tried.append(rung.name))
    assert (tried, residency.rung.name) == (["text-freed", "stagewise"], "stagewise")
    assert torch.equal(picture, resident)


class TooLarge(nn.Linear):
    """A layer whose first move fails half-way, as on a device that has room for its weight and not for its bias."""

    moves = 0

    def to(self, *args: Any, **kwargs: Any) -> Any:
        self.moves += 1
        if self.moves == 1:
            raise torch.OutOfMemoryError("allocation failed")
        return super().to(*args, **kwargs)


def test_move_that_failed_half_way_is_undone() -> None:
    layer = TooLarge(2, 2)
    residency = Residency({"layer": layer}, {}, "cpu")
    with pytest.raises(torch.OutOfMemoryError), residency.use("layer"):
        pass
    residency.step_down()
    assert (layer.moves, residency.on_device) == (2, frozenset())


def test_no_run_slides_into_8_bits(folder: Path) -> None:
    residency = Residency(networks(folder), KINDS, "cpu")
    tried: list[str] = []

    def never() -> None:
        raise torch.OutOfMemoryError("allocation failed")

    with pytest.raises(ResourceError, match="out of memory although large models are streamed.*8-bit storage"):
        retrying(residency, never, lambda rung: tried.append(rung.name))
    assert tried == ["text-freed", "stagewise", "group-offload"]


def test_sizes_are_known_without_memory() -> None:
    """The transformer of CogVideoX-5b at its published size, on the meta device: 5.57 billion parameters, the largest
    layer that of a feed-forward, 3072 x 12288."""
    with torch.device("meta"):
        whole = CogVideoXTransformer3DModel(
            num_attention_heads=48, num_layers=42, use_rotary_positional_embeddings=True
        )
    network = network_of(whole, "denoiser")
    assert network.bytes == pytest.approx(4 * 5.57e9, rel=0.001)
    assert network.largest_layer_bytes == 4 * (3072 * 12288 + 12288)
