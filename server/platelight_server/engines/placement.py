"""What engines with models share about them: options, precision, licences, and how networks are held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from platelight_server.engines.interface import ModelLicence, Option
from platelight_server.models.card import ModelCard
from platelight_server.models.ladder import Kind, Network, Plan, Stage, choose

__all__ = [
    "ACCEPT_LICENCES", "DECODE", "DECODE_TILED", "ICLIGHT", "PRECISION", "TRANSFORMER", "UNET", "VAE_TILES", "Held",
    "accepted_names", "held_iclight", "held_video", "kinds_of", "licences_of", "networks_of", "pixels_of", "placed",
    "precision_of",
]  # fmt: skip

ICLIGHT = ("realistic-vision-v51", "iclight-fc", "iclight-fbc")

# Working memory in bytes a pixel and frame, in 16 bits: quoted, not measured (facts/anyportal.md section 2: decoding 49
# frames of 480x720 takes 17.8 GB whole and 4.5 GB in tiles; the transformer's and the UNet's are computed from widths).
DECODE, DECODE_TILED = 1050, 265
TRANSFORMER, UNET = 160, 4500

VAE_TILES = Option(
    "vae_tiles", "choice", "auto", "code in tiles (less memory, other pixels)", choices=("auto", "on", "off")
)
PRECISION = Option(
    "precision", "choice", "auto", "of the networks; auto is float32 on a CPU and bfloat16 on a GPU",
    choices=("auto", "float32", "bfloat16", "float16"),
)  # fmt: skip
ACCEPT_LICENCES = Option(
    "accept_licences", "text", "", "names of models whose conditions you accept, separated by commas"
)

_KINDS: Mapping[str, Kind] = {
    "text_encoder": "text", "transformer": "denoiser", "fc": "denoiser", "fbc": "denoiser", "vae": "codec",
    "edge_control": "denoiser", "inpainting_text": "text", "inpainting_unet": "denoiser", "inpainting_vae": "codec",
}  # fmt: skip


@dataclass(frozen=True)
class Held:
    """A network that is held in memory: `name` is "part/network", as a studio names it."""

    name: str
    folder: Path


def accepted_names(text: str) -> frozenset[str]:
    """The names in the option `accept_licences`."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def precision_of(precision: str, device: str) -> torch.dtype:
    """The networks' dtype, from the option `precision`."""
    if precision == "auto":
        return torch.bfloat16 if device.startswith("cuda") else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


def licences_of(cards: Iterable[ModelCard]) -> tuple[ModelLicence, ...]:
    """As an engine's capabilities and every header say them."""
    return tuple(ModelLicence(one.name, one.licence, one.terms == "free", one.source) for one in cards)


def pixels_of(plan: Plan) -> tuple[str, ...]:
    """What of a plan changes pixels, for every frame's hash."""
    return (f"tiled {plan.tiled}", plan.rung.name if plan.rung.changes_pixels else "")


def kinds_of(names: Iterable[str]) -> dict[str, Kind]:
    """The kinds of networks called "part/network"."""
    return {name: _KINDS.get(name.split("/")[1], "other") for name in names}


def held_video(part: str, base: Path, transformer: Path | None = None) -> list[Held]:
    """The networks of a video model in the folder `base`, its transformer perhaps in another."""
    return [
        Held(f"{part}/text_encoder", base / "text_encoder"),
        Held(f"{part}/transformer", transformer or base / "transformer"),
        Held(f"{part}/vae", base / "vae"),
    ]


def held_iclight(folder: Path) -> list[Held]:
    """The networks of IC-Light on the Stable Diffusion in `folder`."""
    return [
        Held("light/text_encoder", folder / "text_encoder"),
        Held("light/fc", folder / "unet"),
        Held("light/fbc", folder / "unet"),
        Held("light/vae", folder / "vae"),
    ]


def networks_of(held: Sequence[Held], dtype: torch.dtype) -> dict[str, Network]:
    """Their sizes, from the headers of their files. Raises `ModelError`."""
    from platelight_server.models.loading import weights_bytes  # loads diffusers

    kinds = kinds_of(one.name for one in held)
    return {one.name: Network(weights_bytes(one.folder, dtype), kinds[one.name]) for one in held}


def placed(networks: Mapping[str, Network], stages: Sequence[Stage], device: str, vae_tiles: str, memory: str) -> Plan:
    """How networks are held on `device` while `stages` are worked on, after the options `vae_tiles` and `memory`; the
    texts are read first. Raises `ResourceError`."""
    from platelight_server.models.residency import free_device_bytes  # loads diffusers

    texts = Stage("text", tuple(name for name, one in networks.items() if one.kind == "text"), 1 << 28)
    tiled = {"auto": None, "on": True, "off": False}[vae_tiles]
    return choose(networks, [texts, *stages], free_device_bytes(device), tiled=tiled, allow_fp8=memory == "fp8")
