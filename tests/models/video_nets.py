"""Tiny video backbones for tests, each checkpoint made once per process: 9 frames of 32x48 take a tenth of a second."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXTransformer3DModel

from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.edge_control import EdgeControlNet
from platelight_server.models.video.wan import Wan
from tests.models import tiny

HEIGHT, WIDTH, FRAMES = 32, 48, 9
KINDS = ("2b", "5b", "i2v", "wan")


@functools.cache
def folder(kind: str) -> Path:
    """A published folder's layout, tiny; removed when the process ends."""
    root = Path(tempfile.mkdtemp(prefix="platelight-video-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    if kind == "wan":
        return tiny.wan(root / "wan")
    return tiny.cogvideox(root / f"cogvideox-{kind}", kind, size=(HEIGHT, WIDTH), frames=FRAMES)  # type: ignore[arg-type]


def backbone(kind: str, dtype: torch.dtype = torch.float32, **chosen: Any) -> CogVideoX | Wan:
    """A backbone of its own for each call, read from its folder."""
    made: CogVideoX | Wan = (Wan if kind == "wan" else CogVideoX).from_folder(folder(kind), dtype, **chosen)
    return made


def cogvideox15(in_channels: int = 16, dtype: torch.dtype = torch.float32, text_tokens: int = 226) -> CogVideoX:
    """1.5: two latent frames per token, positions cut from a grid; with 32 channels in, its image model."""
    torch.manual_seed(5)
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=in_channels,
        time_embed_dim=16,
        text_embed_dim=tiny.TEXT_WIDTH,
        num_layers=2,
        sample_height=20,
        sample_width=20,
        sample_frames=81,
        max_text_seq_length=text_tokens,
        patch_size_t=2,
        patch_bias=False,
        use_rotary_positional_embeddings=True,
        ofs_embed_dim=16 if in_channels == 32 else None,
    )
    from_5b = CogVideoX.from_folder(folder("5b"), torch.float32)
    from_5b.vae.register_to_config(invert_scale_latents=in_channels == 32)
    return CogVideoX(
        transformer.to(dtype),
        from_5b.vae.to(dtype),
        from_5b.text_encoder,
        from_5b.tokenizer,
        dict(CogVideoXDDIMScheduler.from_pretrained(folder("5b") / "scheduler").config),
        name="cogvideox-1.5",
    )


def edge_net(kind: str = "2b", layers: int = 2) -> EdgeControlNet:
    """An edge ControlNet beside the tiny 2b (as wide) or 5b (narrower, with layers to its width)."""
    torch.manual_seed(6)
    wide = kind == "2b"
    return EdgeControlNet(
        num_attention_heads=2 if wide else 1,
        attention_head_dim=16,
        time_embed_dim=16,
        text_embed_dim=tiny.TEXT_WIDTH,
        num_layers=layers,
        sample_height=HEIGHT // 8,
        sample_width=WIDTH // 8,
        sample_frames=FRAMES,
        use_rotary_positional_embeddings=not wide,
        out_proj_dim=None if wide else 32,
    ).eval()


def video(frames: int = FRAMES, height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> torch.Tensor:
    """(F, 3, h, w) code values with detail at every scale, some beyond -1..1."""
    return 0.8 * torch.randn(frames, 3, height, width, generator=torch.Generator().manual_seed(seed))


def box_matte(frames: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    """(F, 1, h, w): one box of two by two latents in the top left, away from the rest."""
    matte = torch.zeros(frames, 1, height, width)
    matte[..., :8, :8] = 1
    return matte
