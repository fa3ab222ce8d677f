"""What a training run is: a typed TOML document, as strict as a recipe. It loads nothing heavy.

`platelight train --print-config` prints one with every key explained. Paths are relative to the document's own folder.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platelight.document import comments_of, decode, encode, entry
from platelight.errors import InputError, RecipeError
from platelight.toml_writer import toml_text

__all__ = ["KINDS", "MAKERS", "TrainConfig", "example", "read_config", "same_run"]

KINDS = ("deflicker", "harmonizer")
MAKERS = ("ramp", "inward", "blur", "guided")  # of engines.harmovid.alpha, held equal by a test


@dataclass(frozen=True)
class ModelPart:
    """Which network is trained, and how much of it."""

    base: str = entry("CogVideoX: a folder in diffusers' layout, or a name in `platelight models`")
    method: str = entry(
        "low-rank adapters and the patch embedding, or all weights", default="lora", choices=("lora", "full")
    )
    rank: int = entry("of the adapters", default=64, minimum=1, maximum=1024)
    alpha: int = entry("adapters are scaled by alpha / rank; 0 = the rank", default=0, minimum=0)
    dropout: float = entry("share of an adapter's inputs that is dropped", default=0.0, minimum=0, maximum=0.9)
    start: str | None = entry(
        "our own checkpoint of the same base to go on from, instead of zeros", default=None, is_path=True
    )


@dataclass(frozen=True)
class DataPart:
    """What it is trained on, and at which size."""

    folders: tuple[str, ...] = entry("dataset folders, as `platelight data` makes them", is_path=True)
    height: int = entry("of the pictures", default=480, minimum=16, unit="pixels")
    width: int = entry("of the pictures", default=720, minimum=16, unit="pixels")
    frames: int = entry("of a sample: 8n + 1 for CogVideoX 1.0, 16n + 1 for 1.5", default=49, minimum=5)
    short: str = entry(
        "a clip with fewer frames: refuse it, or hold its last frame", default="refuse", choices=("refuse", "hold")
    )
    variants: int = entry("mattes drawn for every clip and window", default=4, minimum=1, maximum=1000)
    encoding: str = entry("from light to codes, as the engine's", default="shoulder", choices=("shoulder", "srgb"))
    tiles: bool = entry("encodes in the codec's own tiles: less memory, other latents near their seams", default=False)
    latents: str | None = entry(
        "folder of encoded clips, may be shared by runs (default: in the run)", default=None, is_path=True
    )


@dataclass(frozen=True)
class MaskPart:
    """The pseudo-alpha of the synthetic-to-real path. Widths are shares of the foreground's diagonal, one a clip."""

    makers: tuple[str, ...] = entry("of the soft edge; drawn per variant", default=("ramp",), choices=MAKERS)
    width_least: float = entry(
        "half width of the soft edge, the least drawn", default=0.003, minimum=0.0, maximum=0.2, unit="diagonals"
    )
    width_most: float = entry(
        "half width of the soft edge, the most drawn", default=0.01, minimum=0.0, maximum=0.2, unit="diagonals"
    )


@dataclass(frozen=True)
class OptimiserPart:
    """How weights are changed."""

    name: str = entry("adamw8bit needs bitsandbytes and a GPU", default="adamw", choices=("adamw", "adamw8bit"))
    rate: float = entry("learning rate after the warm-up", default=1e-4, minimum=0.0, maximum=1.0)
    beta_first: float = entry("of AdamW", default=0.9, minimum=0.0, maximum=0.9999)
    beta_second: float = entry("of AdamW", default=0.95, minimum=0.0, maximum=0.99999)
    epsilon: float = entry("of AdamW", default=1e-8, minimum=1e-16, maximum=1.0)
    weight_decay: float = entry("of AdamW", default=1e-3, minimum=0.0, maximum=1.0)
    clip_norm: float = entry("largest norm of a gradient; 0 = any", default=1.0, minimum=0.0)
    schedule: str = entry("of the rate after the warm-up", default="cosine", choices=("constant", "linear", "cosine"))
    warmup: int = entry("steps in which the rate grows from 0", default=100, minimum=0)


@dataclass(frozen=True)
class LossPart:
    """What is learnt."""

    min_snr: float = entry("gamma of the min-SNR weight; 0 = every level counts alike", default=5.0, minimum=0.0)


@dataclass(frozen=True)
class ValidationPart:
    """Clips that are held back, sampled in full from time to time."""

    every: int = entry("steps; 0 = only at the end", default=200, minimum=0)
    clips: int = entry("held back from training, the last by name; 0 = none", default=1, minimum=0)
    steps: int = entry("of the sampler", default=20, minimum=1, maximum=1000)


