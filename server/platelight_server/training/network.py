"""The network that is trained: a CogVideoX widened for its conditions, with adapters or all weights free.

Adapters (Hu et al., ICLR 2022) lie on the projections of attention; the patch embedding, whose new channels begin at
zero, is trained in full beside them. Trained weights are float32 whatever the arithmetic is, frozen ones have its
precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXTransformer3DModel
from torch import nn
from transformers import T5EncoderModel, T5Tokenizer

from platelight.errors import MissingExtraError, ModelError, RecipeError
from platelight_server.models.catalogue import CATALOGUE, card
from platelight_server.models.consent import accepted, require_consent
from platelight_server.models.loading import load
from platelight_server.models.record import ensure
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.expanded import Kind, widen
from platelight_server.models.video.expanded_files import foundation, read_about
from platelight_server.models.video.interface import BackboneFacts, stays
from platelight_server.models.video.rotary import rotary_embedding
from platelight_server.models.video.text import PromptReader
from platelight_server.training.config import DataPart, ModelPart, TrainConfig

__all__ = ["TARGETS", "Network", "answer", "attach", "base_folder", "cast_to", "fuse", "open_network", "put"]

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")  # of every block's attention
PATCHES = "patch_embed.proj."


class Network:
    """The transformer with what belongs to it. `backbone` encodes, decodes, and samples with the same transformer.

    `text` is the embedded empty prompt (1, tokens, width) float32: HarmoVid knows no other.
    """

    def __init__(
        self, backbone: CogVideoX, base: Path, part: ModelPart, text: torch.Tensor, scheduler: dict[str, Any]
    ) -> None:
        self.backbone, self.base, self.part, self.text, self.scheduler = backbone, base, part, text, scheduler
        self.transformer: CogVideoXTransformer3DModel = backbone.transformer
        self.stored = self.transformer.dtype
        self._free()

    def trained(self) -> dict[str, nn.Parameter]:
        """The weights that are trained, by name, in the network's order."""
        return {name: weight for name, weight in self.transformer.named_parameters() if weight.requires_grad}

    def merged(self) -> CogVideoXTransformer3DModel:
        """The transformer with its adapters added to its weights (in float32), as stored. It cannot be trained on."""
        if self.part.method == "lora":
            fuse(self.transformer)
        cast_to(self.transformer, self.stored)
        return self.transformer.eval().requires_grad_(False)

    def adapters(self) -> dict[str, torch.Tensor]:
        """The trained weights of adapters and patch embedding, float32, on the CPU."""
        return {name: weight.detach().float().cpu().contiguous() for name, weight in self.trained().items()}

    def _free(self) -> None:
        if self.part.method == "full":
            cast_to(self.transformer, torch.float32)
            self.transformer.requires_grad_(True)
        else:
            attach(self.transformer, self.part)


def attach(transformer: CogVideoXTransformer3DModel, part: ModelPart) -> dict[str, nn.Parameter]:
    """Adds adapters, drawn from torch's generator, and frees them and the patch embedding; -> those weights by name.

    Raises MissingExtraError without peft.
    """
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingExtraError(
            "model.method = \"lora\" needs peft, which is not installed; run: pip install 'platelight[train]'"
        ) from None
    alpha = part.alpha or part.rank
    transformer.add_adapter(
        LoraConfig(r=part.rank, lora_alpha=alpha, lora_dropout=part.dropout, target_modules=list(TARGETS))
    )
    freed: dict[str, nn.Parameter] = {}
    for name, weight in transformer.named_parameters():
        weight.requires_grad_(name.startswith(PATCHES) or "lora_" in name)
        if weight.requires_grad:
            weight.data = weight.data.float()
            freed[name] = weight
    return freed


def fuse(transformer: CogVideoXTransformer3DModel) -> None:
    """Adds adapters to the weights, in float32, and takes them off."""
    cast_to(transformer, torch.float32)
    transformer.fuse_lora()
    transformer.unload_lora()


def cast_to(network: nn.Module, dtype: torch.dtype) -> None:
    """All weights as `dtype`. (The `to` of diffusers' classes warns of lists of modules, also of empty ones.)"""
    nn.Module.to(network, dtype)


