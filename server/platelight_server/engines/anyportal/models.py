"""Which models a job uses, whether they are there and may be used, and how they will be held in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from platelight.errors import InputError, PlatelightError
from platelight_server.engines.anyportal.options import Settings
from platelight_server.engines.interface import ModelLicence
from platelight_server.models.card import ModelCard
from platelight_server.models.catalogue import card
from platelight_server.models.consent import accepted, require_consent
from platelight_server.models.folders import find
from platelight_server.models.ladder import Kind, Network, Plan, Stage, choose

__all__ = ["cards_of", "licences_of", "plan_of", "precision_of", "problems_of"]

ICLIGHT = ("realistic-vision-v51", "iclight-fc", "iclight-fbc")
EDGE_CONTROLS = {
    ("cogvideox-2b", "hed"): "cogvideox-2b-controlnet-hed",
    ("cogvideox-2b", "canny"): "cogvideox-2b-controlnet-canny",
    ("cogvideox-5b", "hed"): "cogvideox-5b-controlnet-hed",
}
PAINTER, REMOVER = "diffusion-as-shader", "sd15-inpainting"

# Working memory in bytes a pixel and frame, in 16 bits: quoted, not measured (facts/anyportal.md section 2: decoding 49
# frames of 480x720 takes 17.8 GB whole and 4.5 GB in tiles; the transformer's and the UNet's are computed from widths).
_DECODE, _DECODE_TILED = 1050, 265
_TRANSFORMER, _UNET = 160, 4500


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


def licences_of(cards: tuple[ModelCard, ...]) -> tuple[ModelLicence, ...]:
    """As an engine's capabilities and every header say them."""
    return tuple(ModelLicence(one.name, one.licence, one.terms == "free", one.source) for one in cards)


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


def pixels_of(plan: Plan) -> tuple[str, ...]:
    """What of a plan changes pixels, for every frame's hash."""
    return (f"tiled {plan.tiled}", plan.rung.name if plan.rung.changes_pixels else "")


def precision_of(settings: Settings, device: str) -> torch.dtype:
    """The networks' dtype."""
    if settings.precision == "auto":
        return torch.bfloat16 if device.startswith("cuda") else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[settings.precision]


@dataclass(frozen=True)
class _Held:
    name: str
    kind: Kind
    folder: Path
    subfolder: str


def plan_of(settings: Settings, cards: tuple[ModelCard, ...], height: int, width: int, device: str) -> Plan:
    """How the models will be held on `device` while windows of `window_frames` are worked on. Raises ResourceError."""
    # Only where models are at work: these load diffusers.
    from platelight_server.models.loading import weights_bytes
    from platelight_server.models.residency import free_device_bytes

    dtype = precision_of(settings, device)
    networks = {
        held.name: Network(weights_bytes(held.folder / held.subfolder, dtype), held.kind) for held in _held(cards)
    }
    pixels = height * width * settings.window_frames * dtype.itemsize // 2
    stages = [Stage("text", tuple(n for n, one in networks.items() if one.kind == "text"), 1 << 28)]
    for name, one in networks.items():
        if one.kind == "denoiser":
            per_pixel = _UNET // settings.window_frames if name.startswith("light") else _TRANSFORMER
            beside = tuple(n for n in networks if n.startswith("edge")) if name.startswith("video") else ()
            stages.append(Stage(name, (name, *beside), per_pixel * pixels))
        if one.kind == "codec":
            stages.append(Stage(name, (name,), _DECODE * pixels, _DECODE_TILED * pixels))
    tiled = {"auto": None, "on": True, "off": False}[settings.vae_tiles]
    return choose(networks, stages, free_device_bytes(device), tiled=tiled, allow_fp8=settings.memory == "fp8")


def _held(cards: tuple[ModelCard, ...]) -> list[_Held]:
    """The networks of the models, by the names that the studio gives them."""
    found: list[_Held] = []
    for one in cards:
        folder = find(one)
        if one.name in ("cogvideox-2b", "cogvideox-5b", "wan2.1-t2v-1.3b"):
            found += [
                _Held("video/text_encoder", "text", folder, "text_encoder"),
                _Held("video/transformer", "denoiser", folder, "transformer"),
                _Held("video/vae", "codec", folder, "vae"),
            ]
        elif one.name == ICLIGHT[0]:
            found += [
                _Held("light/text_encoder", "text", folder, "text_encoder"),
                _Held("light/fc", "denoiser", folder, "unet"),
                _Held("light/fbc", "denoiser", folder, "unet"),
                _Held("light/vae", "codec", folder, "vae"),
            ]
        elif one.name in EDGE_CONTROLS.values():
            found.append(_Held("edge/edge_control", "denoiser", folder, ""))
        elif one.name == PAINTER:
            found += [
                _Held("paint/text_encoder", "text", folder, "text_encoder"),
                _Held("paint/transformer", "denoiser", folder, "transformer"),
                _Held("paint/vae", "codec", folder, "vae"),
            ]
    return found


def _present(settings: Settings, one: ModelCard) -> None:
    find(one)


def _agreed(settings: Settings, one: ModelCard) -> None:
    require_consent((one,), accepted((one,)) | settings.accepted)
