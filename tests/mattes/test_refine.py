"""The guided filter: a coarse mask lands on the plate's edge; away from edges it stays whole."""

from __future__ import annotations

import numpy as np
import torch

from platelight_server.mattes.refine import guided_filter, refined


def picture(height: int = 128, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """(3, H, W) code values of a bright shape before a dark ground, with the shape's alpha."""
    y, x = np.mgrid[0:height, 0:width]
    alpha = np.clip((40 + 6 * np.sin(np.arctan2(y - 64, x - 80) * 7) - np.hypot(x - 80, y - 64)) / 2 + 0.5, 0, 1)
    grain = np.random.default_rng(0).normal(0, 0.01, (3, height, width))
    code = np.stack([0.2 + 0.5 * alpha, 0.3 + 0.2 * alpha, 0.25 + 0.1 * alpha]) + grain
    return code.astype(np.float32), alpha.astype(np.float32)


def logits_of(alpha: np.ndarray, scale: int = 4) -> torch.Tensor:
    small = torch.nn.functional.avg_pool2d(torch.from_numpy(alpha)[None], scale)[0]
    return torch.where(small > 0.5, 8.0, -8.0)


def test_edge_is_the_plates() -> None:
    code, alpha = picture()
    logits = logits_of(alpha)
    plain = torch.nn.functional.interpolate(logits[None, None].sigmoid(), alpha.shape, mode="bilinear")[0, 0].numpy()
    found = refined(logits, code)
    assert found.shape == (1, *alpha.shape) and found.dtype == np.float32
    assert np.abs(found[0] - alpha).mean() < 0.2 * np.abs(plain - alpha).mean()


def test_inside_and_outside_are_whole() -> None:
    code, alpha = picture()
    found = refined(logits_of(alpha), code)[0]
    y, x = np.mgrid[0:128, 0:160]
    distance = np.hypot(x - 80, y - 64)
    assert found[distance < 12].min() == 1.0
    assert found[distance > 74].max() == 0.0
    assert found.min() >= 0.0 and found.max() <= 1.0


def test_mask_without_an_edge_stays_as_it_is() -> None:
    code, _ = picture()
    assert refined(torch.full((32, 40), 9.0), code).min() == 1.0
    assert refined(torch.full((32, 40), -9.0), code).max() == 0.0


def test_filter_gives_back_what_is_linear_in_the_guide() -> None:
    guide = np.random.default_rng(1).random((3, 40, 50)).astype(np.float32)
    values = 0.2 + 0.5 * guide[0] - 0.3 * guide[2]
    assert np.abs(guided_filter(guide, values, 4, 1e-9) - values).max() < 1e-4