def answer(
    transformer: nn.Module,
    config: Any,
    noisy: torch.Tensor,
    condition: torch.Tensor,
    timesteps: torch.Tensor,
    text: torch.Tensor,
) -> torch.Tensor:
    """What a transformer says of noisy latents (B, F', C, h', w') with their conditions: velocities, the same shape.

    `transformer` may be wrapped for several devices; `config` is the network's own. text (1, tokens, width).
    """
    shown = torch.cat([noisy, condition], dim=2)
    said: torch.Tensor = transformer(
        hidden_states=shown,
        encoder_hidden_states=text.expand(len(shown), -1, -1),
        timestep=timesteps,
        image_rotary_emb=rotary_embedding(config, tuple(noisy.shape[1:]), noisy.device),
        return_dict=False,
    )[0]
    return said


def open_network(config: TrainConfig, kind: Kind, device: torch.device) -> Network:
    """Loads, widens and frees. Adapters are drawn from torch's generator. Raises ModelError."""
    base = base_folder(config.model.base)
    dtype = getattr(torch, config.precision)
    scheduler = dict(load(base, CogVideoXDDIMScheduler, "scheduler").config)
    vae = load(base, AutoencoderKLCogVideoX, "vae", dtype)
    transformer = _transformer(config.model.start, base, kind, dtype)
    tokens = transformer.config.max_text_seq_length
    text = _empty_prompt(base, tokens, dtype, device)
    backbone = CogVideoX(
        transformer,
        vae,
        nn.Identity(),  # the one prompt is embedded; an XXL text encoder need not stay
        load(base, T5Tokenizer, "tokenizer"),
        scheduler,
        name=base.name,
        tile="own" if config.data.tiles else None,
        device=device,
    )
    _require_fit(config.data, backbone.facts)
    backbone.placed = _visits(backbone.vae, device)
    return Network(backbone, base, config.model, text, scheduler)


def base_folder(name: str) -> Path:
    """The folder of a base: itself, or that of the model called so, its licence agreed to and its files compared.

    Raises ModelError."""
    if Path(name).is_dir():
        return Path(name)
    if "/" in name or "\\" in name:
        raise ModelError(f"model.base: {name}: expected a folder in diffusers' layout, found none")
    found = card(name)
    require_consent([found], accepted(CATALOGUE))
    return ensure(found).folder


def _require_fit(data: DataPart, facts: BackboneFacts) -> None:
    """Raises RecipeError for a size or a count of frames that the base does not take."""
    for key, value in (("height", data.height), ("width", data.width)):
        if value % facts.size_multiple:
            raise RecipeError(f"data.{key}", f"a multiple of {facts.size_multiple} for {facts.name}", str(value))
    if data.frames > facts.frames_most or facts.frames_for(data.frames) != data.frames:
        wanted = f"{facts.frame_step}n + 1 frames, at most {facts.frames_most}, for {facts.name}"
        raise RecipeError("data.frames", wanted, str(data.frames))


def _transformer(start: str | None, base: Path, kind: Kind, dtype: torch.dtype) -> CogVideoXTransformer3DModel:
    if start is None:
        return widen(load(base, CogVideoXTransformer3DModel, "transformer", dtype), kind)
    about = read_about(Path(start))
    if about.kind != kind:
        raise ModelError(f"model.start: {start}: expected a {kind}, got a {about.kind}")
    if about.foundation != foundation(base):
        raise ModelError(
            f"model.start: {start}: expected a checkpoint on the base in {base}, it was trained on {about.base}"
        )
    return load(Path(start), CogVideoXTransformer3DModel, "transformer", dtype)


def _empty_prompt(base: Path, tokens: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    encoder, tokenizer = load(base, T5EncoderModel, "text_encoder", dtype, device), load(base, T5Tokenizer, "tokenizer")
    return PromptReader(tokenizer, encoder, tokens, False, device).read("", "", stays).positive


def _visits(vae: nn.Module, device: torch.device) -> Any:
    """A `Placed` that brings the codec to the device while it works: training itself needs the room."""

    @contextmanager
    def placed(name: str) -> Iterator[None]:
        if name == "vae":
            vae.to(device)
        try:
            yield
        finally:
            if name == "vae":
                vae.to("cpu")

    return placed


def put(weights: Mapping[str, torch.Tensor], state: Mapping[str, torch.Tensor], where: Path) -> None:
    """Fills trained weights by name. Raises ModelError where names or shapes differ."""
    for name in sorted(weights.keys() | state.keys()):
        found, wanted = state.get(name), weights.get(name)
        if found is None or wanted is None or found.shape != wanted.shape:
            came = "none" if found is None else f"{tuple(found.shape)}"
            expected = "no such tensor" if wanted is None else f"{tuple(wanted.shape)}"
            raise ModelError(f"{where}: {name}: expected {expected}, got {came}; it belongs to another network")
        wanted.data.copy_(found)
