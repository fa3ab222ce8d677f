"""Checkpoints of expanded networks: a diffusers folder with a model card, and what it says of itself in a file of ours.

    NAME/platelight.json          kind, base, licence, data, steps: `About`
    NAME/README.md                the same for people, as the hub shows it
    NAME/transformer/             config.json and safetensors, of diffusers' own class

Codec, schedule, text encoder and tokenizer are the base's, which is loaded beside it; that it is the one the network
was trained on is checked by its contents. The base's own transformer is not needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXTransformer3DModel
from transformers import T5EncoderModel, T5Tokenizer

from platelight.document import decode, encode, entry
from platelight.errors import ModelError, OutputError, RecipeError
from platelight_server.models.card import ModelCard, Terms
from platelight_server.models.catalogue import CATALOGUE
from platelight_server.models.loading import load
from platelight_server.models.record import sha256
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.expanded import CONDITIONS, Kind, channels_of

__all__ = ["ABOUT", "About", "Data", "card_of", "foundation", "load_expanded", "read_about", "require_base", "save"]

ABOUT = "platelight.json"
_FILES = (ABOUT, "transformer/config.json", "transformer/*.safetensors")


@dataclass(frozen=True)
class Data:
    """What a network was trained on: a data set's name, its licence, and whether that allows commercial use."""

    name: str = entry("name of the data set")
    licence: str = entry("its licence")
    commercial: bool = entry("whether the licence allows commercial use", default=True)


@dataclass(frozen=True)
class About:
    """What a checkpoint says of itself. The licence is the base's; data that forbids commercial use narrows it."""

    kind: Kind = entry("which of HarmoVid's two networks")
    base: str = entry("name of the base in the catalogue, or of its folder")
    foundation: str = entry("what stands for the base's codec and schedule, see foundation()")
    conditions: tuple[str, ...] = entry("the conditions in the order of their channels")
    steps: int = entry("steps of training", minimum=0)
    licence: str = entry("licence")
    licence_url: str = entry("where it stands", default="")
    terms: Terms = entry("what it allows", default="conditional")
    restrictions: str = entry("what else it asks", default="")
    data: tuple[Data, ...] = entry("what it was trained on", default=())
    note: str = entry("how it was trained, in words", default="")
    version: int = entry("of this file", default=1, minimum=1, maximum=1)

    @classmethod
    def of(cls, kind: Kind, base: Path, steps: int, data: Sequence[Data] = (), note: str = "") -> About:
        """For a network trained from the folder `base`, whose licence is looked up in the catalogue by its name."""
        known = next((one for one in CATALOGUE if base.name in (one.name, one.source.rpartition("/")[2])), None)
        terms: Terms = known.terms if known else "conditional"
        return cls(
            kind=kind,
            base=known.name if known else base.name,
            foundation=foundation(base),
            conditions=CONDITIONS[kind],
            steps=steps,
            licence=known.licence if known else "unknown",
            licence_url=known.licence_url if known else "",
            terms=terms if all(one.commercial for one in data) else "noncommercial",
            restrictions=known.conditions if known else f"The licence of the base, {base.name}, applies.",
            data=tuple(data),
            note=note,
        )


def foundation(base: Path) -> str:
    """A SHA-256 over what a network relies on in its base: codec, schedule, and the text encoder's shape.

    Raises `ModelError` for a folder that has none of them.
    """
    digest = hashlib.sha256()
    for name in ("vae/config.json", "scheduler/scheduler_config.json", "text_encoder/config.json"):
        config = _read(base / name)
        kept = {key: value for key, value in config.items() if not key.startswith("_") and "version" not in key}
        digest.update(json.dumps(kept, sort_keys=True).encode())
    for path in sorted((base / "vae").glob("*.safetensors")):
        digest.update(sha256(path).encode())
    return digest.hexdigest()


def save(folder: Path, transformer: CogVideoXTransformer3DModel, about: About, shard: str = "5GB") -> Path:
    """Writes a checkpoint, whole or not at all; one that was there under the name is replaced. Raises `OutputError`.

    Refuses (ValueError) a network whose channels are not those of `about.kind`.
    """
    expected = channels_of(about.kind, transformer.config.out_channels)
    if transformer.config.in_channels != expected:
        raise ValueError(f"{about.kind}: expected {expected} channels, got {transformer.config.in_channels}")
    fresh, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{part}") for part in ("new", "old"))
    try:
        fresh.mkdir(parents=True)
        transformer.save_pretrained(fresh / "transformer", max_shard_size=shard)
        (fresh / ABOUT).write_text(json.dumps(encode(about), indent=1) + "\n", "utf-8")
        (fresh / "README.md").write_text(_model_card(folder.name, about), "utf-8")
        _flush(fresh)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except Exception as error:  # safetensors raises its own kind for a full disk
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(fresh, ignore_errors=True)
        raise OutputError(f"{folder}: cannot be written: {error}") from error
    shutil.rmtree(old, ignore_errors=True)
    return folder


