"""Attention kernels and compilation change nothing beyond rounding."""

from __future__ import annotations

import pytest
import torch

from platelight_server.models.video.edge_control import EdgeControl
from platelight_server.models.video.speed import Speed
from tests.models.video_nets import HEIGHT, WIDTH, backbone, edge_net

ROUNDING = 3e-5  # of an answer of size 4: other kernels sum in another order


def predicted(kind: str, speed: Speed | None, edged: bool = False) -> torch.Tensor:
    model = backbone(kind, speed=speed)
    latent = torch.randn(3, 16, 4, 6, generator=torch.Generator().manual_seed(1))
    branches = [EdgeControl(edge_net()).branch(torch.zeros(9, 1, HEIGHT, WIDTH))] if edged else []
    with model.attached(branches):
        return model.predict(latent, model.levels(8)[3], model.embed("a", ""), 6.0).clean


@pytest.mark.parametrize("kind", ["2b", "wan"])
def test_the_plain_attention_kernel_changes_rounding_alone(kind: str) -> None:
    found, wanted = predicted(kind, Speed("math")), predicted(kind, None)
    assert 0 < (found - wanted).abs().max() < ROUNDING


def test_a_kernel_that_is_not_there_is_an_error_and_not_another_kernel() -> None:
    with pytest.raises(RuntimeError):
        predicted("2b", Speed("cudnn"))


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="expected auto, math, efficient, flash, cudnn, got fast"):
        Speed("fast")


@pytest.mark.slow  # the compiler's own start
@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")  # of torch's own compiler, at its import
def test_compiled_blocks_with_a_branch_beside_them_change_rounding_alone() -> None:
    found, wanted = predicted("2b", Speed(compiled=True), edged=True), predicted("2b", None, edged=True)
    assert (found - wanted).abs().max() < ROUNDING
