"""Makes a safetensors file of a checkpoint that was published as a pickle. No code in the pickle is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from platelight.errors import ModelError, OutputError

from .catalogue import CATALOGUE
from .record import sha256

__all__ = ["convert"]

_WRAPPERS = ("state_dict", "model_state_dict", "model")


def convert(source: Path, target: Path | None = None) -> Path:
    """Writes the tensors of `source` (.pth, .pt, .bin, .ckpt) beside it, or to `target`; returns where.

    Where the catalogue knows the published hash of a file of that name, it must have it. Raises `ModelError`,
    `OutputError`.
    """
    written = target or _beside(source)
    if written.exists():
        raise OutputError(f"{written}: expected a new file, there is one already")
    tensors = _tensors(source)
    temporary = written.with_name(f".{written.name}.{os.getpid()}")
    try:
        written.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, temporary)
        temporary.replace(written)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{written}: cannot be written: {error}") from None
    return written


def _beside(source: Path) -> Path:
    """`pytorch_model.bin` is what transformers wrote before `model.safetensors`; other names keep their stem."""
    stem = "model" if source.stem == "pytorch_model" else source.stem
    return source.with_name(f"{stem}.safetensors")


def _tensors(source: Path) -> dict[str, torch.Tensor]:
    _check_published(source)
    try:
        read: Any = torch.load(source, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{source}: expected a checkpoint of plain tensors, got {reason}") from None
    for wrapper in _WRAPPERS:
        if isinstance(read, dict) and isinstance(read.get(wrapper), dict):
            read = read[wrapper]
    if not isinstance(read, dict) or not read:
        raise ModelError(f"{source}: expected named tensors, got {type(read).__name__}")
    strange = next((f"{name} is {type(value).__name__}" for name, value in read.items() if not _plain(name, value)), "")
    if strange:
        raise ModelError(f"{source}: expected named tensors alone, but {strange}")
    return {name: value.detach().clone().contiguous() for name, value in read.items()}


def _plain(name: Any, value: Any) -> bool:
    return isinstance(name, str) and isinstance(value, torch.Tensor)


def _check_published(source: Path) -> None:
    if not source.is_file():
        raise ModelError(f"{source}: expected a checkpoint, found no such file")
    known = {name: found for card in CATALOGUE for name, found in card.sha256.items()}.get(source.name)
    if known is not None and (found := sha256(source)) != known:
        raise ModelError(f"{source}: expected the published SHA-256 {known}, got {found}; download it again")
