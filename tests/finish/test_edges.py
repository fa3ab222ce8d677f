"""Colours at soft edges, and a screen's spill."""

from __future__ import annotations

import pytest
import torch

from platelight_server.finish.edges import TILE, SoftEdges, split_edges
from platelight_server.finish.spill import detect_screen, suppress_spill

# float32 sums of three products of the plate's size.
ROUNDING = 4e-6
# Share of the old background's squared error left in soft pixels; the rest is the texture that no estimate knows.
LEFT = 0.05
SIZE = 192


def _soft_disk() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    return ((60 - ((y - 96.0) ** 2 + (x - 96.0) ** 2).sqrt()) / 10 + 0.5).clamp(0, 1)[None]


def _two_colours() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    fore = torch.tensor([0.9, 0.3, 0.2]).view(3, 1, 1) * (1 + 0.05 * torch.randn(3, SIZE, SIZE, generator=generator))
    back = torch.tensor([0.1, 0.8, 0.2]).view(3, 1, 1) * (1 + 0.05 * torch.randn(3, SIZE, SIZE, generator=generator))
    matte = _soft_disk()
    return matte * fore + (1 - matte) * back, matte, fore, back


def _each(edges: SoftEdges, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([x[:, r : r + TILE, c : c + TILE] for r, c in zip(edges.rows, edges.columns, strict=True)])


def test_foreground_and_background_make_the_plate() -> None:
    plate, matte, _, _ = _two_colours()
    edges = split_edges(plate, matte)
    alpha = _each(edges, matte)
    rebuilt = alpha * edges.foreground + (1 - alpha) * edges.background
    settled = (1 - alpha).expand_as(rebuilt) >= 1e-3
    assert float((rebuilt - _each(edges, plate))[settled].abs().max()) <= ROUNDING


def test_pure_pixels_are_the_plate_bit_for_bit() -> None:
    plate, matte, _, _ = _two_colours()
    edges = split_edges(plate, matte)
    image, alpha = _each(edges, plate), _each(edges, matte).expand(-1, 3, -1, -1)
    assert torch.equal(image[alpha == 1], edges.foreground[alpha == 1])
    assert torch.equal(image[alpha == 0], edges.background[alpha == 0])


def test_soft_pixels_lose_the_old_background() -> None:
    plate, matte, fore, back = _two_colours()
    edges = split_edges(plate, matte)
    alpha = _each(edges, matte).expand(-1, 3, -1, -1)
    soft = (alpha > 0.1) & (alpha < 0.9)
    before = (_each(edges, plate) - _each(edges, fore))[soft].square().mean()
    after = (edges.foreground - _each(edges, fore))[soft].square().mean()
    assert float(after) < LEFT * float(before)
    assert float((edges.background - _each(edges, back))[soft].square().mean()) < LEFT * float(before)


def test_colours_behind_the_foreground_are_those_around_it() -> None:
    plate, matte, _, _ = _two_colours()
    behind = split_edges(plate, matte).wide_background
    middle = behind[:, behind.shape[1] // 2, behind.shape[2] // 2]
    assert torch.allclose(torch.tensor([0.1, 0.8, 0.2]), middle, atol=0.05)


@pytest.mark.parametrize("matte", [torch.zeros(1, 100, 70), torch.ones(1, 100, 70)], ids=["empty", "full"])
def test_mattes_without_soft_edges_cost_no_tiles(matte: torch.Tensor) -> None:
    edges = split_edges(torch.rand(3, 100, 70, generator=torch.Generator().manual_seed(1)), matte)
    assert edges.rows == []
    assert bool(torch.isfinite(edges.wide_background).all())


def test_a_matte_that_is_soft_everywhere_is_taken() -> None:
    plate = torch.rand(3, 100, 70, generator=torch.Generator().manual_seed(1))
    edges = split_edges(plate, torch.full((1, 100, 70), 0.5))
    assert bool(torch.isfinite(edges.foreground).all())
    assert len(edges.rows) == 4


def test_plates_with_broken_pixels_leave_no_holes() -> None:
    plate, matte, _, _ = _two_colours()
    plate[:, 96, 36] = float("nan")
    edges = split_edges(plate, matte)
    assert bool(torch.isfinite(edges.foreground).all() and torch.isfinite(edges.background).all())


def test_screens_are_told_by_what_lies_outside_the_matte() -> None:
    plate, matte, _, _ = _two_colours()
    assert detect_screen(plate, matte) == "green"
    assert detect_screen(plate[[1, 0, 2]], matte) is None
    assert detect_screen(plate[[0, 2, 1]], matte) == "blue"
    assert detect_screen(plate, torch.ones_like(matte)) is None


def test_meadows_are_not_screens() -> None:
    generator = torch.Generator().manual_seed(8)
    grass = torch.tensor([0.10, 0.13, 0.04]).view(3, 1, 1) * torch.randn(1, SIZE, SIZE, generator=generator).exp2()
    assert detect_screen(grass, torch.zeros(1, SIZE, SIZE)) is None


def test_spill_is_taken_and_other_colours_stay_bit_for_bit() -> None:
    colours = torch.tensor([[0.5, 0.9, 0.4], [0.9, 0.5, 0.4], [0.8, 0.8, 0.1], [-0.1, -0.2, 5.0]]).T[:, None, :]
    matte = torch.ones(1, 1, 4)
    held = suppress_spill(colours, matte, "green")
    assert held[:, 0, 0].tolist() == pytest.approx([0.5, 0.5, 0.4])
    assert torch.equal(colours[:, :, 1:], held[:, :, 1:])
    assert torch.equal(colours, suppress_spill(colours, matte, "green", 0.0))


def test_spill_in_the_thin_edge_turns_neutral() -> None:
    rim = torch.tensor([0.4, 0.5, 0.2]).view(3, 1, 1)
    assert float(suppress_spill(rim, torch.full((1, 1, 1), 0.0), "green")[1]) == pytest.approx(0.3)
