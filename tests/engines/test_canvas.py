"""What models see of a picture, and the way back."""

from __future__ import annotations

import pytest
import torch

from platelight_server.engines.canvas import Canvas, Colors

REC709 = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
# ACEScg (AP1, D60) to linear Rec.709 (D65), Bradford: the usual published matrix.
AP1 = ((1.70505, -0.62179, -0.08326), (-0.13026, 1.14080, -0.01055), (-0.02400, -0.12897, 1.15297))
CURVE_ERROR = 2e-5  # relative: the shoulder's inverse in float32


@pytest.mark.parametrize("matrix", [REC709, AP1])
def test_light_within_reach_comes_back(matrix: tuple[tuple[float, float, float], ...]) -> None:
    light = torch.tensor([0.001, 0.18, 1.0, 16.0]).repeat(3, 1).unsqueeze(1)
    colors = Colors(matrix)
    codes = colors.encode(light)
    assert codes.min() >= -1 and codes.max() <= 1
    assert torch.allclose(colors.decode(codes), light, rtol=CURVE_ERROR * 20, atol=1e-6)


def test_a_picture_lies_in_the_corner_unsqueezed_and_is_taken_back() -> None:
    picture = torch.rand(2, 3, 45, 80, generator=torch.Generator().manual_seed(3))
    canvas = Canvas.of(45, 80, ((60, 90), (90, 60)), 16)
    laid = canvas.lay(picture)
    assert laid.shape == (2, 3, 60, 90)
    assert torch.equal(canvas.take(laid), picture)
    assert torch.equal(laid[..., 45:, :80], picture[..., 44:45, :].expand(-1, -1, 15, -1))


def test_without_canvases_the_next_multiple_is_taken() -> None:
    canvas = Canvas.of(45, 80, (), 16)
    assert (canvas.canvas_height, canvas.canvas_width) == (48, 80)


def test_a_picture_larger_than_all_canvases_is_refused() -> None:
    with pytest.raises(ValueError, match="got 61 x 90"):
        Canvas.of(61, 90, ((60, 90),), 16)
