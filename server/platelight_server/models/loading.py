"""Networks, tokenizers and schedules from folders: safetensors alone, no network, no code from the folder.

A checkpoint that lacks a tensor of its class, or has one of another shape, is refused; the libraries would fill it with
noise and say so in a log. Hashes are compared before (record.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import torch
from diffusers import ModelMixin
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers.utils import logging as transformers_logging

from platelight.errors import ModelError

from .card import ModelCard
from .folders import PICKLES
from .record import ensure
from .structure import read_header, weight_sets

__all__ = ["load", "load_file_checked", "load_state", "weights_bytes"]


class _FromFolder(Protocol):
    @classmethod
    def from_pretrained(cls, *arguments: Any, **settings: Any) -> Any: ...


Loaded = TypeVar("Loaded", bound=_FromFolder)


def load(
    source: ModelCard | Path,
    kind: type[Loaded],
    subfolder: str = "",
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    *,
    ignore: str = "",
) -> Loaded:
    """A network (in evaluation mode, without gradients), tokenizer or schedule of a model's folder.

    `source` is a card, whose folder is looked for and whose files are compared with their hashes, or a folder. `dtype`
    is the network's (default: as stored). Tensors of the file that the class does not know are refused unless their
    names match the regular expression `ignore`. Raises `ModelError` naming the folder, and the tensor or file.
    """
    folder = source if isinstance(source, Path) else ensure(source).folder
    inside = folder / subfolder if subfolder else folder
    if not inside.is_dir():
        raise ModelError(f"{inside}: expected a folder for {kind.__name__}, found none")
    with _as_model_errors(inside, kind):
        if not issubclass(kind, nn.Module):
            return cast(Loaded, kind.from_pretrained(inside, local_files_only=True))
        network, said = kind.from_pretrained(inside, **_settings(inside, kind, dtype))
    _refuse_gaps(inside, said, ignore)
    return cast(Loaded, network.eval().requires_grad_(False).to(device))


def load_state(module: nn.Module, state: Mapping[str, torch.Tensor], file: Path) -> None:
    """Puts tensors into a module, as they are. Raises `ModelError` naming missing, unknown and misshapen ones."""
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    wrong = [
        *(f"{name} is missing" for name in sorted(set(expected) - set(state))),
        *(f"{name} is not known" for name in sorted(set(state) - set(expected))),
        *(
            f"{name} is {tuple(state[name].shape)}, expected {shape}"
            for name, shape in sorted(expected.items())
            if name in state and tuple(state[name].shape) != shape
        ),
    ]
    if wrong:
        raise ModelError(f"{file}: expected the {len(expected)} tensors of {type(module).__name__}, but {_few(wrong)}")
    module.load_state_dict(state, strict=True, assign=True)


def load_file_checked(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of one safetensors file, on the CPU. Raises `ModelError`."""
    if not file.is_file():
        raise ModelError(f"{file}: expected a safetensors file, found none")
    read_header(file)
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file}: cannot be read: {error}") from None


def weights_bytes(folder: Path, dtype: torch.dtype | None = None) -> int:
    """What the network in `folder` takes in memory as `dtype` (default: as stored), from headers alone."""
    sets = weight_sets(folder)
    if not sets:
        raise ModelError(f"{folder}: expected safetensors files, {_instead(folder)}")
    shards = sets.get(_single_name(folder, sets), next(iter(sets.values())))
    total = 0
    for path in shards:
        for stored, shape in read_header(path).values():
            size = dtype.itemsize if dtype else _BYTES.get(stored, 4)
            total += size * int(torch.Size(shape).numel())
    return total


_FLOATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def _settings(folder: Path, kind: type, dtype: torch.dtype | None) -> dict[str, Any]:
    sets = weight_sets(folder)
    if not sets:
        raise ModelError(f"{folder}: expected safetensors files, {_instead(folder)}")
    name = _single_name(folder, sets)
    variant = name.removesuffix(".safetensors").rpartition(".")[2] if "." in name.removesuffix(".safetensors") else None
    return {
        # diffusers calls it torch_dtype in every version, transformers no longer does
        "torch_dtype" if issubclass(kind, ModelMixin) else "dtype": dtype or _stored(sets[name]),
        "variant": variant,
        "use_safetensors": True,
        "local_files_only": True,
        "low_cpu_mem_usage": True,
        "output_loading_info": True,
    }


def _stored(shards: Sequence[Path]) -> torch.dtype:
    """The precision that most of a network's tensors are stored in."""
    stored = Counter(kind for path in shards for kind, _ in read_header(path).values() if kind in _FLOATS)
    return _FLOATS[stored.most_common(1)[0][0]] if stored else torch.float32


def _single_name(folder: Path, sets: Mapping[str, list[Path]]) -> str:
    """Which file to load where there are several: the plain one, else the half-precision variant."""
    plain = [name for name in sets if "." not in name.removesuffix(".safetensors")]
    half = [name for name in sets if name.endswith(".fp16.safetensors")]
    chosen = plain or half or list(sets)
    if len(chosen) > 1:
        raise ModelError(f"{folder}: expected the weights of one network, got {', '.join(sorted(chosen))}")
    return chosen[0]


def _instead(folder: Path) -> str:
    pickled = next((path for path in sorted(folder.glob("*")) if path.suffix in PICKLES), None)
    if pickled is None:
        return "found none"
    return f"got {pickled.name}, a pickle, which is not loaded; convert it: platelight models convert {pickled}"


def _refuse_gaps(folder: Path, said: Mapping[str, Any], ignore: str) -> None:
    wrong = [f"{name} is missing" for name in sorted(said["missing_keys"])]
    wrong += [f"{one[0]} is {tuple(one[1])}, expected {tuple(one[2])}" for one in said["mismatched_keys"]]
    wrong += [
        f"{name} is not known"
        for name in sorted(said["unexpected_keys"])
        if not (ignore and re.search(ignore, name)) and not name.endswith("position_ids")
    ]  # position_ids: a constant that older checkpoints of CLIP carry
    if wrong:
        raise ModelError(f"{folder}: expected the tensors of its class, but {_few(wrong)}")


def _few(wrong: list[str]) -> str:
    return ", ".join(wrong[:3]) + (f", and {len(wrong) - 3} more" if len(wrong) > 3 else "")


@contextmanager
def _as_model_errors(folder: Path, kind: type) -> Iterator[None]:
    """The libraries' errors as one sentence; their progress bars and warnings kept out of a job's output."""
    # Neither library can tell whether its bars are on in every version, so they stay off: a server shows none.
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    levels = diffusers_logging.get_verbosity(), transformers_logging.get_verbosity()
    default = torch.get_default_dtype()  # diffusers changes it while it loads, and does not change it back on an error
    diffusers_logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()
    try:
        yield
    except ModelError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder}: expected a {kind.__name__}, got {reason or type(error).__name__}") from error
    finally:
        torch.set_default_dtype(default)
        diffusers_logging.set_verbosity(levels[0])
        transformers_logging.set_verbosity(levels[1])
