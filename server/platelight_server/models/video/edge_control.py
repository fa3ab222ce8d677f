"""The edge ControlNet for CogVideoX 1.0 whose checkpoints TheDenk publishes (2b HED, 2b Canny, 5b HED), as a `Branch`.

A short copy of the transformer reads the noisy latent beside the encoded edges; what each of its blocks makes is added
to the tokens after the block of the same number. Names and shapes are those of the checkpoints; the code is our own.
The 5b's network is 2b-wide, with a linear layer to 5b's width after each block (`out_proj_dim` in its config).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import CogVideoXPatchEmbed, TimestepEmbedding, Timesteps
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXBlock
from torch import nn

from platelight_server.models.loading import load
from platelight_server.models.video.interface import Branch, Placed, TransformerCall, stays

__all__ = ["EdgeControl", "EdgeControlNet"]

_TRAINED_STEPS = 1000


class EdgeControlNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """The network. Config keys are the published config.json's; `text_embed_dim` is not among those (always 4096)."""

    _no_split_modules = ["CogVideoXBlock"]
    _skip_layerwise_casting_patterns = ["patch_embed", "norm"]

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        num_attention_heads: int = 30,
        attention_head_dim: int = 64,
        vae_channels: int = 16,
        in_channels: int = 3,
        downscale_coef: int = 8,
        flip_sin_to_cos: bool = True,
        freq_shift: int = 0,
        time_embed_dim: int = 512,
        text_embed_dim: int = 4096,
        num_layers: int = 8,
        dropout: float = 0.0,
        attention_bias: bool = True,
        sample_width: int = 90,
        sample_height: int = 60,
        sample_frames: int = 49,
        patch_size: int = 2,
        temporal_compression_ratio: int = 4,
        max_text_seq_length: int = 226,
        activation_fn: str = "gelu-approximate",
        timestep_activation_fn: str = "silu",
        norm_elementwise_affine: bool = True,
        norm_eps: float = 1e-5,
        spatial_interpolation_scale: float = 1.875,
        temporal_interpolation_scale: float = 1.0,
        use_rotary_positional_embeddings: bool = False,
        use_learned_positional_embeddings: bool = False,
        out_proj_dim: int | None = None,
    ) -> None:
        super().__init__()
        width = num_attention_heads * attention_head_dim
        channels = in_channels * downscale_coef**2
        self.unshuffle = nn.PixelUnshuffle(downscale_coef)
        self.controlnet_encode_first = _mix(channels, channels // 2)
        self.controlnet_encode_second = _mix(channels // 2, channels // 4)
        self.patch_embed = CogVideoXPatchEmbed(
            patch_size=patch_size,
            in_channels=vae_channels + channels // 4,
            embed_dim=width,
            text_embed_dim=text_embed_dim,
            sample_width=sample_width,
            sample_height=sample_height,
            sample_frames=sample_frames,
            temporal_compression_ratio=temporal_compression_ratio,
            max_text_seq_length=max_text_seq_length,
            spatial_interpolation_scale=spatial_interpolation_scale,
            temporal_interpolation_scale=temporal_interpolation_scale,
            use_positional_embeddings=not use_rotary_positional_embeddings,
            use_learned_positional_embeddings=use_learned_positional_embeddings,
        )
        self.time_proj = Timesteps(width, flip_sin_to_cos, freq_shift)
        self.time_embedding = TimestepEmbedding(width, time_embed_dim, timestep_activation_fn)
        self.transformer_blocks = nn.ModuleList(
            CogVideoXBlock(
                dim=width,
                num_attention_heads=num_attention_heads,
                attention_head_dim=attention_head_dim,
                time_embed_dim=time_embed_dim,
                dropout=dropout,
                activation_fn=activation_fn,
                attention_bias=attention_bias,
                norm_elementwise_affine=norm_elementwise_affine,
                norm_eps=norm_eps,
            )
            for _ in range(num_layers)
        )
        self.out_projectors = None
        if out_proj_dim is not None:
            self.out_projectors = nn.ModuleList(nn.Linear(width, out_proj_dim) for _ in range(num_layers))

    def encode_control(self, edges: torch.Tensor) -> torch.Tensor:
        """Edges (F, 3, h, w), -1..1 -> (F', 48, h / 8, w / 8): the same at every step of a clip."""
        mixed = self.controlnet_encode_first(self.unshuffle(edges))
        return _halved(self.controlnet_encode_second(_halved(mixed)))

    def forward(self, call: TransformerCall, control: torch.Tensor) -> list[torch.Tensor]:
        """-> what is added to the transformer's tokens after its first blocks, (B, N, D) each, unweighted."""
        latent = torch.cat([call.latent, control.expand(len(call.latent), *control.shape)], dim=2)
        time = self.time_embedding(self.time_proj(call.timestep).to(latent.dtype))
        embedded = self.patch_embed(call.prompt, latent)
        length = call.prompt.shape[1]
        text, tokens = embedded[:, :length], embedded[:, length:]
        made = []
        for number, block in enumerate(self.transformer_blocks):
            tokens, text = block(tokens, text, time, image_rotary_emb=call.rotary)
            made.append(tokens if self.out_projectors is None else self.out_projectors[number](tokens))
        return made


class EdgeControl:
    """An edge ControlNet at work: how strongly (`weight`), and from which to which share of a run's steps (0..1).

    Its authors run it at 0.8 from 0 to 0.5; AnyPortal at 1 throughout.
    """

    def __init__(
        self,
        network: EdgeControlNet,
        *,
        weight: float = 1.0,
        start: float = 0.0,
        end: float = 1.0,
        placed: Placed = stays,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self.device = network.eval(), torch.device(device)
        self.dtype = network.dtype  # asked for now: stored in 8 bits, a network computes in what it had
        self.weight, self.start, self.end, self.placed = weight, start, end, placed

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        dtype: torch.dtype = torch.bfloat16,
        device: torch.device | str = "cpu",
        **chosen: Any,
    ) -> Self:
        """Loads a published folder: config.json and diffusion_pytorch_model.safetensors. Raises ModelError.

        The network lies on `device`, or on the CPU where a `placed` is given that brings it.
        """
        network = load(folder, EdgeControlNet, dtype=dtype, device="cpu" if "placed" in chosen else device)
        return cls(network, **{"device": device, **chosen})

    def modules(self) -> dict[str, nn.Module]:
        """The network by its name, as `VideoBackbone.modules`."""
        return {"edge_control": self.network}

    @torch.no_grad()
    def branch(self, edges: torch.Tensor) -> Branch:
        """The branch for one clip: `edges` (F, 1 or 3, h, w), -1 none to 1, of the clip's padded frame count."""
        with self.placed("edge_control"):
            shown = edges.expand(-1, 3, -1, -1).to(self.device, self.dtype)
            return _EdgeBranch(self, self.network.encode_control(shown))

    def runs_at(self, timestep: float) -> bool:
        """Whether the branch takes part at a timestep of a trailing schedule."""
        return self.start <= 1 - (timestep + 1) / _TRAINED_STEPS <= self.end

    @torch.no_grad()
    def residuals(self, call: TransformerCall, control: torch.Tensor) -> list[torch.Tensor]:
        """What is added after each block at this call; none where the branch does not take part."""
        if self.weight == 0 or not self.runs_at(float(call.timestep[0])):
            return []
        frames = call.latent.shape[1]
        if len(control) != frames:
            raise ValueError(f"edges: expected {frames} latent frames, got {len(control)}")
        with self.placed("edge_control"):
            return [self.weight * made for made in self.network(_cast(call, self.dtype), control)]


@dataclass
class _EdgeBranch:
    control: EdgeControl
    encoded: torch.Tensor
    made: list[torch.Tensor] = field(default_factory=list)

    def begin(self, call: TransformerCall) -> torch.Tensor:
        self.made = self.control.residuals(call, self.encoded)
        return call.tokens

    def after(self, block: int, tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return tokens + self.made.pop(0).to(tokens) if self.made else tokens


def _cast(call: TransformerCall, dtype: torch.dtype) -> TransformerCall:
    return replace(call, latent=call.latent.to(dtype), prompt=call.prompt.to(dtype))


def _mix(channels: int, made: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, made, 1), nn.GroupNorm(2, made), nn.ReLU())


def _halved(frames: torch.Tensor) -> torch.Tensor:
    """(F, C, h, w) with pairs of frames averaged; the first of an odd count stands alone."""
    single = len(frames) % 2
    pairs = frames[single:].reshape(-1, 2, *frames.shape[1:]).mean(1)
    return torch.cat([frames[:single], pairs])
