"""BiRefNet (Zheng et al. 2024, "Bilateral Reference for High-Resolution Dichotomous Image Segmentation"), inference.

Written from the paper and the published configuration (Swin-L, pyramid input, context from three scales, deformable
ASPP in each decoder block, image patches as inward reference, gradient attention as outward reference). Modules are
called as in the published checkpoints, so that these load by name; the backbone is transformers' Swin, whose names
`backbone_state` translates. What only training uses is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers import SwinBackbone, SwinConfig

from .deformable import DeformableConv2d

__all__ = ["BiRefNet", "BiRefNetShape", "network_state"]

TRAINING_ONLY = ("decoder.conv_ms_spvn_", "decoder.gdt_convs_pred_")
_STAGES = 4
_SQUEEZED_AT = (2**5, 2**4, 2**3, 2**2, 1)  # how many pixels a side go into one cell of each inward reference


@dataclass(frozen=True)
class BiRefNetShape:
    """Widths and depths; the defaults are the published network's."""

    embed: int = 192
    depths: tuple[int, ...] = (2, 2, 18, 2)
    heads: tuple[int, ...] = (6, 12, 24, 48)
    window: int = 12
    inner: int = 64
    pyramid: int = 256
    gradient: int = 16

    @property
    def channels(self) -> tuple[int, ...]:
        """Of the four scales, the coarsest first; two sizes of the picture are seen side by side."""
        return tuple(2 * self.embed * 2**i for i in reversed(range(_STAGES)))