def read_about(folder: Path) -> About:
    """What a checkpoint says of itself, compared with its transformer's config. Raises `ModelError`."""
    if not (folder / ABOUT).is_file():
        raise ModelError(
            f"{folder}: expected {ABOUT}, as platelight train writes it, found none; this is no checkpoint of HarmoVid"
        )
    try:
        about = decode(About, _read(folder / ABOUT))
    except RecipeError as error:
        raise ModelError(f"{folder / ABOUT}: {error}") from None
    if about.conditions != CONDITIONS[about.kind]:
        expected, came = ", ".join(CONDITIONS[about.kind]), ", ".join(about.conditions)
        raise ModelError(f"{folder / ABOUT}: expected the conditions {expected} of a {about.kind}, got {came}")
    config = _read(folder / "transformer" / "config.json")
    wanted = channels_of(about.kind, int(config.get("out_channels") or 16))
    found = config.get("in_channels")
    if found != wanted:
        raise ModelError(f"{folder / 'transformer'}: expected {wanted} channels in for a {about.kind}, got {found}")
    return about


def require_base(folder: Path, base: Path) -> None:
    """Compares `base` with what the checkpoint in `folder` was trained on. Raises `ModelError`."""
    about = read_about(folder)
    if foundation(base) != about.foundation:
        raise ModelError(
            f"{folder}: expected the base that it was trained on, {about.base}; codec or schedule in {base} are others"
        )


def load_expanded(
    folder: Path,
    base: Path,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
    **chosen: Any,
) -> CogVideoX:
    """A checkpoint on its base, ready for `predict(..., condition=condition(kind, latents))`. `chosen` goes to
    `CogVideoX`. Raises `ModelError` for a damaged checkpoint, and for another base than it was trained on."""
    require_base(folder, base)
    home = "cpu" if "placed" in chosen else device  # whoever places networks brings them to the device
    return CogVideoX(
        load(folder, CogVideoXTransformer3DModel, "transformer", dtype, home),
        load(base, AutoencoderKLCogVideoX, "vae", dtype, home),
        load(base, T5EncoderModel, "text_encoder", dtype, home),
        load(base, T5Tokenizer, "tokenizer"),
        dict(load(base, CogVideoXDDIMScheduler, "scheduler").config),
        **{"name": folder.name, "device": device, **chosen},
    )


def card_of(folder: Path, about: About | None = None) -> ModelCard:
    """A checkpoint as the catalogue's models are described, so that hashes, consent and headers treat it alike."""
    about = about or read_about(folder)
    return ModelCard(
        name=folder.name,
        purpose=f"HarmoVid's {about.kind} on {about.base}, {about.steps} steps",
        stage="consistency" if about.kind == "deflicker" else "light",
        source=folder.name,
        files=_FILES,
        size_bytes=sum(path.stat().st_size for path in (folder / "transformer").glob("*.safetensors")),
        licence=about.licence,
        licence_url=about.licence_url,
        terms=about.terms,
        conditions=about.restrictions,
        used_by=("harmovid",),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: expected this file, found none") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected JSON, got {error}") from None
    if not isinstance(read, dict):
        raise ModelError(f"{path}: expected a JSON object, got {type(read).__name__}")
    return read


def _flush(folder: Path) -> None:
    """Has files on the disk before their folder gets its name; a system that cannot flush a folder goes without."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file, contextlib.suppress(OSError):
            os.fsync(file.fileno())


_LICENCES = {"Apache-2.0": "apache-2.0", "MIT": "mit"}  # as the hub spells them


def _model_card(name: str, about: About) -> str:
    """README.md: the hub's front matter, and what `About` says in words."""
    front = ["library_name: diffusers", "pipeline_tag: video-to-video", f"base_model: {about.base}"]
    if about.licence in _LICENCES and about.terms != "noncommercial":
        front.append(f"license: {_LICENCES[about.licence]}")
    else:
        front += ["license: other", f"license_name: {about.licence}"]
    front += [f"license_link: {about.licence_url}"] if about.licence_url else []
    reads = ", ".join(about.conditions)
    trained = [
        f"- {one.name} ({one.licence}{'' if one.commercial else ', not for commercial use'})" for one in about.data
    ]
    what = {
        "deflicker": "steadies a foreground that was relit frame by frame",
        "harmonizer": "gives a foreground the light of the background that it is laid over",
    }[about.kind]
    return "\n".join(
        [
            "---", *front, "---", f"# {name}", "",
            f"HarmoVid's {about.kind} for Platelight: {what}. Trained for {about.steps} steps from {about.base}.", "",
            "Its transformer is diffusers' CogVideoXTransformer3DModel. It reads the noisy latent, then the latents of "
            f"{reads}. The matte is coded as a grey video. Codec, schedule and text encoder are those of {about.base}. "
            "The prompt is empty, guidance 1.", "",
            "## Data", *(trained or ["- none is named"]), "",
            "## Licence", " ".join(part for part in (f"{about.licence}.", about.restrictions) if part), "",
            *(["## Training", about.note, ""] if about.note else []),
        ]
    )  # fmt: skip
