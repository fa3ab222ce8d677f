"""How a shot is cut for HarmoVid: clips that are denoised as one, and in each the windows that the network sees. Pure.

MultiDiffusion couples all frames of a clip, so a clip is the least that can be rendered alone. A shot of more frames is
cut into clips of a fixed length, anchored at its beginning, whose latents cross over (engines/windows.py): a
frame needs its own clip and the one before, whatever part of the shot is rendered, hence a farm's chunks give the same
pixels as the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from platelight.errors import RecipeError
from platelight_server.engines.harmovid.multidiffusion import windows
from platelight_server.engines.harmovid.options import Settings
from platelight_server.engines.windows import Cut, cut

__all__ = ["GROUP", "Extent"]

GROUP = 4  # frames of a latent, after the first
_CODED = 8  # frames of which the codec takes multiples after the first, twice that in CogVideoX 1.5
WINDOWS = 4  # of a clip, where nothing else is asked for
_PUBLISHED = (49, 480, 720)  # CogVideoX 1.0
_LATER = (81, 768, 1360)  # 1.5, whose config names 300 x 300 latents, the reach of its positions


@dataclass(frozen=True)
class Extent:
    """Frames and canvas of a job, all numbers decided. `align` latents are one for the network (2 in CogVideoX 1.5)."""

    window_frames: int
    window_overlap: int
    clip_frames: int
    clip_overlap: int
    lines: int
    columns: int
    align: int

    @classmethod
    def of(cls, settings: Settings, config: Mapping[str, Any] | None) -> Extent:
        """With what the transformer's `config` decides filled in; without one that of CogVideoX 1.0."""
        frames, lines, columns, align = _seen(config)
        frames = settings.window_frames or frames
        latents = (frames - 1) // GROUP + align
        shared = max(2 * align, latents // 3 // align * align)
        overlap = settings.window_overlap or shared * GROUP
        clip = settings.clip_frames or frames + (WINDOWS - 1) * max(GROUP, latents * GROUP - overlap)
        return cls(
            frames, overlap, clip, settings.clip_overlap, settings.lines or lines, settings.columns or columns, align
        )

    def cut(self, count: int) -> Cut:
        """The clips of a shot of `count` frames. Raises `RecipeError` for lengths that do not fit together."""
        self._refuse_window()
        self._refuse_clip()
        return cut(count, self.clip_frames, self.clip_overlap, GROUP)

    def spans(self, latents: int) -> tuple[range, ...]:
        """The windows of a clip of `latents` latents, those before its first frame included."""
        return windows(latents, self._latents, self.window_overlap // GROUP, self.align)

    @property
    def _latents(self) -> int:
        return (self.window_frames - 1) // GROUP + self.align

    @property
    def _has_one_window(self) -> bool:
        """Whether a window holds every clip, which is filled up to a count that the codec takes."""
        filled = -(-(self.clip_frames - 1) // (_CODED * self.align)) * _CODED * self.align
        return filled // GROUP + self.align <= self._latents

    def _refuse_window(self) -> None:
        step, most = GROUP * self.align, (self._latents // 2) * GROUP
        least = 1 if self._has_one_window else 1 + 3 * step  # shorter ones could not overlap enough
        if (self.window_frames - 1) % step or self.window_frames < least:
            expected = f"1 + a multiple of {step} frames" + (
                f", at least {least}" if self.window_frames < least else ""
            )
            raise RecipeError("engine.options.window_frames", expected, str(self.window_frames))
        if not self._has_one_window and (self.window_overlap % GROUP or not 2 * step <= self.window_overlap <= most):
            raise RecipeError(
                "engine.options.window_overlap",
                f"a multiple of {GROUP} frames from {2 * step} to {most}, half of a window of {self.window_frames}",
                str(self.window_overlap),
            )

    def _refuse_clip(self) -> None:
        if (self.clip_frames - 1) % GROUP:
            raise RecipeError("engine.options.clip_frames", f"1 + a multiple of {GROUP} frames", str(self.clip_frames))
        most = (self.clip_frames - 1) // 2 // GROUP * GROUP
        if self.clip_overlap % GROUP or self.clip_overlap > most:
            raise RecipeError(
                "engine.options.clip_overlap",
                f"a multiple of {GROUP} frames up to {most}, half of a clip of {self.clip_frames}",
                str(self.clip_overlap),
            )


def _seen(config: Mapping[str, Any] | None) -> tuple[int, int, int, int]:
    """Frames, lines, columns and align of a transformer."""
    if config is None:
        return (*_PUBLISHED, 1)
    if config.get("patch_size_t"):
        return (*_LATER, int(config["patch_size_t"]))
    return int(config["sample_frames"]), 8 * int(config["sample_height"]), 8 * int(config["sample_width"]), 1
