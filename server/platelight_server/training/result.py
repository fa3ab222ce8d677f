"""What a run delivers: a checkpoint that the engine loads, or adapters to merge later (`platelight train merge`)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from diffusers import CogVideoXTransformer3DModel
from safetensors import SafetensorError
from safetensors.torch import save_file

from platelight.document import decode, encode
from platelight.errors import ModelError, OutputError, RecipeError
from platelight_server.models.loading import load, load_file_checked
from platelight_server.models.video.expanded import Kind, widen
from platelight_server.models.video.expanded_files import ABOUT, About, Data, foundation, save
from platelight_server.training.config import ModelPart, TrainConfig
from platelight_server.training.network import Network, attach, cast_to, fuse, put
from platelight_server.training.samples import Item

__all__ = ["about_of", "deliver", "merge"]

ADAPTER, SETTINGS = "adapter.safetensors", "adapter.json"


def deliver(network: Network, config: TrainConfig, step: int, items: Sequence[Item], writes: bool) -> Path:
    """Writes RUN/result (or RUN/adapter), with what it was trained on. Raises OutputError."""
    about = about_of(network, config, step, items)
    folder = Path(config.run) / ("adapter" if config.export == "lora" and config.model.method == "lora" else "result")
    if not writes:
        return folder
    return _save_adapter(folder, network, about) if folder.name == "adapter" else save(folder, network.merged(), about)


def about_of(network: Network, config: TrainConfig, step: int, items: Sequence[Item]) -> About:
    """The model card's facts: licences and sources of all clips, and the settings."""
    clips = {item.clip.name: item.clip for item in items}
    data = sorted(
        {
            (f"{one.source} ({one.stage}; {', '.join(one.models) or 'no model'})", one.licence, one.commercial)
            for one in clips.values()
        }
    )
    part = config.model
    how = f"adapters of rank {part.rank} and the patch embedding" if part.method == "lora" else "all weights"
    note = (
        f"{how}; {len(clips)} clips, {config.data.frames} frames of {config.data.width}x{config.data.height}; "
        f"{config.batch * config.accumulation} samples a step, rate {config.optimiser.rate:g} "
        f"({config.optimiser.schedule}), min-SNR {config.loss.min_snr:g}, mean of weights {config.ema:g}, "
        f"seed {config.seed}."
    )
    return About.of(cast(Kind, config.kind), network.base, step, [Data(*one) for one in data], note)


def merge(adapter: Path, base: Path, folder: Path) -> Path:
    """A checkpoint from adapters and the base that they were trained on. Raises ModelError, OutputError."""
    try:
        about = decode(About, json.loads((adapter / ABOUT).read_text("utf-8")))
        part = decode(ModelPart, json.loads((adapter / SETTINGS).read_text("utf-8")))
    except (OSError, ValueError, RecipeError) as error:
        raise ModelError(
            f"{adapter}: expected adapters with {ABOUT} and {SETTINGS}, as platelight train writes them, got {error}"
        ) from None
    if about.foundation != foundation(base):
        raise ModelError(f"{adapter}: expected the base that it was trained on, {about.base}, got another in {base}")
    transformer = load(base, CogVideoXTransformer3DModel, "transformer") if part.start is None else _started(part.start)
    stored = transformer.dtype
    if part.start is None:
        widen(transformer, about.kind)
    cast_to(transformer, torch.float32)
    named = attach(transformer, part)
    put(named, load_file_checked(adapter / ADAPTER), adapter / ADAPTER)
    fuse(transformer)
    cast_to(transformer, stored)
    return save(folder, transformer, about)


def _started(start: str) -> CogVideoXTransformer3DModel:
    return load(Path(start), CogVideoXTransformer3DModel, "transformer")


def _save_adapter(folder: Path, network: Network, about: About) -> Path:
    fresh = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        tensors: dict[str, torch.Tensor] = network.adapters()
        save_file(tensors, fresh / ADAPTER)
        (fresh / SETTINGS).write_text(json.dumps(encode(network.part), indent=1) + "\n", "utf-8")
        (fresh / ABOUT).write_text(json.dumps(encode(about), indent=1) + "\n", "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise OutputError(f"{folder}: cannot be written: {error}") from None
    return folder
