"""Small clips with mattes on disk, datasets and configurations made of them, for a network of a megabyte."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from platelight.document import decode, encode
from platelight_server.plates import exr
from platelight_server.training.config import DataPart, ModelPart, TrainConfig
from platelight_server.training.manifest import Manifest
from platelight_server.training.pairs.jitter import jittered
from platelight_server.training.pairs.makers import Given
from platelight_server.training.pairs.making import make_pairs
from platelight_server.training.pairs.sources import sources_in

WIDTH, HEIGHT, FRAMES = 48, 32, 9
REC709 = {"colorInteropID": "lin_rec709_scene"}


def pictures(clip: int, frame: int) -> dict[str, np.ndarray]:
    """One frame of a clip by role: a lit disc with a soft edge that moves over a texture, with light over 1."""
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    distance = np.hypot(xs - WIDTH / 2 - 0.6 * (frame - 4), ys - HEIGHT / 2)
    matte = np.clip((9 + clip - distance) / 2.5 + 0.5, 0, 1)[None]
    grain = np.random.default_rng([clip, 7]).uniform(0.05, 0.4, (3, HEIGHT, WIDTH)).astype(np.float32)
    front = np.stack([0.3 + 0.02 * xs, 0.25 + 0.01 * ys, 0.2 + 0 * xs]) * (1 + 0.5 * clip)
    plate = (matte * front + (1 - matte) * grain).astype(np.float32)
    background = np.stack([0.1 + 0.03 * ys, 0.3 + 0 * xs, 0.5 + 0.01 * xs]).astype(np.float32)
    relit = (matte * front * np.array([1.6, 1.0, 0.6])[:, None, None] + (1 - matte) * background).astype(np.float32)
    flicker = jittered(plate, matte.astype(np.float32), frame, f"clip{clip}", 3)
    named = {"plate": plate, "background": background, "relit": relit, "flicker": flicker, "clean": grain}
    return {**named, "matte": matte.astype(np.float32)}


def write_clips(folder: Path, clips: int = 2, roles: Iterable[str] = ("plate", "matte"), frames: int = FRAMES) -> Path:
    """Folders of clips as `platelight data pairs` reads them, with a licence for all."""
    for clip in range(clips):
        for number in range(frames):
            planes = pictures(clip, number)
            for role in roles:
                path = folder / f"clip{clip}" / role / f"{role}.{1001 + number}.exr"
                path.parent.mkdir(parents=True, exist_ok=True)
                names = "A" if role == "matte" else "RGB"
                exr.write(path, dict(zip(names, planes[role].astype(np.float16), strict=True)), REC709, "zip")
    (folder / "clip.toml").write_text('licence = "CC0"\nsource = "made by a test"\n', "utf-8")
    return folder


def write_dataset(folder: Path, clips: int = 2, frames: int = FRAMES, clean: bool = False) -> Manifest:
    """A dataset that trains both networks."""
    roles = ("plate", "matte", "background", "relit", "flicker", *(("clean",) if clean else ()))
    sources = sources_in(write_clips(folder.with_name(f"{folder.name}-clips"), clips, roles, frames))
    return make_pairs(sources, Given(), folder, HEIGHT, WIDTH, lambda said: None).manifest


def config(base: Path, dataset: Path, run: Path, kind: str = "harmonizer", **changed: Any) -> TrainConfig:
    """A configuration for the CPU; `changed` are whole keys or tables (`optimiser={"rate": 0.01}`)."""
    plain = TrainConfig(
        ModelPart(str(base), rank=4),
        DataPart((str(dataset),), HEIGHT, WIDTH, FRAMES, variants=2, latents=str(run.parent / "latents")),
        kind=kind,
        run=str(run),
        steps=4,
        accumulation=1,
        precision="float32",
        gradient_checkpointing=False,
        ema=0.9,
        checkpoint_every=100,
        device="cpu",
    )
    document = encode(plain) | {"validation": {"clips": 0, "steps": 2}, "optimiser": {"rate": 1e-3, "warmup": 0}}
    for key, value in changed.items():
        document[key] = document.get(key, {}) | value if isinstance(value, dict) else value
    return decode(TrainConfig, document)
