"""Branches beside a stock transformer: what they see, that they leave nothing behind, and who they live with."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from diffusers.hooks import apply_group_offloading
from torch import nn

from platelight_server.models.video.attach import attached
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.interface import Branch, Prediction, TransformerCall
from tests.models.video_nets import backbone


@dataclass
class Adds:
    """A branch that adds a ramp of `first` before the blocks and of `each` after every one, and remembers its calls."""

    first: float = 0.0
    each: float = 0.0
    calls: list[TransformerCall] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)

    def begin(self, call: TransformerCall) -> torch.Tensor:
        self.calls.append(call)
        return call.tokens + self.first * ramp(call.tokens)

    def after(self, block: int, tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        self.blocks.append(block)
        return tokens + self.each * ramp(tokens)


def ramp(tokens: torch.Tensor) -> torch.Tensor:
    """Along the channels; what is the same in all of them the last normalisation takes away."""
    return torch.linspace(-1, 1, tokens.shape[-1], dtype=tokens.dtype)


class Fails(Adds):
    def after(self, block: int, tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("branch failed")


def predicted(model: CogVideoX, *branches: Branch) -> torch.Tensor:
    latent = torch.randn(3, 16, 4, 6, generator=torch.Generator().manual_seed(1))
    condition = torch.zeros_like(latent) if model.transformer.config.in_channels == 32 else None
    with attached(model.transformer, branches):
        answer: Prediction = model.predict(latent, model.levels(8)[3], model.embed("a", ""), 6.0, condition)
    return answer.clean


def hooks_of(network: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in network.modules())


@pytest.mark.parametrize("kind", ["2b", "5b", "i2v"])
def test_a_branch_sees_the_call_and_every_block(kind: str) -> None:
    model, branch = backbone(kind), Adds()
    predicted(model, branch)
    call = branch.calls[0]
    assert (call.latent.shape, call.prompt.shape) == ((2, 3, 16, 4, 6), (2, 226, 32))
    assert (call.tokens.shape, call.text.shape) == ((2, 18, 32), (2, 226, 32))
    assert (call.modulation.shape, call.timestep.tolist()) == ((2, 16), [624, 624])
    assert (call.rotary is None) == (kind == "2b")
    assert branch.blocks == [0, 1, 2]


def test_a_branch_that_adds_nothing_changes_no_bit() -> None:
    model = backbone("2b")
    assert torch.equal(predicted(model, Adds()), predicted(model))


@pytest.mark.parametrize("branch", [Adds(first=0.1), Adds(each=0.1)])
def test_what_a_branch_adds_reaches_the_answer(branch: Adds) -> None:
    model = backbone("2b")
    assert (predicted(model, branch) - predicted(model)).abs().max() > 1e-3


def test_branches_run_in_their_order_each_on_the_one_before() -> None:
    model, first, second = backbone("2b"), Adds(first=1.0), Adds(first=2.0)
    predicted(model, first, second)
    assert torch.equal(second.calls[0].tokens, first.calls[0].tokens + ramp(first.calls[0].tokens))


def test_no_hook_is_left_behind_also_after_an_error() -> None:
    model = backbone("2b")
    before, plain = hooks_of(model.transformer), predicted(model)
    with pytest.raises(RuntimeError, match="branch failed"):
        predicted(model, Fails())
    assert hooks_of(model.transformer) == before
    assert torch.equal(predicted(model), plain)


def test_branches_run_beside_group_offload() -> None:
    model = backbone("2b")
    wanted = predicted(model, Adds(each=0.1))
    cpu = torch.device("cpu")
    apply_group_offloading(model.transformer, onload_device=cpu, offload_device=cpu, offload_type="leaf_level")
    assert torch.equal(predicted(model, Adds(each=0.1)), wanted)


def test_branches_run_beside_layerwise_casting() -> None:
    model = backbone("2b", torch.bfloat16)
    model.transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    assert model.transformer.transformer_blocks[0].ff.net[2].weight.dtype == torch.float8_e4m3fn
    changed = (predicted(model, Adds(each=0.1)) - predicted(model)).abs().max()
    assert torch.isfinite(changed)
    assert changed > 1e-3
