"""Which models a HarmoVid job uses, whether they are there and may be used, and how they will be held in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from platelight.errors import ModelError, PlatelightError, RecipeError
from platelight_server.engines.harmovid.extent import Extent
from platelight_server.engines.harmovid.options import Settings
from platelight_server.engines.interface import ModelLicence
from platelight_server.engines.placement import (
    DECODE,
    DECODE_TILED,
    ICLIGHT,
    TRANSFORMER,
    UNET,
    held_iclight,
    held_video,
    licences_of,
    networks_of,
    placed,
    precision_of,
)
from platelight_server.models.card import ModelCard
from platelight_server.models.catalogue import CATALOGUE, card
from platelight_server.models.consent import accepted, require_consent
from platelight_server.models.folders import find, models_folders
from platelight_server.models.ladder import Plan, Stage
from platelight_server.models.record import ensure

__all__ = ["Chosen", "choose_models", "config_of", "plan_of"]

_BASE_FILES = (
    "scheduler/*.json", "text_encoder/*.json", "text_encoder/*.safetensors", "tokenizer/*", "vae/*.json",
    "vae/*.safetensors",
)  # fmt: skip

# Bytes a pixel of a frame that waits on the device in the first pass, and what is made of it there, in float32.
_PICTURES = 60
_QUOTED = 49  # frames that the codec's working memory is quoted for; it works on nine at a time, however many there are


@dataclass(frozen=True)
class Chosen:
    """The models of a job, found: folders by the names of `cards`; the checkpoint is the first, its base the second."""

    cards: tuple[ModelCard, ...]
    folders: Mapping[str, Path]
    steps: int  # of the checkpoint's training

    @property
    def checkpoint(self) -> Path:
        return self.folders[self.cards[0].name]

    @property
    def base(self) -> Path:
        return self.folders[self.cards[1].name]

    @property
    def licences(self) -> tuple[ModelLicence, ...]:
        """As an engine's capabilities and every header say them."""
        return licences_of(self.cards)

    def problems(self, settings: Settings) -> list[PlatelightError]:
        """Licences that nobody agreed to. Who agreed to the base's has agreed to what was trained from it."""
        base, found = self.cards[1], []
        for one in self.cards:
            agreed = accepted((one,)) | settings.accepted
            if one is self.cards[0] and (one.licence, one.terms) == (base.licence, base.terms):
                continue
            try:
                require_consent((one,), agreed)
            except ModelError as error:
                found.append(error)
        return list(found)

    def require_whole(self) -> None:
        """That the checkpoint was trained on this base, and has the tensors of its config. Raises `ModelError`."""
        from platelight_server.models.structure import check_classes  # these load diffusers
        from platelight_server.models.video.expanded_files import require_base

        require_base(self.checkpoint, self.base)
        check_classes(self.checkpoint)

    def digests(self) -> tuple[str, ...]:
        """What stands for the models' contents, for every frame's hash. Raises `ModelError`."""
        return tuple(f"{one.name} {ensure(one, self.folders[one.name]).digest}" for one in self.cards)


def choose_models(settings: Settings, with_light: bool) -> Chosen:
    """The models of a job; `with_light` where IC-Light makes the first pass.

    Raises `ModelError` that says what is missing and what works without it, `RecipeError` for a name that is none.
    """
    from platelight_server.models.video.expanded_files import card_of, read_about  # loads diffusers

    folder = checkpoint_folder(settings)
    if folder is None:
        raise ModelError(_missing(settings))
    about = read_about(folder)
    if about.kind != settings.kind:
        raise ModelError(f"{folder}: expected a {settings.kind} for mode = {settings.mode}, got a {about.kind}")
    base = _base_card(settings.base or about.base)
    cards = [card_of(folder, about), base, *(card(name) for name in ICLIGHT if with_light)]
    folders = {folder.name: folder, **{one.name: find(one) for one in cards[1:]}}
    return Chosen(tuple(cards), folders, about.steps)


def checkpoint_folder(settings: Settings) -> Path | None:
    """Where the checkpoint lies, below a models folder and nowhere else: a recipe may come from another machine."""
    name = settings.checkpoint or f"harmovid-{settings.kind}"
    given = PurePath(name)
    if given.is_absolute() or ".." in given.parts or "\\" in name:
        raise RecipeError(
            "engine.options.checkpoint", "the name of a folder in a models folder ($PLATELIGHT_MODELS)", repr(name)
        )
    return next((root / name for root in models_folders() if (root / name).is_dir()), None)


def config_of(settings: Settings) -> dict[str, Any] | None:
    """The config of the checkpoint's transformer; None where it cannot be read: the check says why."""
    try:
        folder = checkpoint_folder(settings)
        read = None if folder is None else json.loads((folder / "transformer" / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecipeError):
        return None
    return read if isinstance(read, dict) and "sample_frames" in read else None


def plan_of(settings: Settings, chosen: Chosen, extent: Extent, device: str) -> Plan:
    """How the models will be held on `device` while a clip is worked on. Raises ResourceError."""
    dtype = precision_of(settings.precision, device)
    held = held_video("video", chosen.base, chosen.checkpoint / "transformer")
    frame = extent.lines * extent.columns * dtype.itemsize // 2
    stages = [
        Stage("video/transformer", ("video/transformer",), TRANSFORMER * frame * extent.window_frames),
        Stage("video/vae", ("video/vae",), DECODE * frame * _QUOTED, DECODE_TILED * frame * _QUOTED),
    ]
    if ICLIGHT[0] in chosen.folders:
        held += held_iclight(chosen.folders[ICLIGHT[0]])
        waiting = _PICTURES * extent.lines * extent.columns * extent.window_frames
        stages.append(Stage("light/fbc", ("light/fbc",), UNET * frame + waiting))
        stages.append(Stage("light/vae", ("light/vae",), DECODE * frame, DECODE_TILED * frame))
    return placed(networks_of(held, dtype), stages, device, settings.vae_tiles, settings.memory)


def _base_card(name: str) -> ModelCard:
    """A base's card; one that the catalogue does not have is known by its folder alone."""
    known = next((one for one in CATALOGUE if one.name == name), None)
    if known is not None:
        return known
    return ModelCard(
        name=name, purpose="base of a checkpoint", stage="consistency", source=name, files=_BASE_FILES, size_bytes=0,
        licence="unknown", licence_url="", terms="conditional", used_by=("harmovid",),
        conditions="The catalogue does not know it; look up its licence.",
    )  # fmt: skip


def _missing(settings: Settings) -> str:
    name = settings.checkpoint or f"harmovid-{settings.kind}"
    where = " or ".join(map(str, models_folders()))
    instead = {
        "harmonize": "engine.name = 'classic' relights without weights, 'anyportal' with published ones",
        "deflicker": "platelight deflicker steadies a relit sequence, engine.options.deflicker any engine's light",
    }[settings.mode]
    return (
        f"model {name}: expected a trained {settings.kind} in a folder {name} in {where}, found none; nobody has "
        f"published one: train it (platelight train {settings.kind}), or use what works without: {instead}"
    )
