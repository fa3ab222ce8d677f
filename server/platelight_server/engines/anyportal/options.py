"""What a user may set of the AnyPortal engine: the options as data, and their values as one typed settings object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platelight_server.engines.interface import Option
from platelight_server.engines.placement import ACCEPT_LICENCES, PRECISION, VAE_TILES, accepted_names
from platelight_server.engines.presets import PRESETS, ratio_of_share

BACKBONES = ("cogvideox-2b", "cogvideox-5b", "wan2.1-t2v-1.3b")
NEGATIVE = (
    "blurry, noisy, overexposed, distorted shapes, unnatural motion, inconsistent frames, cluttered background,"
    " low resolution, watermark"
)

OPTIONS = (
    Option("backbone", "choice", BACKBONES[0], "video model of the consistency stage", choices=BACKBONES),
    Option(
        "preset", "choice", "strong",
        "how far the light may go: strong (T0 = T1 = 0.7 T) or weak (0.4 T), as noise levels of the paper's models",
        choices=("strong", "weak"),
    ),
    Option(
        "light_share", "float", -1.0, "T0 as a share of the steps, instead of the preset's; negative takes the preset",
        minimum=-1, maximum=1,
    ),
    Option("consistency_share", "float", -1.0, "T1, likewise; 0 leaves the stage out", minimum=-1, maximum=1),
    Option(
        "light", "choice", "two-step",
        "relight by the background's picture and then by the prompt, by one of the two, or not at all",
        choices=("two-step", "image", "text", "none"),
    ),
    Option(
        "consistency", "choice", "rpa",
        "steady the light by refinement projection, by residual-corrected flow (cheaper), or not",
        choices=("rpa", "flow", "none"),
    ),
    Option("prompt", "text", "", "the new scene in words; with a painted background its prompt is taken"),
    Option("subject", "text", "", "the foreground in words, put before the scene where both are described"),
    Option("negative_prompt", "text", NEGATIVE, "what the models should keep away from"),
    Option("paint_from_still", "bool", False, "take background.still as a picture to paint a moving background from"),
    Option(
        "remover", "choice", "inpainting",
        "what takes the subject out of a painted background's first frame: a model, or what borders on it (telea)",
        choices=("inpainting", "telea"),
    ),
    Option("steps", "int", 20, "T, of the light and the consistency stage", minimum=1, maximum=200),
    Option("background_steps", "int", 50, "of the painted background", minimum=1, maximum=200),
    Option("guidance", "float", 6.0, "of the video model", minimum=1, maximum=30),
    Option("guidance_image", "float", 7.0, "of the relighting by picture", minimum=1, maximum=30),
    Option("guidance_text", "float", 2.0, "of the relighting by prompt; the authors take 7", minimum=1, maximum=30),
    Option(
        "edges", "choice", "hed", "edges that hold the structure: a network's, plain ones, or none (cogvideox only)",
        choices=("hed", "canny", "none"),
    ),
    Option("edge_weight", "float", 1.0, "how firmly the edges hold", minimum=0, maximum=2),
    Option("detail_sigma_px", "float", 2.0, "finer is detail, at 480 lines", minimum=0.1, maximum=20, unit="px"),
    Option("refine_every", "int", 1, "project the refinement at every n-th step", minimum=1, maximum=50),
    Option("window_frames", "int", 0, "frames seen at once; 0 takes the model's", minimum=0, maximum=161),
    Option("overlap_frames", "int", 8, "frames over which windows cross over", minimum=4, maximum=80),
    Option("lines", "int", 0, "lines of the canvas; 0 takes the model's", minimum=0, maximum=2160),
    Option("columns", "int", 0, "columns of the canvas; 0 takes the model's", minimum=0, maximum=4096),
    Option(
        "memory", "choice", "auto", "how models are held; auto takes the fastest that fits",
        choices=("auto", "resident", "text-freed", "stagewise", "group-offload", "fp8"),
    ),
    VAE_TILES,
    PRECISION,
    Option(
        "attention", "choice", "auto", "attention kernel of the video model; all agree up to rounding",
        choices=("auto", "math", "efficient", "flash", "cudnn"),
    ),
    Option("compiled", "bool", False, "compile the video model's blocks (slow start; agrees up to rounding)"),
    Option("light_chunk", "int", 1, "frames relit at once; above 1 agrees up to rounding", minimum=1, maximum=64),
    ACCEPT_LICENCES,
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The options of a job, typed; `light_ratio` and `consistency_ratio` are signal-to-noise ratios (see `presets`)."""

    backbone: str
    light: str
    consistency: str
    light_ratio: float
    consistency_ratio: float
    prompt: str
    subject: str
    negative_prompt: str
    paint_from_still: bool
    remover: str
    steps: int
    background_steps: int
    guidance: float
    guidance_image: float
    guidance_text: float
    edges: str
    edge_weight: float
    detail_sigma_px: float
    refine_every: int
    window_frames: int
    overlap_frames: int
    lines: int
    columns: int
    memory: str
    vae_tiles: str
    precision: str
    attention: str
    compiled: bool
    light_chunk: int
    accepted: frozenset[str]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Settings:
        """From complete, checked options."""
        given = {**{option.name: option.default for option in OPTIONS}, **options}
        preset = PRESETS[given.pop("preset")]
        light, consistency = float(given.pop("light_share")), float(given.pop("consistency_share"))
        accepted = accepted_names(given.pop("accept_licences"))
        return cls(
            **given,
            light_ratio=preset.light if light < 0 else ratio_of_share(light, "light"),
            consistency_ratio=preset.consistency if consistency < 0 else ratio_of_share(consistency, "consistency"),
            accepted=accepted,
        )

    def words(self, painted: str | None) -> Words:
        """What the models are told; `painted` is the recipe's prompt for a painted background."""
        scene = painted or self.prompt
        return Words(scene, ", ".join(part for part in (self.subject, scene) if part))


@dataclass(frozen=True)
class Words:
    """The texts of a job: the scene alone (the paper's code needs it apart), and subject and scene together."""

    scene: str
    whole: str
