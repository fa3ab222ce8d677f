"""Which models a job uses, whether they are there and may be used, and how they will be held in memory."""

from __future__ import annotations

from platelight.errors import InputError, PlatelightError
from platelight_server.engines.anyportal.options import Settings
from platelight_server.engines.placement import (
    DECODE,
    DECODE_TILED,
    ICLIGHT,
    TRANSFORMER,
    UNET,
    Held,
    held_iclight,
    held_video,
    networks_of,
    placed,
    precision_of,
)
from platelight_server.models.card import ModelCard
from platelight_server.models.catalogue import card
from platelight_server.models.consent import accepted, require_consent
from platelight_server.models.folders import find
from platelight_server.models.ladder import Plan, Stage

__all__ = ["cards_of", "digests_of", "plan_of", "problems_of"]

EDGE_CONTROLS = {
    ("cogvideox-2b", "hed"): "cogvideox-2b-controlnet-hed",
    ("cogvideox-2b", "canny"): "cogvideox-2b-controlnet-canny",
    ("cogvideox-5b", "hed"): "cogvideox-5b-controlnet-hed",
}
PAINTER, REMOVER = "diffusion-as-shader", "sd15-inpainting"


def cards_of(settings: Settings, painted: bool) -> tuple[ModelCard, ...]:
    """The models that a job with these settings uses; `painted` where the background is to be generated."""
    names: list[str] = []
    if settings.light != "none" or painted:
        names += ICLIGHT
    if settings.consistency != "none":
        names.append(settings.backbone)
        control = EDGE_CONTROLS.get((settings.backbone, settings.edges))
        if control is not None:
            names += [control, "hed-annotator"] if settings.edges == "hed" else [control]
    if painted:
        names += [PAINTER, REMOVER] if settings.remover == "inpainting" else [PAINTER]
    return tuple(card(name) for name in dict.fromkeys(names))


def problems_of(settings: Settings, cards: tuple[ModelCard, ...]) -> list[PlatelightError]:
    """What stands in the way: models that are missing, licences that nobody agreed to."""
    found: list[PlatelightError] = []
    for one in cards:
        for wants in (_present, _agreed):
            try:
                wants(settings, one)
            except InputError as error:
                found.append(error)
    return found


def digests_of(cards: tuple[ModelCard, ...]) -> tuple[str, ...]:
    """What stands for the contents of the models' files, for every frame's hash. Raises `ModelError`."""
    from platelight_server.models.record import ensure  # reads safetensors

    return tuple(f"{one.name} {ensure(one).digest}" for one in cards)


def plan_of(settings: Settings, cards: tuple[ModelCard, ...], height: int, width: int, device: str) -> Plan:
    """How the models will be held on `device` while windows of `window_frames` are worked on. Raises ResourceError."""
    dtype = precision_of(settings.precision, device)
    networks = networks_of(_held(cards), dtype)
    pixels, stages = height * width * settings.window_frames * dtype.itemsize // 2, []
    for name, one in networks.items():
        if one.kind == "denoiser":
            per_pixel = UNET // settings.window_frames if name.startswith("light") else TRANSFORMER
            beside = tuple(n for n in networks if n.startswith("edge")) if name.startswith("video") else ()
            stages.append(Stage(name, (name, *beside), per_pixel * pixels))
        if one.kind == "codec":
            stages.append(Stage(name, (name,), DECODE * pixels, DECODE_TILED * pixels))
    return placed(networks, stages, device, settings.vae_tiles, settings.memory)


def _held(cards: tuple[ModelCard, ...]) -> list[Held]:
    """The networks of the models."""
    found: list[Held] = []
    for one in cards:
        folder = find(one)
        if one.name in ("cogvideox-2b", "cogvideox-5b", "wan2.1-t2v-1.3b"):
            found += held_video("video", folder)
        elif one.name == ICLIGHT[0]:
            found += held_iclight(folder)
        elif one.name in EDGE_CONTROLS.values():
            found.append(Held("edge/edge_control", folder))
        elif one.name == PAINTER:
            found += held_video("paint", folder)
    return found


def _present(settings: Settings, one: ModelCard) -> None:
    find(one)


def _agreed(settings: Settings, one: ModelCard) -> None:
    require_consent((one,), accepted((one,)) | settings.accepted)
