from __future__ import annotations

import torch
import torch.nn.functional as F

from platelight_server.engines.light.anchors import choose_anchor, cuts


def disc(radius: float) -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 24), torch.linspace(-1, 1, 32), indexing="ij")
    return ((x * x + y * y).sqrt() < radius).float()[None]


def test_the_anchor_is_where_there_is_most_of_the_subject() -> None:
    assert choose_anchor([disc(0), disc(0), disc(0.1), disc(0.7), disc(0.5), disc(0.7)]) == 3


def test_grain_in_a_matte_is_no_subject() -> None:
    assert choose_anchor([torch.full((1, 24, 32), 0.0005), disc(0.1)]) == 1


def test_without_a_subject_there_is_no_anchor() -> None:
    assert choose_anchor([disc(0), torch.full((1, 24, 32), 0.0005)]) is None
    assert choose_anchor([]) is None


def scenery(seed: int) -> torch.Tensor:
    """(3, 64, 256) in 0.1..0.9, smooth."""
    coarse = torch.rand(1, 3, 8, 32, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(64, 256), mode="bicubic")[0].clamp(0, 1) * 0.8 + 0.1


def pan(seed: int, frames: int, speed: int) -> list[torch.Tensor]:
    return [scenery(seed)[:, :, index * speed : index * speed + 96] for index in range(frames)]


def grain(frames: int) -> torch.Tensor:
    return 0.03 * torch.randn(frames, 3, 64, 96, generator=torch.Generator().manual_seed(7))


def test_cuts_are_found_in_moving_shots() -> None:
    shot = torch.stack([*pan(1, 12, 3), *pan(2, 9, 2), *pan(3, 10, 4)])
    assert cuts(shot + grain(31)) == (12, 21)


def test_a_cut_next_to_the_end_is_found() -> None:
    assert cuts(torch.stack([*pan(1, 9, 3), *pan(2, 1, 0)])) == (9,)


def test_fast_pans_flashes_fades_and_flat_pictures_are_no_cuts() -> None:
    quick = torch.stack(pan(1, 16, 10))
    assert cuts(quick) == ()
    flash = torch.stack(pan(1, 12, 2))
    flash[5] = 0.9 + 0.1 * torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(1))
    assert cuts(flash + grain(12)) == ()
    fade = torch.stack(pan(1, 12, 2)) * torch.linspace(1, 0.02, 12)[:, None, None, None]
    assert cuts(fade) == ()
    assert cuts(0.5 + grain(10)) == ()
    assert cuts(torch.zeros(1, 3, 8, 8)) == ()
