"""Random checkpoints of the edge ControlNet (tiny) and of HED, in their published layouts."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from platelight_server.models.video.edge_control import EdgeControlNet
from platelight_server.models.video.hed import FILE, HED
from tests.models import tiny


def edge_controlnet(folder: Path) -> Path:
    """Beside the tiny cogvideox-2b: as wide, of one block."""
    torch.manual_seed(41)
    network = EdgeControlNet(
        num_attention_heads=2, attention_head_dim=16, time_embed_dim=16, text_embed_dim=tiny.TEXT_WIDTH, num_layers=1,
        sample_height=8, sample_width=12, sample_frames=9,
    )  # fmt: skip
    network.save_pretrained(folder)
    return folder


def hed(folder: Path) -> Path:
    """The network's one size, 29 MB."""
    torch.manual_seed(42)
    folder.mkdir()
    save_file(HED().state_dict(), folder / FILE, {"format": "pt"})
    return folder
