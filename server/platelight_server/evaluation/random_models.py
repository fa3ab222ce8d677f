"""Networks of the published architectures with random weights, for benchmarks and self-tests: no checkpoint is needed.

`full` builds the published sizes, else a few layers of a few channels with the same parts in the same order. What they
paint means nothing; what they cost, and whether the arithmetic around them is exact, does not depend on the weights.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderKLCogVideoX, CogVideoXTransformer3DModel, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from platelight_server.models.image.iclight import IcLight
from platelight_server.models.image.stable_diffusion import ChunkedText, PictureCodec
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.edge_control import EdgeControl, EdgeControlNet
from platelight_server.models.video.interface import Tile

__all__ = ["random_cogvideox", "random_edge_control", "random_iclight"]

LETTERS = " abcdefghijklmnopqrstuvwxyz,."
_SCHEDULE = {
    "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "clip_sample": False, "set_alpha_to_one": True, "steps_offset": 0, "prediction_type": "v_prediction",
    "timestep_spacing": "trailing", "rescale_betas_zero_snr": True,
}  # fmt: skip
# Heads and layers of the published transformers, whether positions are rotary, and the schedule's shift.
_SIZES = {"cogvideox-2b": (30, 30, False, 3.0), "cogvideox-5b": (48, 42, True, 1.0)}


def random_cogvideox(
    name: str, full: bool, dtype: torch.dtype, device: str, tile: Tile = None, **chosen: Any
) -> CogVideoX:
    """CogVideoX 1.0, "cogvideox-2b" or "-5b", at 480x720 (or 64x96), with a text encoder of the right width alone."""
    heads, layers, rotary, shift = _SIZES[name]
    torch.manual_seed(1)
    with torch.device(device):
        transformer = CogVideoXTransformer3DModel(
            num_attention_heads=heads if full else 2, attention_head_dim=64 if full else 16, in_channels=16,
            out_channels=16, time_embed_dim=512 if full else 16, text_embed_dim=4096 if full else 32,
            num_layers=layers if full else 2, sample_width=90 if full else 12, sample_height=60 if full else 8,
            sample_frames=49, max_text_seq_length=226, use_rotary_positional_embeddings=rotary,
        )  # fmt: skip
        vae = AutoencoderKLCogVideoX(
            block_out_channels=(128, 256, 256, 512) if full else (8, 8, 8, 8), layers_per_block=3 if full else 1,
            norm_num_groups=32 if full else 4, latent_channels=16, scaling_factor=0.7,
            sample_height=480 if full else 96, sample_width=720 if full else 160,
        )  # fmt: skip
        text = T5EncoderModel(
            T5Config(vocab_size=64, d_model=4096 if full else 32, d_kv=8, d_ff=64, num_layers=1, num_heads=2)
        )
    return CogVideoX(
        _still(transformer, dtype), _still(vae, dtype), _still(text, dtype), _tokenizer(),
        {**_SCHEDULE, "snr_shift_scale": shift}, name=name, device=device, tile=tile, **chosen,
    )  # fmt: skip


def random_edge_control(full: bool, dtype: torch.dtype, device: str) -> EdgeControl:
    """The edge ControlNet of CogVideoX-2b: eight blocks, or one."""
    torch.manual_seed(2)
    with torch.device(device):
        network = (
            EdgeControlNet()
            if full
            else EdgeControlNet(
                num_attention_heads=2,
                attention_head_dim=16,
                time_embed_dim=16,
                text_embed_dim=32,
                num_layers=1,
                sample_width=12,
                sample_height=8,
            )  # fmt: skip
        )
    return EdgeControl(_still(network, dtype), device=device)


def random_iclight(full: bool, dtype: torch.dtype, device: str) -> IcLight:
    """IC-Light's two networks, codec and text encoder, of Stable Diffusion 1.5's sizes or small."""
    torch.manual_seed(3)
    with torch.device(device):
        fc, fbc = (_still(_unet(channels, full), dtype) for channels in (8, 12))
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512) if full else (8, 8, 8, 8), layers_per_block=2 if full else 1,
            norm_num_groups=32 if full else 4, down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, scaling_factor=0.18215,
        )  # fmt: skip
        tokenizer = CLIPTokenizer(vocab=_clip_vocabulary(), merges=[])
        text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=128,
                hidden_size=768 if full else 16,
                intermediate_size=64,
                num_hidden_layers=1,
                num_attention_heads=2,
                bos_token_id=0,
                eos_token_id=1,
            )  # fmt: skip
        )
    where = torch.device(device)
    codec_dtype = torch.bfloat16 if dtype != torch.float32 else dtype
    return IcLight(
        ChunkedText(tokenizer, _still(text, torch.float32), where), PictureCodec(_still(vae, codec_dtype), where),
        fc, fbc, where, dtype,
    )  # fmt: skip


def _unet(channels: int, full: bool) -> UNet2DConditionModel:
    if full:
        return UNet2DConditionModel(in_channels=channels, cross_attention_dim=768)
    return UNet2DConditionModel(
        in_channels=channels, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16, attention_head_dim=4,
    )  # fmt: skip


def _still(network: nn.Module, dtype: torch.dtype) -> Any:
    return network.to(dtype).eval().requires_grad_(False)


def _tokenizer() -> T5Tokenizer:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -1.0), ("\u2581", -2.0)]
    return T5Tokenizer(vocab=[*pieces, *((letter, -3.0) for letter in LETTERS[1:])], extra_ids=0, model_max_length=226)


def _clip_vocabulary() -> dict[str, int]:
    words = ["<|startoftext|>", "<|endoftext|>", *(letter + end for letter in LETTERS[1:] for end in ("", "</w>"))]
    return {word: number for number, word in enumerate(words)}
