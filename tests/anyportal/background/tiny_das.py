"""A tiny checkpoint of Diffusion as Shader in the published layout: the branch's tensors in the transformer's files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import CogVideoXTransformer3DModel
from safetensors.torch import load_file, save_file

from platelight_server.models.structure import weight_sets
from platelight_server.models.video import das
from tests.models import tiny

SIZE, FRAMES = (32, 48), 9


def diffusion_as_shader(folder: Path, blocks: int = 2, silent: bool = False) -> Path:
    """CogVideoX image to video of 3 layers with `blocks` copied ones; `silent` leaves the linear layers at zero."""
    tiny.cogvideox(folder, "i2v", size=SIZE, frames=FRAMES)
    inside = folder / "transformer"
    network = CogVideoXTransformer3DModel.from_pretrained(inside)
    torch.manual_seed(33)
    das.add_branch(network)
    beyond = tuple(
        f"{part}.{number}." for part in ("transformer_blocks_copy", "combine_linears") for number in range(blocks, 3)
    )
    state = {name: value.bfloat16() for name, value in network.state_dict().items() if not name.startswith(beyond)}
    if not silent:
        for name in state:
            if "combine_linear" in name:
                state[name] = (0.3 * torch.randn(state[name].shape)).bfloat16()
    for shards in weight_sets(inside).values():
        for path in shards:
            path.unlink()
    for index in inside.glob("*.index.json"):
        index.unlink()
    save_file(state, inside / "diffusion_pytorch_model.safetensors", {"format": "pt"})
    config = json.loads((inside / "config.json").read_text("utf-8"))
    config |= {"_class_name": "CogVideoXTransformer3DModelTracking", "num_tracking_blocks": blocks}
    (inside / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    return folder


def published_state(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of the transformer's file."""
    return load_file(folder / "transformer" / "diffusion_pytorch_model.safetensors")
