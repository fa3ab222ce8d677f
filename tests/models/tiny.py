"""Tiny random checkpoints in the layout of the published ones: same classes, same file names, same kinds of numbers.

Each maker fills a folder and returns it. What a loader must see is real (class names, schedules, tokenizers trained on
the spot, shards with an index, the published precision); widths and depths are small, so that a folder has about a
megabyte and a call takes milliseconds. Equal arguments give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXTransformer3DModel,
    PNDMScheduler,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
    WanTransformer3DModel,
)
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

from platelight_server.models.catalogue import card
from platelight_server.models.record import trust
from tests.models.tiny_tokenizers import clip_tokenizer, t5_tokenizer

CogVideoXKind = Literal["2b", "5b", "i2v"]

TEXT_WIDTH = 32
SHARD = "40KB"  # the published text encoders and the 5b transformer come in several files

_PRECISION = {"2b": torch.float16, "5b": torch.bfloat16, "i2v": torch.bfloat16}
_SNR_SHIFT = {"2b": 3.0, "5b": 1.0, "i2v": 1.0}
_VAE_SCALE = {"2b": 1.15258426, "5b": 0.7, "i2v": 0.7}


def cogvideox(
    folder: Path,
    kind: CogVideoXKind = "2b",
    *,
    size: tuple[int, int] = (64, 96),
    frames: int = 9,
    layers: int = 3,
    text_tokens: int = 226,
) -> Path:
    """CogVideoX-2b (sinusoidal positions, fp16), -5b (rotary, bf16) or -5b-I2V (32 channels in, learned positions too).

    `size` (height, width) and `frames` are what the transformer calls its own; the VAE's tiles are 48x80.
    """
    torch.manual_seed(20)
    height, width = size
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=32 if kind == "i2v" else 16,
        out_channels=16,
        time_embed_dim=16,
        text_embed_dim=TEXT_WIDTH,
        num_layers=layers,
        sample_height=height // 8,
        sample_width=width // 8,
        sample_frames=frames,
        max_text_seq_length=text_tokens,
        spatial_interpolation_scale=1.875,
        use_rotary_positional_embeddings=kind != "2b",
        use_learned_positional_embeddings=kind == "i2v",
    )
    vae = AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=16,
        sample_height=96,
        sample_width=160,
        scaling_factor=_VAE_SCALE[kind],
    )
    scheduler = CogVideoXDDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        snr_shift_scale=_SNR_SHIFT[kind],
        timestep_spacing="trailing",
    )
    dtype = _PRECISION[kind]
    _save(transformer, folder / "transformer", dtype, shard=None if kind == "2b" else SHARD)
    _save(vae, folder / "vae", dtype)
    scheduler.save_pretrained(folder / "scheduler")
    vocabulary = t5_tokenizer(folder / "tokenizer", most_tokens=text_tokens)
    _save(_t5(T5Config, T5EncoderModel, vocabulary), folder / "text_encoder", dtype, shard=SHARD)
    pipeline = "CogVideoXImageToVideoPipeline" if kind == "i2v" else "CogVideoXPipeline"
    return _index(
        folder,
        pipeline,
        transformer=transformer,
        vae=vae,
        scheduler=scheduler,
        tokenizer=("transformers", "T5Tokenizer"),
        text_encoder=("transformers", "T5EncoderModel"),
    )


def wan(folder: Path, *, layers: int = 3) -> Path:
    """Wan2.1-T2V-1.3B in diffusers' layout: fp32 transformer and VAE, UMT5 in shards, UniPC over flow sigmas."""
    torch.manual_seed(21)
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=16,
        out_channels=16,
        text_dim=TEXT_WIDTH,
        freq_dim=32,
        ffn_dim=64,
        num_layers=layers,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=1024,
    )
    vae = AutoencoderKLWan(base_dim=8, dim_mult=[1, 1, 1, 1], num_res_blocks=1, z_dim=16)
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, final_sigmas_type="zero"
    )
    _save(transformer, folder / "transformer", torch.float32, shard=SHARD)
    _save(vae, folder / "vae", torch.float32)
    scheduler.save_pretrained(folder / "scheduler")
    vocabulary = t5_tokenizer(folder / "tokenizer", most_tokens=512, with_json=True)
    _save(_t5(UMT5Config, UMT5EncoderModel, vocabulary), folder / "text_encoder", torch.float32, shard=SHARD)
    return _index(
        folder,
        "WanPipeline",
        transformer=transformer,
        vae=vae,
        scheduler=scheduler,
        tokenizer=("transformers", "T5TokenizerFast"),
        text_encoder=("transformers", "UMT5EncoderModel"),
    )


