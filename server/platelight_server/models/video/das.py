"""Diffusion as Shader (Gu et al. 2025): CogVideoX-5b image to video, led along 3-D tracks by a branch of its own.

Its checkpoint is the stock transformer with 18 copied blocks, 18 linear layers and one more in the same files. The
stock part is loaded as diffusers' class, the rest becomes further submodules of that network, under the published
names, so that whoever moves, streams or casts the transformer takes the branch with it. It runs by the hooks of
`attach`. Names and shapes are those of the checkpoint; the code is our own, after the paper's Sec. 3.2.

Tracks are a video whose squares carry where a point was at first (see engines/anyportal/background/drawing.py), encoded
by the codec. The model was trained with that video in -1..1, while the authors' own inference encodes it in 0..1, their
first frame excepted: `TrackRange` chooses.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXTransformer3DModel
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXBlock
from safetensors import safe_open
from torch import nn
from transformers import T5EncoderModel, T5Tokenizer

from platelight.errors import ModelError
from platelight_server.models.loading import load, load_state
from platelight_server.models.structure import weight_sets
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.interface import Branch, TransformerCall

__all__ = ["NEGATIVE", "TrackRange", "add_branch", "branch", "load_das", "track_latent"]

TrackRange = Literal["0..1", "-1..1"]

# The negative prompt that the authors' code always gives.
NEGATIVE = (
    "The video is not of a high quality, it has a low resolution. Watermark present in each frame. The background is"
    " solid. Strange body and strange trajectory. Distortion."
)
_PARTS = ("transformer_blocks_copy", "combine_linears", "initial_combine_linear")
_OURS = rf"^({'|'.join(_PARTS)})\."


def load_das(
    folder: Path, dtype: torch.dtype = torch.bfloat16, device: torch.device | str = "cpu", **chosen: Any
) -> CogVideoX:
    """The published folder as a backbone whose transformer carries the branch. `chosen` goes to `CogVideoX`.

    Raises `ModelError` naming the folder and the tensor where the checkpoint is not one of Diffusion as Shader.
    """
    home = "cpu" if "placed" in chosen else device  # whoever places networks brings them to the device
    transformer = load(folder, CogVideoXTransformer3DModel, "transformer", dtype, ignore=_OURS)
    add_branch(transformer, _branch_state(folder / "transformer", dtype), folder / "transformer")
    return CogVideoX(
        transformer.to(home),
        load(folder, AutoencoderKLCogVideoX, "vae", dtype, home),
        load(folder, T5EncoderModel, "text_encoder", dtype, home),
        load(folder, T5Tokenizer, "tokenizer"),
        dict(load(folder, CogVideoXDDIMScheduler, "scheduler").config),
        **{"name": folder.name, "device": device, **chosen},
    )


def add_branch(
    transformer: CogVideoXTransformer3DModel, state: dict[str, torch.Tensor] | None = None, where: Path | None = None
) -> None:
    """Gives a transformer the branch. Without `state` that of a training's start: copied blocks, linear layers of zero.

    `state` has the published names (`transformer_blocks_copy.N...`). Raises `ModelError` for others.
    """
    config = transformer.config
    width = config.num_attention_heads * config.attention_head_dim
    count = len(transformer.transformer_blocks) if state is None else _blocks_in(state, where or Path())
    if count > len(transformer.transformer_blocks):
        expected = f"expected at most {len(transformer.transformer_blocks)} copied blocks, got {count}"
        raise ModelError(f"{where}: {expected}")
    made = nn.Module()
    with torch.device("cpu" if state is None else "meta"):
        made.transformer_blocks_copy = nn.ModuleList(_block(config, width) for _ in range(count))
        made.combine_linears = nn.ModuleList(nn.Linear(width, width) for _ in range(count))
        made.initial_combine_linear = nn.Linear(width, width)
    if state is None:
        for copied, block in zip(made.transformer_blocks_copy, transformer.transformer_blocks, strict=False):
            copied.load_state_dict(block.state_dict())
        for linear in (*made.combine_linears, made.initial_combine_linear):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        made.to(transformer.device, transformer.dtype)
    else:
        load_state(made, state, where or Path())
    made.eval().requires_grad_(False)
    for part in _PARTS:
        transformer.add_module(part, getattr(made, part))


@torch.no_grad()
def track_latent(
    backbone: CogVideoX, tracks: torch.Tensor, coded: TrackRange = "0..1", lead: torch.Tensor | None = None
) -> torch.Tensor:
    """What the branch reads: tracks, with their first frame beside them as the image model has its picture.

    tracks   (F, 3, h, w) float32, 0..1, of a frame count that the model takes
    lead     (1, 3, h, w) float32, 0..1, another first frame; default the tracks' own
    returns  (F', 32, h', w') float32. The codec's means are taken, where the authors' code draws samples.
    """
    first = tracks[:1] if lead is None else lead
    video = tracks if coded == "0..1" else tracks * 2 - 1
    followed = backbone.encode(video).mean
    return torch.cat([followed, backbone.image_condition(first * 2 - 1, len(tracks)).to(followed)], dim=1)


def branch(backbone: CogVideoX, latent: torch.Tensor) -> Branch:
    """The branch for one clip, for `backbone.attached([...])`; `latent` (F', 32, h', w') from `track_latent`.

    Raises `ModelError` where the transformer has none, ValueError for another number of channels.
    """
    if not hasattr(backbone.transformer, _PARTS[0]):
        raise ModelError(f"{backbone.facts.name}: expected the tracking branch of Diffusion as Shader, found none")
    wanted = backbone.transformer.config.in_channels
    if latent.shape[1] != wanted:
        raise ValueError(f"tracks: expected {wanted} channels, got {latent.shape[1]}")
    return _TrackBranch(backbone.transformer, latent.to(backbone.device, backbone.dtype))


class _TrackBranch:
    """The published order of operations: t = L0(tokens + embed(tracks)); after block i, t = Li(Bi(t, text)) is added.

    A copied block is given the text that the block before it left, and its own answer for the text is dropped.
    """

    def __init__(self, transformer: Any, latent: torch.Tensor) -> None:
        self.network, self.latent = transformer, latent
        self._call: TransformerCall | None = None
        self._tracks = latent

    def begin(self, call: TransformerCall) -> torch.Tensor:
        """Nothing is added before the first block."""
        if call.latent.shape[1] != len(self.latent):
            raise ValueError(f"tracks: expected {call.latent.shape[1]} latent frames, got {len(self.latent)}")
        shown = self.latent.expand(len(call.latent), *self.latent.shape)
        embedded = self.network.patch_embed(call.prompt, shown)[:, call.prompt.shape[1] :]
        self._call, self._tracks = call, self.network.initial_combine_linear(call.tokens + embedded)
        return call.tokens

    def after(self, block: int, tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Adds what the copied block makes; beyond the last one nothing."""
        copies, call = self.network.transformer_blocks_copy, self._call
        if call is None:
            return tokens
        made, _ = copies[block](self._tracks, text, call.modulation, image_rotary_emb=call.rotary)
        self._tracks = self.network.combine_linears[block](made)
        tokens = tokens + self._tracks
        if block + 1 == len(copies):  # what this call was told is held no longer
            self._call, self._tracks = None, self.latent
        return tokens


def _block(config: Any, width: int) -> CogVideoXBlock:
    return CogVideoXBlock(
        dim=width,
        num_attention_heads=config.num_attention_heads,
        attention_head_dim=config.attention_head_dim,
        time_embed_dim=config.time_embed_dim,
        activation_fn=config.activation_fn,
        attention_bias=config.attention_bias,
        norm_elementwise_affine=config.norm_elementwise_affine,
        norm_eps=config.norm_eps,
    )


def _branch_state(folder: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The branch's tensors of a transformer's files, shard by shard, nothing else of them read."""
    found = {}
    for path in (path for shards in weight_sets(folder).values() for path in shards):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                if re.match(_OURS, name):
                    found[name] = file.get_tensor(name).to(dtype)
    return found


def _blocks_in(state: dict[str, torch.Tensor], where: Path) -> int:
    numbers = {int(match[1]) for name in state if (match := re.match(r"combine_linears\.(\d+)\.", name))}
    if not numbers:
        raise ModelError(f"{where}: expected the tracking branch of Diffusion as Shader (combine_linears), found none")
    return max(numbers) + 1
