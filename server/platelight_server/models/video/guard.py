"""Stops a run whose numbers are no longer numbers, where it happens and with what to do about it."""

from __future__ import annotations

import torch

from platelight.errors import ModelError, RecipeError
from platelight_server.models.video.interface import Prediction, VideoBackbone

__all__ = ["require_finite"]


def require_finite(prediction: Prediction, backbone: VideoBackbone, step: int, steps: int) -> None:
    """Raises naming the step (from 1) where a prediction holds infinities or NaN.

    RecipeError where the precision asked for is too narrow for the model, else ModelError.
    """
    if bool(torch.isfinite(prediction.clean).all()):
        return
    name, wide = backbone.facts.name, backbone.facts.precision
    found = f"values that are not finite at step {step} of {steps} in {str(backbone.dtype).removeprefix('torch.')}"
    if backbone.dtype == torch.float16 and wide != "float16":
        raise RecipeError("engine.precision", f"{wide} or float32 for {name}", found)
    raise ModelError(f"{name}: expected finite latents, got {found}; check its files with `platelight models verify`")