def sd15(folder: Path, *, in_channels: int = 4) -> Path:
    """Stable Diffusion 1.5; 9 channels in make it the inpainting model."""
    torch.manual_seed(22 + in_channels)
    unet, vae = unet15(in_channels), vae15()
    scheduler = PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        set_alpha_to_one=False,
        skip_prk_steps=True,
        steps_offset=1,
    )
    _save(unet, folder / "unet", torch.float16)
    _save(vae, folder / "vae", torch.float16)
    scheduler.save_pretrained(folder / "scheduler")
    vocabulary = clip_tokenizer(folder / "tokenizer")
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=77,
        hidden_act="quick_gelu",
        bos_token_id=vocabulary - 2,
        eos_token_id=2,  # as published: the number that tells transformers to look for the highest token
        pad_token_id=1,
    )
    _save(CLIPTextModel(config), folder / "text_encoder", torch.float16)
    pipeline = "StableDiffusionInpaintPipeline" if in_channels == 9 else "StableDiffusionPipeline"
    return _index(
        folder,
        pipeline,
        unet=unet,
        vae=vae,
        scheduler=scheduler,
        tokenizer=("transformers", "CLIPTokenizer"),
        text_encoder=("transformers", "CLIPTextModel"),
    )


def iclight(folder: Path, kind: Literal["fc", "fbc"] = "fc") -> Path:
    """IC-Light's offsets to every weight of an SD 1.5 UNet whose first layer has 8 (fc) or 12 (fbc) channels in."""
    torch.manual_seed(40 + len(kind))
    changed = unet15(8 if kind == "fc" else 12)
    offsets = {key: (0.05 * torch.randn(value.shape)).half() for key, value in changed.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(offsets, folder / f"iclight_sd15_{kind}.safetensors")
    return folder


def unet15(in_channels: int = 4) -> UNet2DConditionModel:
    """An SD 1.5 UNet with the published four levels, attention on the first three, narrow."""
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=in_channels,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16, 16, 16),
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=2,
    )


def vae15() -> AutoencoderKL:
    """An SD 1.5 VAE: eight times smaller, four channels, scaled by 0.18215."""
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        sample_size=512,
        scaling_factor=0.18215,
    )


def everything(root: Path) -> Path:
    """A models folder with all of the above, each under its name in the catalogue and recorded as it is."""
    cogvideox(root / "cogvideox-2b", "2b")
    cogvideox(root / "cogvideox-5b", "5b")
    cogvideox(root / "cogvideox-5b-i2v", "i2v")
    wan(root / "wan2.1-t2v-1.3b")
    sd15(root / "realistic-vision-v51")
    sd15(root / "sd15-inpainting", in_channels=9)
    iclight(root / "iclight-fc", "fc")
    iclight(root / "iclight-fbc", "fbc")
    for folder in root.iterdir():
        trust(card(folder.name), folder)
    return root


def _t5(config_class: type, model_class: type, vocabulary: int) -> Any:
    """The encoder of T5 v1.1 XXL (or UMT5 XXL), narrow; `vocabulary` tokens and padding, as published."""
    config = config_class(
        vocab_size=vocabulary + 28,
        d_model=TEXT_WIDTH,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    return model_class(config)


def _save(model: Any, folder: Path, dtype: torch.dtype, shard: str | None = None) -> None:
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.to(dtype) if tensor.is_floating_point() else tensor.data
    model.eval().save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))


def _index(folder: Path, pipeline: str, **parts: Any) -> Path:
    """Writes model_index.json: the pipeline and, per part, its library and class."""
    named: Mapping[str, Any] = {
        name: list(part) if isinstance(part, tuple) else ["diffusers", type(part).__name__]
        for name, part in parts.items()
    }
    text = json.dumps({"_class_name": pipeline, "_diffusers_version": "0.31.0", **named}, indent=2)
    (folder / "model_index.json").write_text(text + "\n", encoding="utf-8")
    return folder
