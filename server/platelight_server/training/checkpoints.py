"""Checkpoints of a run: everything that going on needs, in a folder that is there whole or not at all.

    checkpoints/step-00000100/weights.safetensors    the trained weights, float32
                              ema.safetensors        their running mean, where there is one
                              optimiser.pt           the optimiser's state (torch, read as data alone)
                              random-0.pt            states of python's, numpy's and torch's generators, one a process
                              state.json             step, configuration, data, sizes and hashes of the others

A folder is filled under another name, flushed, then renamed, and only then is an older one removed: a process that is
killed, or a disk that fills, costs what was done since the last checkpoint and no more.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from platelight.errors import ModelError, OutputError
from platelight_server.models.record import sha256

__all__ = ["Checkpoint", "latest", "read", "restore_random", "random_state", "write"]

STATE = "state.json"
_PREFIX, _UNDER_WAY = "step-", ".step-"
_FULL = 1 << 20  # bytes: a disk with less is full


@dataclass(frozen=True)
class Checkpoint:
    """What is kept. `facts` is plain: step, processes, data, configuration."""

    facts: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    ema: Mapping[str, torch.Tensor]
    optimiser: Mapping[str, Any]
    randoms: Mapping[str, Any]


def write(folder: Path, kept: Checkpoint, keep: int, others: Mapping[int, Any] | None = None) -> Path:
    """Writes `folder/step-N`, then removes all but the newest `keep`. `others` are random states of further processes.

    Raises OutputError that names the newest whole checkpoint.
    """
    step = int(kept.facts["step"])
    target, fresh = folder / f"{_PREFIX}{step:08d}", folder / f"{_UNDER_WAY}{step:08d}.{os.getpid()}"
    _clear(folder)
    try:
        fresh.mkdir(parents=True)
        _fill(fresh, kept, others or {})
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
        _flush_folder(folder)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = _reason(error, folder)
        shutil.rmtree(fresh, ignore_errors=True)
        before = latest(folder)
        instead = f"the last one, {before}, is whole" if before else "there is none before it"
        raise OutputError(
            f"{target}: the checkpoint cannot be written: {reason}; {instead}: free space and run the same command "
            "to go on"
        ) from None
    for old in _all(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def latest(folder: Path) -> Path | None:
    """The newest checkpoint; None where there is none."""
    found = _all(folder)
    return found[-1] if found else None


def read(path: Path, process: int = 0) -> Checkpoint:
    """A checkpoint. Raises ModelError for files that are missing or not what was written."""
    try:
        facts = json.loads((path / STATE).read_text("utf-8"))
        for name, (size, digest) in facts["files"].items():
            if (path / name).stat().st_size != size or sha256(path / name) != digest:
                raise ModelError(
                    f"{path / name}: expected the file that was written ({size} bytes), got another; {_instead(path)}"
                )
        ema = path / "ema.safetensors"
        mine = path / f"random-{process}.pt"
        return Checkpoint(
            facts,
            load_file(path / "weights.safetensors"),
            load_file(ema) if ema.is_file() else {},
            torch.load(path / "optimiser.pt", map_location="cpu", weights_only=True),
            torch.load(mine, map_location="cpu", weights_only=True) if mine.is_file() else {},
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: expected a whole checkpoint, got {error}; {_instead(path)}") from None


def random_state() -> dict[str, Any]:
    """The states of all generators that libraries draw from, as plain values and tensors."""
    legacy: Any = np.random.get_state(legacy=True)
    name, keys, place, has_gauss, gauss = legacy
    version, words, spare = random.getstate()
    state: dict[str, Any] = {
        "python": [version, list(words), spare],
        "numpy": [str(name), torch.from_numpy(keys.astype(np.int64)), int(place), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random(state: Mapping[str, Any]) -> None:
    """The inverse of `random_state`; without a state (another number of processes) nothing changes."""
    if not state:
        return
    version, words, spare = state["python"]
    random.setstate((version, tuple(words), spare))
    name, keys, place, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), place, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def _fill(folder: Path, kept: Checkpoint, others: Mapping[int, Any]) -> None:
    save_file(dict(kept.weights), folder / "weights.safetensors")
    if kept.ema:
        save_file(dict(kept.ema), folder / "ema.safetensors")
    torch.save(dict(kept.optimiser), folder / "optimiser.pt")
    for process, state in {0: kept.randoms, **others}.items():
        torch.save(dict(state), folder / f"random-{process}.pt")
    files = {path.name: (path.stat().st_size, sha256(path)) for path in sorted(folder.iterdir())}
    (folder / STATE).write_text(json.dumps({**kept.facts, "files": files}, indent=1) + "\n", "utf-8")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear(folder: Path) -> None:
    """Removes what processes that were killed left unfinished: a run belongs to one command at a time."""
    for leftover in folder.glob(f"{_UNDER_WAY}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if (path / STATE).is_file())


def _instead(path: Path) -> str:
    older = [one for one in _all(path.parent) if one < path]
    return f"delete {path.name} to go on from {older[-1].name}" if older else "delete it to begin anew"


def _reason(error: Exception, folder: Path) -> str:
    """Why writing failed. torch has no words for a full disk, safetensors its own."""
    with contextlib.suppress(OSError):
        if "No space left" in str(error) or shutil.disk_usage(folder).free < _FULL:
            return "no space left on the disk"
    return str(getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__)
