"""The papers' metrics that networks answer. A network is loaded with the first frame that is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from .frame import Frame
from .metric import Gauge, Metric, Setting
from .models import absent
from .picture import REGIONS

if TYPE_CHECKING:
    from .clip import Clip

__all__ = ["ClipConsistency", "FrameAccuracy", "IdentityDistance", "PerceptualDistance"]


class _ClipGauge(Gauge):
    needs = ()
    model = "clip-vit-large-patch14"

    @classmethod
    def unavailable(cls, setting: Setting) -> str:
        return absent(cls.model, setting)

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


class PerceptualDistance(Gauge):
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
    model = "lpips-alex"

    @classmethod
    def unavailable(cls, setting: Setting) -> str:
        return absent(cls.model, setting)

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


class IdentityDistance(Gauge):
    """AnyPortal's ID-Psrv, with a recogniser whose licence allows commercial use."""

    metrics = (
        Metric(
            "identity_distance",
            "1 - cosine of SFace's description of the largest face, result and plate, mean over frames with a face "
            "(YuNet, score over 0.8, found on the plate)",
            "the largest face of the plate",
            "lower",
            "AnyPortal, ID-Psrv (there with ArcFace, so its table cannot be compared with)",
            step=0.01,
        ),
    )
    needs = ("plate",)
    model = "opencv-faces"

    @classmethod
    def unavailable(cls, setting: Setting) -> str:
        return absent(cls.model, setting)

    def add(self, now: Frame, before: Frame | None) -> None:
        from .faces import faces

        networks = faces(self.setting.roots)
        face = networks.largest(now.plate_display)
        if face is not None:
            self.note("identity_distance", now, networks.distance(now.plate_display, now.result_display, face))
