"""How much of a true relight the finish carries, on the rendered shots: a perfect model, and the same made noisy.

The truth itself, brought down by area, plays the model (facts/data-and-evaluation.md §3b). Every condition is compared
with the best fixed blur: the matte-normalised mean of log ratios with one sigma for the picture.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from platelight_server.color.encoding import srgb_encode
from platelight_server.engines.interface import Pictures
from platelight_server.finish.change import GAIN_LIMIT_STOPS, estimate_change
from platelight_server.finish.upsample import Enlarged
from tests.finish.finish_scenes import LUMINANCE, down, model_pictures

pytestmark = pytest.mark.dev_data

SHOTS = ("gt_bust_sunset", "gt_creature_forest", "gt_dancer_neon")
FRAMES = (1013,)
SIGMAS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)
# What issue 2 asks of a perfect model, in dB: foreground and edge, at half and at quarter size.
TARGETS = {2: (30.0, 28.5), 4: (26.5, 26.3)}
AIM_QUARTER_DB = 28.0
# A known limit: drift that changes every dozen model pixels, in a picture of 120, is not all found; edges then are up
# to 0.2 dB below the best blur.
BY_PARTS_DB = 0.2


@dataclass(frozen=True)
class TruthFrame:
    """fg_a, fg_b (3, H, W) premultiplied, truth (3, H, W), matte (1, H, W), all float32; regions (H, W) bool."""

    fg_a: torch.Tensor
    fg_b: torch.Tensor
    truth: torch.Tensor
    matte: torch.Tensor
    foreground: torch.Tensor
    edge: torch.Tensor

    def score(self, relit: torch.Tensor) -> tuple[float, float]:
        """psnr_disp_fg and psnr_disp_edge as score.py has them, over the background with its true shadow."""
        shown = srgb_encode(self.truth - self.fg_b + relit) - srgb_encode(self.truth)
        squares = shown.square().mean(0)
        return tuple(float(-10 * squares[m].mean().log10()) for m in (self.foreground, self.edge))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def shots() -> dict[str, list[TruthFrame]]:
    dev = Path(__file__).resolve().parents[3] / "shared" / "data" / "dev"
    scorer = _scorer(dev.parent / "score.py")
    return {name: [_read(scorer, dev / name, frame) for frame in FRAMES] for name in SHOTS}


def _scorer(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("platelight_dev_score", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _read(scorer: ModuleType, shot: Path, frame: int) -> TruthFrame:
    def rgb(layer: str) -> torch.Tensor:
        path = str(shot / layer / f"{layer}.{frame}.exr")
        return torch.from_numpy(np.moveaxis(scorer.stack(scorer.read_exr(path), "RGB", path), -1, 0).copy())

    matte = next(iter(scorer.read_exr(str(shot / "matte" / f"matte.{frame}.exr")).values()))
    soft = ((matte > 0.01) & (matte < 0.99)).astype(np.uint8)
    edge = scorer.cv2.dilate(soft, scorer.disk(2)) > 0
    return TruthFrame(
        rgb("fg_a"),
        rgb("fg_b"),
        rgb("comp_b"),
        torch.from_numpy(matte)[None],
        torch.from_numpy(matte > 0.95),
        torch.from_numpy(edge),
    )


Carry = Callable[[TruthFrame, Pictures, torch.Tensor], torch.Tensor]


def _finished(frame: TruthFrame, pictures: Pictures, matte: torch.Tensor) -> torch.Tensor:
    height, width = frame.fg_a.shape[1:]
    change = estimate_change(pictures, matte, LUMINANCE)
    gain = Enlarged(change.gain, height, width, keep_means=True).rows(0, height)
    fill = Enlarged(change.fill, height, width, keep_means=True).rows(0, height).clamp_min(0)
    return frame.fg_a * gain.exp2() + frame.matte * fill


def _blurred(sigma: float) -> Carry:
    def carry(frame: TruthFrame, pictures: Pictures, matte: torch.Tensor) -> torch.Tensor:
        floor, weight = 5e-4, matte + 1e-4
        ratio = ((pictures.relit.clamp_min(0) + floor) / (pictures.roundtrip.clamp_min(0) + floor)).log2()
        gain = _gaussian(weight * ratio, sigma) / _gaussian(weight, sigma)
        gain = gain.clamp(-GAIN_LIMIT_STOPS, GAIN_LIMIT_STOPS)
        up = F.interpolate(gain[None], frame.fg_a.shape[1:], mode="bilinear", align_corners=False)[0]
        return frame.fg_a * up.exp2()

    return carry


def _gaussian(x: torch.Tensor, sigma: float) -> torch.Tensor:
    if sigma == 0:
        return x
    reach = int(np.ceil(3 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).view(1, 1, 1, -1).expand(x.shape[0], 1, 1, -1)
    rows = F.conv2d(F.pad(x[None], (reach, reach, 0, 0), mode="replicate"), taps, groups=x.shape[0])
    columns = F.pad(rows, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(columns, taps.transpose(2, 3), groups=x.shape[0])[0]


def _db(shots: dict[str, list[TruthFrame]], carry: Carry, factor: int, codes_rms: float, drift: str) -> np.ndarray:
    """(shots, 2) foreground and edge PSNR, means over frames."""
    scores = []
    for frames in shots.values():
        each = []
        for seed, frame in enumerate(frames):
            source, truth, matte = (down(x, factor) for x in (frame.fg_a, frame.fg_b, frame.matte))
            exact = codes_rms == 0 and not drift
            pictures = (
                Pictures(source, source, truth, True)
                if exact
                else model_pictures(source, truth, codes_rms, drift, seed, True)
            )
            each.append(frame.score(carry(frame, pictures, matte)))
        scores.append(np.mean(each, 0))
    return np.array(scores)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_perfect_model_is_carried(shots: dict[str, list[TruthFrame]], factor: int) -> None:
    foreground, edge = _db(shots, _finished, factor, 0.0, "").mean(0)
    assert foreground >= TARGETS[factor][0]
    assert edge >= TARGETS[factor][1]
    if factor == 4:
        assert foreground >= AIM_QUARTER_DB


@pytest.mark.slow
@pytest.mark.parametrize("drift", ["", "relit", "both", "relit by parts"])
@pytest.mark.parametrize("codes_rms", [1.0, 4.0])
@pytest.mark.parametrize("factor", [2, 4])
def test_a_noisy_model_is_never_below_the_best_fixed_blur(
    shots: dict[str, list[TruthFrame]], factor: int, codes_rms: float, drift: str
) -> None:
    allowed = BY_PARTS_DB if drift == "relit by parts" and factor == 4 else 0.0
    found = _db(shots, _finished, factor, codes_rms, drift)
    fixed = np.stack([_db(shots, _blurred(sigma), factor, codes_rms, drift) for sigma in SIGMAS])
    assert bool((found.mean(0) >= fixed.mean(1).max(0) - allowed).all())
    if drift != "relit by parts":
        assert bool((found >= fixed.max(0)).all()), "a single shot is below its own best blur"
