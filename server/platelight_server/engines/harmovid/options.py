"""What a user may set of the HarmoVid engine: the options as data, and their values as one typed settings object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from platelight_server.engines.interface import Option
from platelight_server.engines.placement import ACCEPT_LICENCES, PRECISION, VAE_TILES, accepted_names

if TYPE_CHECKING:
    from platelight_server.models.video.expanded import Kind

__all__ = ["KIND_OF", "OPTIONS", "Settings"]

# Which network a mode asks for, by the kinds of models/video/expanded.py.
KIND_OF: Mapping[str, Kind] = {"harmonize": "harmonizer", "deflicker": "deflicker"}

OPTIONS = (
    Option(
        "mode", "choice", "harmonize",
        "give the subject the light of its background, or steady a subject that was relit frame by frame",
        choices=("harmonize", "deflicker"),
    ),
    Option(
        "checkpoint", "text", "",
        "name of the trained network's folder in the models folders; none takes harmovid-harmonizer or -deflicker",
    ),
    Option("base", "text", "", "the model it was trained from, where that has another name than the checkpoint says"),
    Option(
        "first_pass", "choice", "auto",
        "what the network is shown: the subject as IC-Light relights each frame, as the recipe's relit gives it, or as"
        " filmed (none); auto is IC-Light where the mode is deflicker, else none",
        choices=("auto", "iclight", "given", "none"),
    ),
    Option(
        "matte", "choice", "auto",
        "the matte that the network is shown: given as it is, or made from it; auto makes a ramp from a binary one",
        choices=("auto", "given", "ramp", "inward", "blur", "guided"),
    ),
    Option(
        "matte_width", "float", 0.006, "half-width of a made edge, as a share of the subject's diagonal (2 to 24 px)",
        minimum=0.0005, maximum=0.05,
    ),
    Option("steps", "int", 50, "of the network", minimum=1, maximum=1000),
    Option("guidance", "float", 1.0, "of the network, which was trained without a prompt", minimum=1, maximum=30),
    Option("light_steps", "int", 20, "of IC-Light", minimum=1, maximum=200),
    Option("guidance_image", "float", 7.0, "of IC-Light", minimum=1, maximum=30),
    Option("window_frames", "int", 0, "frames seen at once; 0 takes the checkpoint's", minimum=0, maximum=161),
    Option("window_overlap", "int", 0, "frames that windows share; 0 takes a third", minimum=0, maximum=80),
    Option(
        "clip_frames", "int", 0, "frames that are denoised as one, window by window; 0 takes those of four windows",
        minimum=0, maximum=2001,
    ),
    Option("clip_overlap", "int", 8, "frames over which one such clip crosses over to the next", minimum=4, maximum=80),
    Option("lines", "int", 0, "lines of the canvas; 0 takes the checkpoint's", minimum=0, maximum=2160),
    Option("columns", "int", 0, "columns of the canvas; 0 takes the checkpoint's", minimum=0, maximum=4096),
    Option(
        "memory", "choice", "auto", "how models are held; auto takes the fastest that fits",
        choices=("auto", "fp8"),
    ),
    VAE_TILES,
    PRECISION,
    ACCEPT_LICENCES,
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The options of a job, typed, as they are given: zeros stand for what the checkpoint decides."""

    mode: str
    checkpoint: str
    base: str
    first_pass: str
    matte: str
    matte_width: float
    steps: int
    guidance: float
    light_steps: int
    guidance_image: float
    window_frames: int
    window_overlap: int
    clip_frames: int
    clip_overlap: int
    lines: int
    columns: int
    memory: str
    vae_tiles: str
    precision: str
    accepted: frozenset[str]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Settings:
        """From complete, checked options."""
        given = {**{option.name: option.default for option in OPTIONS}, **options}
        accepted = accepted_names(given.pop("accept_licences"))
        return cls(**given, accepted=accepted)

    @property
    def kind(self) -> Kind:
        """The kind of network that the mode asks for."""
        return KIND_OF[self.mode]

    @property
    def shown_first(self) -> str:
        """What the network is shown: "iclight", "given" or "none". No matter of the recipe: it decides which models,
        hence which licences, a job has."""
        if self.first_pass != "auto":
            return self.first_pass
        return "iclight" if self.mode == "deflicker" else "none"
