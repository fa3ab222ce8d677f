"""Whether the files of a model are whole: no Git LFS pointers, no torn downloads, every shard and every tensor there.

Reads headers and configs alone, so a folder of 20 GB takes a moment. Contents are compared in record.py.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platelight.errors import ModelError

from .card import ModelCard

__all__ = ["RECORD", "check_classes", "check_structure", "model_files", "read_header", "weight_sets"]

RECORD = "platelight-model.json"  # ours, see record.py
_LFS = b"version https://git-lfs"
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})")
_INDEX = ".safetensors.index.json"
# Classes whose published files spell their tensors in more than one way; diffusers renames them when it loads.
_SPELLED_TWICE = ("AutoencoderKL",)


def model_files(card: ModelCard, folder: Path) -> tuple[Path, ...]:
    """The files in `folder` that belong to a model, sorted. Raises `ModelError` where a pattern has none."""
    found: set[Path] = set()
    for pattern in card.files:
        matched = [path for path in folder.glob(pattern) if path.is_file() and path.name != RECORD]
        if not matched:
            raise ModelError(f"model {card.name}: {folder}: expected {pattern}, found no such file")
        found.update(matched)
    return tuple(sorted(found))


def check_structure(card: ModelCard, folder: Path) -> tuple[Path, ...]:
    """The files of a model, each of them whole. Raises `ModelError` that names the first that is not."""
    files = model_files(card, folder)
    for path in files:
        _refuse_pointer(path)
        if path.suffix == ".json":
            _read_json(path)
        elif path.suffix == ".safetensors":
            read_header(path)
    for inside in sorted({path.parent for path in files}):
        for name, shards in weight_sets(inside).items():
            _check_shards(inside, name, shards)
    return files


def check_classes(folder: Path) -> int:
    """Compares names and shapes with those of the diffusers classes that the configs name; how many were compared.

    Networks are built on torch's meta device, without memory. Raises `ModelError`.
    """
    compared = 0
    for config in sorted((*folder.glob("config.json"), *folder.glob("*/config.json"))):
        expected = _expected_tensors(config)
        for shards in weight_sets(config.parent).values() if expected else ():
            found = {name: shape for path in shards for name, (_, shape) in read_header(path).items()}
            _compare(config.parent, expected, found)
            compared += 1
    return compared


def read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Names of a safetensors file's tensors, with dtype (such as "F16") and shape. Raises `ModelError`."""
    _refuse_pointer(path)
    from safetensors import SafetensorError, safe_open  # the extra `models` brings it; engines are listed without

    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            return {name: (one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
    except (SafetensorError, OSError) as error:
        size = path.stat().st_size if path.exists() else 0
        raise ModelError(
            f"{path}: expected a whole safetensors file, got {size} bytes that end too early or were never one "
            f"({error}); download it again"
        ) from None


def weight_sets(folder: Path) -> dict[str, list[Path]]:
    """The safetensors files directly in `folder`, those of one network together, by name without the shard's number."""
    sets: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.safetensors")):
        sets[_SHARD.sub("", path.name)].append(path)
    return dict(sets)


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_LFS)) == _LFS:
            raise ModelError(
                f"{path}: expected the file itself, got a Git LFS pointer to it; fetch it with `git lfs pull`, or with "
                "the command of `platelight models where`"
            )


def _check_shards(folder: Path, name: str, shards: list[Path]) -> None:
    numbered = [match for path in shards if (match := _SHARD.search(path.name))]
    if not numbered:
        return
    wanted = {f"{number:05d}" for number in range(1, int(numbered[0][2]) + 1)}
    absent = sorted(wanted - {match[1] for match in numbered})
    if absent:
        raise ModelError(
            f"{folder}: expected {len(wanted)} parts of {name}, got {len(numbered)}; part {absent[0]} is missing"
        )
    index = folder / name.replace(".safetensors", _INDEX)
    if not index.is_file():
        raise ModelError(f"{folder}: expected {index.name}, which says what the {len(wanted)} parts of {name} hold")
    listed: Mapping[str, str] = _read_json(index).get("weight_map", {})
    held = {path.name: set(read_header(path)) for path in shards}
    for tensor, part in listed.items():
        if tensor not in held.get(part, ()):
            raise ModelError(f"{folder / part}: expected it to hold {tensor}, as {index.name} says, it does not")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected JSON, got {error}; download it again") from None
    return read if isinstance(read, dict) else {}


def _expected_tensors(config: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes that the class of a config has; nothing where it is not one of diffusers' networks."""
    import diffusers
    import torch

    name = _read_json(config).get("_class_name", "")
    known = getattr(diffusers, name, None) if name and name not in _SPELLED_TWICE else None
    if not (isinstance(known, type) and issubclass(known, diffusers.ModelMixin)):
        return {}
    kind: Any = known
    with torch.device("meta"):
        network = kind.from_config(kind.load_config(config.parent, local_files_only=True))
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def _compare(folder: Path, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    absent = sorted(set(expected) - set(found))
    if absent:
        raise ModelError(f"{folder}: expected the tensor {absent[0]} (and {len(absent) - 1} others), found none")
    for name, shape in expected.items():
        if found[name] != shape:
            raise ModelError(f"{folder}: expected {name} to be {shape}, got {found[name]}")
