"""Tiny random checkpoints of the matte models: classes, file names and names of tensors as published."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    Owlv2Config,
    Owlv2ForObjectDetection,
    Sam2HieraDetConfig,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VisionConfig,
)
from transformers.models.sam2_video.configuration_sam2_video import (
    Sam2VideoMaskDecoderConfig,
    Sam2VideoPromptEncoderConfig,
)

from platelight_server.mattes.birefnet_net import BiRefNet, BiRefNetShape
from platelight_server.models.catalogue import card
from platelight_server.models.record import trust
from tests.models.tiny_tokenizers import clip_tokenizer

SAM_SIDE = 64
SHAPE = BiRefNetShape(embed=8, depths=(2, 2, 2, 2), heads=(1, 1, 2, 2), window=3, inner=8, pyramid=8, gradient=4)


def sam2(folder: Path) -> Path:
    """SAM 2.1 video: Hiera with windows and a global block, memories of 64 channels, pointers split in two.

    The weights are noise, so its logits follow the picture in some way and its objects are always there.
    """
    torch.manual_seed(50)
    width = 128
    backbone = Sam2HieraDetConfig(
        hidden_size=12,
        num_attention_heads=1,
        blocks_per_stage=[1, 2, 2, 1],
        embed_dim_per_stage=[12, 24, 48, 96],
        num_attention_heads_per_stage=[1, 1, 2, 4],
        window_size_per_stage=[4, 2, 2, 2],
        global_attention_blocks=[4],
        window_positional_embedding_background_size=[4, 4],
        image_size=[SAM_SIDE, SAM_SIDE],
    )
    config = Sam2VideoConfig(
        vision_config=Sam2VisionConfig(
            backbone_config=backbone,
            backbone_channel_list=[96, 48, 24, 12],
            backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
            fpn_hidden_size=width,
        ),
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(image_size=SAM_SIDE, hidden_size=width),
        mask_decoder_config=Sam2VideoMaskDecoderConfig(hidden_size=width, mlp_dim=32, iou_head_hidden_dim=32),
        image_size=SAM_SIDE,
        num_maskmem=3,
        max_object_pointers_in_encoder=4,
        memory_attention_hidden_size=width,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=width,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=width,
        memory_fuser_embed_dim=width,
        memory_fuser_intermediate_dim=32,
        memory_fuser_num_layers=1,
    )
    network = Sam2VideoModel(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.06 * torch.randn_like(parameter))
        network.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(10.0)
    network.eval().save_pretrained(folder)
    return folder


def owlv2(folder: Path) -> Path:
    """OWLv2 with pictures of 32 pixels in 16 patches, and a tokenizer of CLIP's kind."""
    torch.manual_seed(51)
    vocabulary = clip_tokenizer(folder)
    text = {
        "vocab_size": vocabulary,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 16,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    network = Owlv2ForObjectDetection(Owlv2Config(text_config=text, vision_config=vision, projection_dim=16))
    network.eval().save_pretrained(folder)
    return folder


def birefnet(folder: Path, shape: BiRefNetShape = SHAPE) -> Path:
    """BiRefNet, half precision, under the names of the published file, with what only training uses."""
    torch.manual_seed(52)
    network = BiRefNet(shape).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "offset_conv" in name:
                parameter.mul_(3.0)  # taps that move
    state = {published_name(name): value.half() for name, value in network.state_dict().items() if "_proj." not in name}
    state |= _joined(network)
    for part, width in (("conv_ms_spvn_4", shape.channels[1]), ("gdt_convs_pred_4.0", shape.gradient)):
        state[f"decoder.{part}.weight"] = torch.zeros(1, width, 1, 1).half()
        state[f"decoder.{part}.bias"] = torch.zeros(1).half()
    state["bb.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(9, 9, dtype=torch.int64)
    folder.mkdir(parents=True)
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"bb_pretrained": false}')
    return folder


def published_name(name: str) -> str:
    """The author's name of a tensor of `BiRefNet`."""
    if not name.startswith("bb."):
        return name
    if "hidden_states_norms" in name:
        stage, kind = name.split("stage")[1].split(".")
        return f"bb.norm{int(stage) - 1}.{kind}"
    for ours, theirs in (
        ("bb.swin.encoder.layers", "bb.layers"),
        ("bb.swin.embeddings.patch_embeddings.projection", "bb.patch_embed.proj"),
        ("bb.swin.embeddings.norm", "bb.patch_embed.norm"),
        ("attention.relative_position_bias.relative_position_bias_table", "attn.relative_position_bias_table"),
        ("layernorm_before", "norm1"),
        ("layernorm_after", "norm2"),
    ):
        name = name.replace(ours, theirs)
    return name


def _joined(network: BiRefNet) -> dict[str, torch.Tensor]:
    """Queries, keys and values in one tensor, as the author has them; `proj` beside it."""
    state, joined = network.state_dict(), {}
    for name in state:
        if ".attention.q_proj." in name:
            parts = [state[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            joined[published_name(name).replace("attention.q_proj", "attn.qkv")] = torch.cat(parts).half()
        if ".attention.o_proj." in name:
            joined[published_name(name).replace("attention.o_proj", "attn.proj")] = state[name].half()
    return joined


def everything(root: Path) -> Path:
    """A models folder with all of them, recorded as they are."""
    for name, make in (("sam2.1-hiera-large", sam2), ("owlv2-base", owlv2), ("birefnet", birefnet)):
        make(root / name)
        trust(card(name), root / name)
    return root
