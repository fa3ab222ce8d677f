"""The papers' metrics that networks answer. A network is loaded with the first frame that is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from .frame import Frame
from .metric import Gauge, Metric, Setting
from .models import absent
from .motion import REFERENCE, reference_of
from .picture import REGIONS

if TYPE_CHECKING:
    from .clip import Clip

__all__ = [
    "ArcFaceDistance",
    "ClipConsistency",
    "FrameAccuracy",
    "IdentityDistance",
    "PerceptualDistance",
    "RaftFlowError",
]


class _Learned(Gauge):
    @classmethod
    def unavailable(cls, setting: Setting) -> str:
        return "; ".join(filter(None, (absent(name, setting) for name in cls.models)))


class _ClipGauge(_Learned):
    needs = ()
    models = ("clip-vit-large-patch14",)

    def clip(self) -> Clip:
        """CLIP, shared by all gauges."""
        from .clip import clip

        return clip(self.setting.roots, self.setting.device)


class ClipConsistency(_ClipGauge):
    """AnyPortal's Tem-Con, which HarmoVid's CLIP score is too."""

    metrics = (
        Metric(
            "clip_consistency",
            "mean cosine of CLIP's embeddings of consecutive frames",
            REGIONS["full"],
            "higher",
            "AnyPortal, Tem-Con; HarmoVid, CLIP score (inferred from its range); the papers' variant is not stated",
        ),
    )

    def add(self, now: Frame, before: Frame | None) -> None:
        if before is not None:
            self.note("clip_consistency", now, float(self.clip().frame(now) @ self.clip().frame(before)))


class FrameAccuracy(_ClipGauge):
    """AnyPortal's Fram-Acc."""

    metrics = (
        Metric(
            "frame_accuracy",
            "share of frames whose embedding is nearer to --prompt than to --source-prompt",
            REGIONS["full"],
            "higher",
            "AnyPortal, Fram-Acc; the paper's variant of CLIP is not stated",
        ),
    )

    @classmethod
    def unavailable(cls, setting: Setting) -> str:
        if not (setting.prompt and setting.source_prompt):
            return "--prompt and --source-prompt"
        return super().unavailable(setting)

    def add(self, now: Frame, before: Frame | None) -> None:
        seen = self.clip().frame(now)
        near, far = (float(seen @ self.clip().text(text)) for text in (self.setting.prompt, self.setting.source_prompt))
        self.note("prompt_similarity", now, near)
        self.note("source_similarity", now, far)

    def values(self) -> Mapping[str, float | None]:
        near, far = self.curves["prompt_similarity"], self.curves["source_similarity"]
        hits = [near[frame] > far[frame] for frame in near]
        return {"frame_accuracy": sum(hits) / len(hits) if hits else None}


class PerceptualDistance(_Learned):
    """LPIPS between result and truth."""

    metrics = (
        Metric(
            "lpips_full",
            "LPIPS 0.1 (AlexNet) of sRGB, mean over frames; needs 63 px a side",
            REGIONS["full"],
            "lower",
            "Zhang et al. 2018; HarmoVid, PAI-Studio (their network is not stated)",
            step=0.01,
        ),
    )
    needs = ("truth",)
    models = ("lpips-alex",)

    def add(self, now: Frame, before: Frame | None) -> None:
        from .lpips import LEAST_PX, lpips

        if min(now.result.shape[:2]) < LEAST_PX:
            return
        network = lpips(self.setting.roots, self.setting.device)
        first, second = (
            torch.from_numpy(codes).permute(2, 0, 1)[None].to(self.setting.device) * 2 - 1
            for codes in (now.result_display, now.truth_display)
        )
        self.note("lpips_full", now, float(network(first, second)))


class IdentityDistance(_Learned):
    """AnyPortal's ID-Psrv, with a recogniser whose licence allows commercial use."""

    metrics = (
        Metric(
            "identity_distance",
            "1 - cosine of SFace's description of the largest face, result and plate, mean over frames with a face "
            "(YuNet, score over 0.8, found on the plate)",
            "the largest face of the plate",
            "lower",
            "AnyPortal, ID-Psrv (there with ArcFace: see identity_arcface)",
            step=0.01,
        ),
    )
    needs = ("plate",)
    models = ("opencv-faces",)

    def add(self, now: Frame, before: Frame | None) -> None:
        from .faces import faces

        networks = faces(self.setting.roots)
        face = networks.largest(now.plate_display)
        if face is not None:
            self.note("identity_distance", now, networks.distance(now.plate_display, now.result_display, face))


class ArcFaceDistance(_Learned):
    """AnyPortal's ID-Psrv, with the recogniser that it names; its weights are not for commercial use."""

    metrics = (
        Metric(
            "identity_arcface",
            "1 - cosine of ArcFace's description (ResNet-50, WebFace600K) of the largest face, result and plate, found "
            "and aligned as for identity_distance, mean over frames with a face",
            "the largest face of the plate",
            "lower",
            "AnyPortal, ID-Psrv; Deng et al. 2019 (the paper's weights are not stated)",
            step=0.01,
        ),
    )
    needs = ("plate",)
    models = ("opencv-faces", "arcface-w600k-r50")

    def add(self, now: Frame, before: Frame | None) -> None:
        from .arcface import arcface
        from .faces import faces

        finder, describer = faces(self.setting.roots), arcface(self.setting.roots)
        face = finder.largest(now.plate_display)
        if face is None:
            return
        wanted, found = (
            describer.description(finder.aligned(picture, face)) for picture in (now.plate_display, now.result_display)
        )
        self.note("identity_arcface", now, max(0.0, 1 - float(wanted @ found)))


class RaftFlowError(_Learned):
    """HarmoVid's motion preservation, with the network that it names."""

    metrics = (
        Metric(
            "motion_epe_raft_fg",
            "mean |flow(result) - flow(reference)| of RAFT, 20 steps, from each frame to the next, in pixels of the "
            f"plate (frames over 960 px are seen smaller); reference is {REFERENCE}; mean over frames",
            f"{REGIONS['fg']}, of the earlier frame",
            "lower",
            "HarmoVid, Motion Preservation; Teed and Deng 2020 (the paper's weights and frame size are not stated)",
            "px",
        ),
    )
    needs = ("reference", "matte")
    models = ("raft-things",)

    def add(self, now: Frame, before: Frame | None) -> None:
        if before is None or not before.fg.any():
            return
        from .raft import raft

        network = raft(self.setting.roots, self.setting.device)
        which = reference_of(now)
        wanted = now.once(f"RAFT of {which}", lambda: network.flow(before.codes(which), now.codes(which)))
        found = network.flow(before.codes("result"), now.codes("result"))
        self.note("motion_epe_raft_fg", now, float(np.hypot(*(found - wanted)[before.fg].T).mean()))