@dataclass(frozen=True)
class TrainConfig:
    """A training run. Equal documents, data and machine give equal weights on the CPU."""

    model: ModelPart
    data: DataPart
    kind: str = entry("deflicker or harmonizer; empty: as the command says", default="", choices=("", *KINDS))
    run: str = entry("folder of the run: checkpoints, logs, pictures, the result", default="run", is_path=True)
    seed: int = entry("of all that is drawn", default=0, minimum=0, maximum=2**32 - 1)
    steps: int = entry("changes of the weights in all", default=1200, minimum=1)
    batch: int = entry("samples that go through the network at once, on each device", default=1, minimum=1)
    accumulation: int = entry("batches that one step sums up", default=8, minimum=1)
    precision: str = entry(
        "of the arithmetic; trained weights stay float32", default="bfloat16", choices=("bfloat16", "float32")
    )
    gradient_checkpointing: bool = entry("computes blocks twice, and keeps a fraction in memory", default=True)
    ema: float = entry(
        "decay of the running mean of the weights, which is what is delivered; 0 = none",
        default=0.999,
        minimum=0.0,
        maximum=0.99999,
    )
    checkpoint_every: int = entry("steps", default=100, minimum=1)
    keep: int = entry("checkpoints that stay on disk", default=2, minimum=1)
    log_every: int = entry("steps", default=1, minimum=1)
    device: str = entry("auto takes a GPU where there is one", default="auto", choices=("auto", "cpu"))
    export: str = entry(
        "the result of adapters: merged into the base, or beside it", default="merged", choices=("merged", "lora")
    )
    masks: MaskPart = field(default_factory=MaskPart)
    optimiser: OptimiserPart = field(default_factory=OptimiserPart)
    loss: LossPart = field(default_factory=LossPart)
    validation: ValidationPart = field(default_factory=ValidationPart)

    def __post_init__(self) -> None:
        if not self.data.folders:
            raise RecipeError("data.folders", "at least one dataset folder", "none")
        if not self.masks.makers:
            raise RecipeError("masks.makers", f"one or more of {', '.join(MAKERS)}", "none")
        if self.masks.width_least > self.masks.width_most:
            raise RecipeError(
                "masks.width_least",
                f"at most masks.width_most, {self.masks.width_most:g}",
                f"{self.masks.width_least:g}",
            )

    def to_toml(self) -> str:
        """The document as TOML, every key explained."""
        return toml_text(encode(self), comments_of(TrainConfig))


# What may change between two commands that go on with one run: where and how often, not what is learnt. (More `steps`
# than a run began with change the fall of the rate from there on.)
_FREE = (
    "run", "steps", "checkpoint_every", "keep", "log_every", "device", "gradient_checkpointing", "export",
    "validation.every", "validation.steps", "data.folders", "data.latents", "model.base", "model.start",
)  # fmt: skip


def example(kind: str = "") -> TrainConfig:
    """A run with every default, on a card's base."""
    return TrainConfig(ModelPart("cogvideox-5b"), DataPart(("pairs",)), kind)


def read_config(path: Path, kind: str) -> TrainConfig:
    """The document at `path`, for one of `KINDS`, its paths absolute. Raises RecipeError (InputError: no such file)."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the configuration: {error}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError(f"{path}: configuration", "TOML", str(error)) from None
    try:
        config = decode(TrainConfig, document)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error.path}", error.expected, error.found) from None
    if config.kind not in ("", kind):
        raise RecipeError(f"{path}: kind", f"{kind}, as the command says", repr(config.kind))
    return _resolved(config, kind, path.absolute().parent)


def _resolved(config: TrainConfig, kind: str, home: Path) -> TrainConfig:
    """Paths against the document's folder. A base that is no folder there stays a card's name."""
    document = encode(config) | {"kind": kind, "run": str(home / config.run)}
    document["data"]["folders"] = [str(home / folder) for folder in config.data.folders]
    document["data"]["latents"] = str(home / (config.data.latents or Path(document["run"]) / "latents"))
    if (home / config.model.base).is_dir():
        document["model"]["base"] = str(home / config.model.base)
    if config.model.start:
        document["model"]["start"] = str(home / config.model.start)
    return decode(TrainConfig, document)


def same_run(before: dict[str, Any], config: TrainConfig, where: Path) -> None:
    """Raises RecipeError where a run in `where`, begun under `before`, cannot go on under `config`."""
    old, new = _flat(before), _flat(encode(config))
    for key in sorted(old.keys() | new.keys()):
        if key not in _FREE and old.get(key) != new.get(key):
            raise RecipeError(
                key, f"{old.get(key)!r}, as the run in {where} began; or name another run", repr(new.get(key))
            )


def _flat(document: dict[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in document.items():
        where = f"{path}.{key}" if path else key
        found |= _flat(value, where) if isinstance(value, dict) else {where: value}
    return found
