"""What the stages of the AnyPortal engine cost, with random weights, beside the way the public scripts work.

The reference does the same steps: it relights every frame in a pair with the anchor, which is computed anew each time,
and loads the video model again for each block of steps (the scripts start a process for every 2.5 denoising steps on
the mean, 26 for 65). Both run in one process, one after the other, so that their ratio does not depend on the machine.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel

from platelight_server.engines.anyportal.consistency.methods import METHODS, Clip
from platelight_server.engines.anyportal.consistency.sdedit import Run
from platelight_server.engines.light.frames import LightFrame, LightSettings
from platelight_server.engines.light.harmonize import Harmonizer
from platelight_server.engines.light.reference import PairwiseHarmonizer
from platelight_server.engines.presets import PRESETS
from platelight_server.evaluation.random_models import random_cogvideox, random_edge_control, random_iclight
from platelight_server.models.video.cogvideox import CogVideoX
from platelight_server.models.video.edges import soft_edges
from platelight_server.models.video.padding import pad_frames
from platelight_server.stages import peak_memory_bytes

__all__ = ["Row", "measure_anyportal"]

STEPS_PER_LAUNCH = 65 / 26  # of the released scripts: denoising steps for each time the model is loaded


@dataclass(frozen=True)
class Row:
    """One stage. `ratio` is the reference's time over ours at equal steps; 0 where there is no reference."""

    stage: str
    seconds: float
    reference_seconds: float
    ratio: float
    peak_gib: float
    said: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON and the table."""
        return asdict(self)


def measure_anyportal(device: str, full: bool, frames: int, steps: int, backbone: str = "cogvideox-2b") -> list[Row]:
    """Times the stages on a window of `frames` frames: 480x720 and the published networks where `full`, else 64x96.

    `steps` is T; the strong preset runs its part of it. Float32 on a CPU, bfloat16 elsewhere.
    """
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    size = (480, 720) if full else (64, 96)
    clip = _pictures(frames, *size, device)
    rows = [_light(clip, full, dtype, device, steps)]
    rows += _consistency(clip, full, dtype, device, steps, backbone)
    ours, reference = (sum(getattr(row, name) for row in rows[:2]) for name in ("seconds", "reference_seconds"))
    peak = max(row.peak_gib for row in rows)
    return [*rows, Row("both stages", ours, reference, reference / ours, peak, f"{frames} frames {size[1]}x{size[0]}")]


@dataclass(frozen=True)
class _Pictures:
    plate: torch.Tensor
    matte: torch.Tensor
    background: torch.Tensor

    def light_frames(self) -> list[LightFrame]:
        return [
            LightFrame(i, *parts) for i, parts in enumerate(zip(self.plate, self.matte, self.background, strict=True))
        ]


def _light(clip: _Pictures, full: bool, dtype: torch.dtype, device: str, steps: int) -> Row:
    parts = random_iclight(full, dtype, device)
    frames = clip.light_frames()
    asked = ("a street at night", "blurry", LightSettings(steps=steps, ratio=PRESETS["strong"].light))
    harmonizer, pairwise = Harmonizer(parts), PairwiseHarmonizer(parts)
    harmonizer.harmonize(frames[:1], frames[0], *asked)  # the first call of a kernel is slower
    ours, peak = _timed(lambda: harmonizer.harmonize(frames, frames[0], *asked), device)
    theirs, _ = _timed(lambda: pairwise.harmonize(frames, frames[0], *asked), device)
    return Row("light", ours, theirs, theirs / ours, peak, "reference: pairs with the anchor, no bank")


def _consistency(clip: _Pictures, full: bool, dtype: torch.dtype, device: str, steps: int, backbone: str) -> list[Row]:
    model = random_cogvideox(backbone, full, dtype, device, tile="own" if full else None)
    control = random_edge_control(full, dtype, device) if backbone == "cogvideox-2b" else None
    run = Run(PRESETS["strong"].consistency, steps, 6.0)
    prompt = model.embed("a street at night", "blurry")
    branches = () if control is None else (control.branch(_padded(soft_edges(clip.plate), model).to(device)),)
    asked = Clip(clip.background, clip.plate, clip.matte, prompt, run, branches=branches)
    count = len(run.levels(model))
    ours, peak = _timed(lambda: METHODS["rpa"](model, asked), device)
    with tempfile.TemporaryDirectory() as folder:
        loading = _loading(model, Path(folder), dtype, device)
    launches = max(1, round(count / STEPS_PER_LAUNCH))
    theirs = ours + launches * loading
    row = Row(
        "consistency", ours, theirs, theirs / ours, peak,
        f"{count} of {steps} steps; reference: the same, its networks loaded {launches} times ({loading:.1f} s each)",
    )  # fmt: skip
    return [row, _step(model, clip, asked, device)]


def _step(model: CogVideoX, clip: _Pictures, asked: Clip, device: str) -> Row:
    """One step of the transformer beside what the projection adds to it: one decoding and two encodings."""
    latent = model.encode(_padded(clip.plate, model)).mean
    level = model.levels(asked.run.steps)[-1]
    with model.attached(asked.branches):
        predicted, _ = _timed(lambda: model.predict(latent, level, asked.prompt, 6.0), device)
    video = model.decode(latent)

    def project() -> None:
        model.decode(latent)
        model.encode(video)
        model.encode(video)

    projected, peak = _timed(project, device)
    said = f"projection {projected:.3f} s against transformer {predicted:.3f} s: {projected / predicted:.2f} of it"
    return Row("one step", predicted + projected, 0.0, 0.0, peak, said)


def _loading(model: CogVideoX, folder: Path, dtype: torch.dtype, device: str) -> float:
    """Seconds to load the transformer and the codec from a disk's cache, as a new process of the scripts has to."""
    for name, network in (("transformer", model.transformer), ("vae", model.vae)):
        network.save_pretrained(folder / name)
    known: Mapping[str, Any] = {"torch_dtype": dtype, "local_files_only": True, "use_safetensors": True}

    def load() -> None:
        CogVideoXTransformer3DModel.from_pretrained(folder / "transformer", **known).to(device)
        AutoencoderKLCogVideoX.from_pretrained(folder / "vae", **known).to(device)

    return _timed(load, device)[0]


def _timed(work: Callable[[], object], device: str) -> tuple[float, float]:
    """Wall seconds of `work` and the most memory that was in use (of the device, or of the process on a CPU), GiB."""
    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    work()
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated() if on_gpu else peak_memory_bytes() or 0
    return seconds, peak / 2**30


def _padded(frames: torch.Tensor, model: CogVideoX) -> torch.Tensor:
    return pad_frames(frames, model.facts)


def _pictures(frames: int, height: int, width: int, device: str) -> _Pictures:
    draw = torch.Generator().manual_seed(7)
    plate, background = (torch.rand(frames, 3, height, width, generator=draw) * 2 - 1 for _ in range(2))
    matte = torch.zeros(frames, 1, height, width)
    matte[..., height // 4 :, width // 4 : 3 * width // 4] = 1
    return _Pictures(plate.to(device), matte.to(device), background.to(device))
