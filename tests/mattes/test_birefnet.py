"""BiRefNet: the published names and sizes, its parts against literal forms, its mattes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from platelight.errors import ModelError
from platelight_server.mattes.birefnet import BiRefNetMattes, load_birefnet
from platelight_server.mattes.birefnet_net import BiRefNet, folded
from platelight_server.mattes.deformable import deformed
from platelight_server.mattes.interface import Asked, ShotFrames
from platelight_server.models.catalogue import card
from platelight_server.models.consent import accept
from tests.mattes import screens
from tests.mattes.tiny_mattes import SHAPE, published_name

# The published file is 444.5 MB of half precision, Swin's tables of positions in 64 bits, and a header.
HEADER_MOST = 200_000


def test_full_network_has_the_bytes_of_the_published_file() -> None:
    with torch.device("meta"):
        state = BiRefNet().state_dict()
    half = sum(value.numel() for value in state.values() if value.is_floating_point())
    counters = sum(value.numel() for value in state.values() if not value.is_floating_point())
    tables = sum(2 + 2 + 18 + 2 for _ in "1") * 144 * 144
    trained_only = sum(width + 1 for width in (1536, 768, 384)) + 3 * 17
    size = 2 * (half + trained_only) + 8 * (counters + tables)
    assert 0 < card("birefnet").size_bytes - size < HEADER_MOST


def test_full_network_has_the_published_names() -> None:
    with torch.device("meta"):
        names = {published_name(name) for name in BiRefNet().state_dict()}
    for name in (
        "bb.layers.2.blocks.17.norm1.weight",
        "bb.layers.2.downsample.reduction.weight",
        "bb.norm3.bias",
        "squeeze_module.0.dec_att.aspp_deforms.2.atrous_conv.modulator_conv.bias",
        "squeeze_module.0.dec_att.global_avg_pool.2.running_var",
        "decoder.ipt_blk5.conv_out.weight",
        "decoder.decoder_block1.bn_out.weight",
        "decoder.lateral_block2.conv.weight",
        "decoder.gdt_convs_attn_3.0.bias",
        "decoder.conv_out1.0.weight",
    ):
        assert name in names


def test_deformable_convolution_is_its_literal_form() -> None:
    """Equation 1 of Zhu et al. 2019, one output value at a time."""
    torch.manual_seed(1)
    x, offsets = torch.randn(1, 2, 5, 6), 1.5 * torch.randn(1, 18, 5, 6)
    weights, kernel = torch.rand(1, 9, 5, 6), torch.randn(3, 2, 3, 3)
    found = deformed(x, offsets, weights, kernel)

    def at(channel: int, y: float, left: float) -> float:
        total = 0.0
        for row in range(5):
            for column in range(6):
                near = max(0.0, 1 - abs(y - row)) * max(0.0, 1 - abs(left - column))
                total += near * float(x[0, channel, row, column])
        return total

    for out, row, column in ((0, 0, 0), (1, 2, 3), (2, 4, 5)):
        expected = 0.0
        for tap in range(9):
            y = row + tap // 3 - 1 + float(offsets[0, 2 * tap, row, column])
            left = column + tap % 3 - 1 + float(offsets[0, 2 * tap + 1, row, column])
            for channel in range(2):
                value = at(channel, y, left) * float(weights[0, tap, row, column])
                expected += float(kernel[out, channel, tap // 3, tap % 3]) * value
        assert float(found[0, out, row, column]) == pytest.approx(expected, abs=1e-5)


def test_folding_puts_tiles_into_channels() -> None:
    picture = torch.arange(3 * 4 * 6).reshape(1, 3, 4, 6)
    found = folded(picture, 2)
    assert found.shape == (1, 12, 2, 3)
    assert torch.equal(found[0, 4 + 2], picture[0, 1, 2:4, 0:3])  # colour 1, second row of tiles, first column


@pytest.fixture
def agreed(tiny_mattes_models: Path) -> Path:
    accept(card("birefnet"))
    return tiny_mattes_models


def test_mattes_are_made_frame_by_frame(agreed: Path) -> None:
    asked = Asked(ShotFrames(screens.FRAMES, screens.plate_of, (screens.HEIGHT, screens.WIDTH)))
    made = BiRefNetMattes(asked, SHAPE, side=96)
    whole, one = dict(made.mattes(screens.FRAMES)), dict(made.mattes({1003}))
    assert whole[1003].shape == (1, screens.HEIGHT, screens.WIDTH)
    assert np.array_equal(whole[1003], one[1003])
    assert not np.array_equal(whole[1001], whole[1006])
    assert list(made.depends(1003)) == [1003]


def test_every_tensor_that_is_loaded_counts(agreed: Path) -> None:
    network = load_birefnet(agreed / "birefnet", SHAPE).requires_grad_(True)
    logits = network(torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(3)))
    assert logits.shape == (1, 1, 64, 96)
    (logits * torch.rand_like(logits)).sum().backward()
    unused = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    # A key's bias shifts all of a query's products alike, which the softmax takes out; half of them is rounding.
    assert [name for name in unused if not name.endswith("k_proj.bias")] == []


def test_licence_has_to_be_agreed_to(tiny_mattes_models: Path) -> None:
    with pytest.raises(ModelError, match="platelight models accept birefnet"):
        BiRefNetMattes(Asked(ShotFrames((1001,), screens.plate_of, (90, 160))), SHAPE)


def test_another_network_is_refused_by_name_of_tensor(agreed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(agreed / "birefnet", tmp_path / "birefnet"))
    with pytest.raises(ModelError, match=re.escape(str(folder))):
        load_birefnet(folder)