class BiRefNet(nn.Module):
    """(B, 3, h, w) normalised pictures, sides multiples of 32 -> (B, 1, h, w) logits, positive in the foreground."""

    def __init__(self, shape: BiRefNetShape = BiRefNetShape()) -> None:
        super().__init__()
        self.bb = SwinBackbone(
            SwinConfig(
                embed_dim=shape.embed,
                depths=list(shape.depths),
                num_heads=list(shape.heads),
                window_size=shape.window,
                drop_path_rate=0.0,
                out_features=[f"stage{i + 1}" for i in range(_STAGES)],
            )
        )
        self.bb.swin.layernorm = nn.Identity()  # of classifiers: the published network has none
        widths = shape.channels
        self.squeeze_module = nn.Sequential(_DecoderBlock(sum(widths), widths[0], shape))
        self.decoder = _Decoder(shape)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        half = _resized(picture, (picture.shape[-2] // 2, picture.shape[-1] // 2))
        large, small = self._features(picture), self._features(half)
        scales = [torch.cat([a, _resized(b, a.shape[-2:])], 1) for a, b in zip(large, small, strict=True)]
        coarse = scales[-1]
        context = [_resized(one, coarse.shape[-2:]) for one in scales[:-1]]
        scales[-1] = self.squeeze_module(torch.cat([*context, coarse], 1))
        logits: torch.Tensor = self.decoder(picture, scales)
        return logits

    def _features(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found: tuple[torch.Tensor, ...] = self.bb(picture).feature_maps
        return found


class _Decoder(nn.Module):
    """From the coarsest scale to the picture: each block sees the picture itself, folded to the block's size."""

    decoder_block1: nn.Module

    def __init__(self, shape: BiRefNetShape) -> None:
        super().__init__()
        widths = shape.channels
        folded = [width // 8 for width in widths]
        for i, (side, out) in enumerate(zip(_SQUEEZED_AT, (folded[0], *folded), strict=True)):
            setattr(self, f"ipt_blk{5 - i}", _TwoConvs(3 * side * side, shape.inner, out))
        outs = (*widths[1:], widths[-1] // 2)
        for i, (width, out) in enumerate(zip(widths, outs, strict=True)):
            setattr(self, f"decoder_block{4 - i}", _DecoderBlock(width + folded[max(0, i - 1)], out, shape))
            if i < 3:
                setattr(self, f"lateral_block{4 - i}", _Lateral(out))
                setattr(self, f"gdt_convs_{4 - i}", _gradient(out, shape.gradient))
                setattr(self, f"gdt_convs_attn_{4 - i}", nn.Sequential(nn.Conv2d(shape.gradient, 1, 1)))
        self.conv_out1 = nn.Sequential(nn.Conv2d(outs[-1] + folded[-1], 1, 1))

    def forward(self, picture: torch.Tensor, scales: list[torch.Tensor]) -> torch.Tensor:
        x = scales[-1]
        for number in (4, 3, 2):
            x = getattr(self, f"decoder_block{number}")(self._with_picture(x, picture, number + 1))
            edges = getattr(self, f"gdt_convs_{number}")(x)
            x = x * getattr(self, f"gdt_convs_attn_{number}")(edges).sigmoid()
            finer = scales[number - 2]
            x = _resized(x, finer.shape[-2:]) + getattr(self, f"lateral_block{number}")(finer)
        x = self.decoder_block1(self._with_picture(x, picture, 2))
        x = _resized(x, picture.shape[-2:])
        logits: torch.Tensor = self.conv_out1(self._with_picture(x, picture, 1))
        return logits

    def _with_picture(self, x: torch.Tensor, picture: torch.Tensor, number: int) -> torch.Tensor:
        side = _SQUEEZED_AT[5 - number]
        return torch.cat([x, getattr(self, f"ipt_blk{number}")(_resized(folded(picture, side), x.shape[-2:]))], 1)


class _DecoderBlock(nn.Module):
    def __init__(self, width: int, out: int, shape: BiRefNetShape) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(width, shape.inner, 3, padding=1)
        self.bn_in = nn.BatchNorm2d(shape.inner)
        self.dec_att = _Pyramid(shape.inner, shape.pyramid)
        self.conv_out = nn.Conv2d(shape.inner, out, 3, padding=1)
        self.bn_out = nn.BatchNorm2d(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.dec_att(self.bn_in(self.conv_in(x)).relu())
        out: torch.Tensor = self.bn_out(self.conv_out(x))
        return out


class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al. 2017) with deformable convolutions of 1, 3 and 7."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.aspp1 = _Branch(width, inner, 1)
        self.aspp_deforms = nn.ModuleList([_Branch(width, inner, side) for side in (1, 3, 7)])
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU()
        )
        self.conv1 = nn.Conv2d(5 * inner, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole = self.global_avg_pool(x).expand(-1, -1, *x.shape[-2:])
        seen = [self.aspp1(x), *(branch(x) for branch in self.aspp_deforms), whole]
        out: torch.Tensor = self.bn1(self.conv1(torch.cat(seen, 1))).relu()
        return out


class _Branch(nn.Module):
    def __init__(self, width: int, out: int, side: int) -> None:
        super().__init__()
        self.atrous_conv = DeformableConv2d(width, out, side)
        self.bn = nn.BatchNorm2d(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.bn(self.atrous_conv(x)).relu()
        return out


class _TwoConvs(nn.Module):
    def __init__(self, width: int, inner: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, inner, 3, padding=1)
        self.conv_out = nn.Conv2d(inner, out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.conv_out(self.conv1(x))
        return out


class _Lateral(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.conv(x)
        return out


def _gradient(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU())


def folded(picture: torch.Tensor, side: int) -> torch.Tensor:
    """(B, 3, h, w) -> (B, 3·side·side, h/side, w/side): pictures of one tile each, the tiles as channels.

    The picture is cut into side x side tiles; channel (c, row, column) is colour c of one tile.
    """
    batch, colors, height, width = picture.shape
    tiles = picture.reshape(batch, colors, side, height // side, side, width // side)
    return tiles.permute(0, 1, 2, 4, 3, 5).reshape(batch, colors * side * side, height // side, width // side)


def _resized(x: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    return nn.functional.interpolate(x, tuple(size), mode="bilinear", align_corners=True)


def network_state(published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A published checkpoint's tensors under the names that `BiRefNet` has, float32; training's own are left out."""
    state: dict[str, torch.Tensor] = {}
    for name, tensor in published.items():
        value = tensor.float() if tensor.is_floating_point() else tensor
        if name.startswith(TRAINING_ONLY) or name.endswith("relative_position_index"):
            continue
        if not name.startswith("bb."):
            state[name] = value
        elif ".attn.qkv." in name:
            for part, third in zip("qkv", value.chunk(3), strict=True):
                state[_swin_name(name).replace("attention.qkv", f"attention.{part}_proj")] = third.clone()
        else:
            state[_swin_name(name)] = value
    return state


_SWIN_NAMES = (
    *(
        (f"bb.norm{i}.", f"bb.hidden_states_norms.stage{i + 1}.") for i in range(_STAGES)
    ),  # before the blocks' own norm1
    ("bb.layers.", "bb.swin.encoder.layers."),
    ("bb.patch_embed.proj.", "bb.swin.embeddings.patch_embeddings.projection."),
    ("bb.patch_embed.norm.", "bb.swin.embeddings.norm."),
    (".attn.relative_position_bias_table", ".attention.relative_position_bias.relative_position_bias_table"),
    (".attn.proj.", ".attention.o_proj."),
    (".attn.", ".attention."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
)


def _swin_name(name: str) -> str:
    for old, new in _SWIN_NAMES:
        name = name.replace(old, new)
    return name
