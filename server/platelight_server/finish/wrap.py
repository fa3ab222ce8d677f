"""Light wrap: what a bright background spills around the edge of whatever stands before it, as additional fill."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from platelight_server.finish.pyramid import smooth

# The reach of the wrap as a share of the picture's height: 1080 lines wrap about 10 pixels.
_REACH = 0.01


def wrap_fill(background: torch.Tensor, matte: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Background light blurred over the foreground's edge, to be added to a change's fill. (3, *size) float32, >= 0.

    background  (3, H, W) float, scene-linear, working primaries, may be <0 and >1
    matte       (1, H, W) float, 0..1
    The foreground's inside, farther from the edge than the reach, gets none.
    """
    step = max(1, matte.shape[1] // (2 * size[0]))
    light = background[:, ::step, ::step].float().clamp(0, 65504).nan_to_num()
    open_ = 1 - matte[:, ::step, ::step].float()
    light, open_ = (F.interpolate(x[None], size, mode="area")[0] for x in (light * open_, open_))
    wrapped = light
    for dilation in _dilations(_REACH * size[0]):
        wrapped = smooth(wrapped, dilation)
    return wrapped * (1 - open_)


def _dilations(sigma: float) -> list[int]:
    """Binomial passes of growing dilation (standard deviation = dilation) that together reach `sigma` pixels."""
    found, variance, dilation = [1], 1, 2
    while variance + dilation**2 <= sigma**2:
        found.append(dilation)
        variance += dilation**2
        dilation += 1
    return found
