"""Algorithm 1: against its literal form, and where it departs from it."""

from __future__ import annotations

import pytest
import torch

from platelight_server.engines.anyportal.consistency.refine import Refinement, gaussian
from platelight_server.models.video.interface import BackboneFacts
from tests.anyportal.consistency import literal
from tests.models.video_nets import backbone, video

FLOAT32 = 2e-6  # of code values of size 3
SIGMA_PX = 15.0  # 1.0 at 32 lines
FACTS: BackboneFacts = backbone("2b").facts


def refinement(matte: torch.Tensor, background: torch.Tensor | None = None) -> Refinement:
    return Refinement(video(len(matte), seed=1), matte, FACTS, background, SIGMA_PX)


def box(frames: int = 9) -> torch.Tensor:
    matte = torch.zeros(frames, 1, 32, 48)
    matte[..., 6:26, 10:34] = 1
    return matte


def test_with_a_full_matte_it_is_the_papers() -> None:
    edited, plate, full = video(seed=0), video(seed=1), torch.ones(9, 1, 32, 48)
    wanted = literal.refine(edited, plate, full, torch.zeros_like(edited), sigma=1.0)
    torch.testing.assert_close(refinement(full)(edited).double(), wanted, atol=FLOAT32, rtol=0)


def test_away_from_the_mattes_edge_it_is_the_papers() -> None:
    edited, plate, clean = video(seed=0), video(seed=1), video(seed=2)
    wanted = literal.refine(edited, plate, box(), clean, sigma=1.0)
    near = gaussian(box(), 1.0)
    away = ((near == 0) | (near > 1 - 1e-6)).expand_as(edited)
    assert 0.5 < away.float().mean() < 0.95
    found = refinement(box(), clean)(edited).double()
    torch.testing.assert_close(found[away], wanted[away], atol=FLOAT32, rtol=0)


def test_the_background_does_not_leak_into_the_foreground() -> None:
    edited, matte = video(), box()
    other = edited + 5 * (1 - matte)
    inside = matte.bool().expand_as(edited)
    assert torch.equal(refinement(matte)(edited)[inside], refinement(matte)(other)[inside])
    leaking = literal.refine(other, video(seed=1), matte, other, 1.0) - literal.refine(
        edited, video(seed=1), matte, edited, 1.0
    )
    assert leaking[inside].abs().max() > 0.5


def test_frames_without_foreground_come_back_bit_for_bit_and_unclamped() -> None:
    matte = box()
    matte[2:5] = 0
    edited = 3 * video()
    refined = refinement(matte)(edited)
    same = (refined == edited).flatten(1).all(1)
    assert same.tolist() == [False, False, True, True, True, False, False, False, False]
    assert edited[2:5].abs().max() > 2


def test_outside_the_matte_the_decoded_picture_stays_bit_for_bit() -> None:
    edited, outside = video(), ~box().bool().expand(-1, 3, -1, -1)
    assert torch.equal(refinement(box())(edited)[outside], edited[outside])


def test_a_known_background_stands_outside_the_matte() -> None:
    clean, outside = video(seed=2), ~box().bool().expand(-1, 3, -1, -1)
    refined = refinement(box(), clean)(video())
    torch.testing.assert_close(refined[outside], clean[outside], atol=FLOAT32, rtol=0)


def test_the_foreground_has_the_plates_detail_and_the_edited_light() -> None:
    """A plate that is the edited video under another, smooth light is found again, up to what the blur lets through."""
    plate, full = video(seed=1), torch.ones(9, 1, 32, 48)
    light = torch.linspace(-0.5, 0.5, 48).expand(32, 48)
    refined = refinement(full)(gaussian(plate, 0.8) + light)
    interior = (..., slice(6, -6), slice(6, -6))
    lost = gaussian(gaussian(plate, 0.8), 1.0) - gaussian(plate, 1.0)
    torch.testing.assert_close((refined - lost)[interior], (plate + light)[interior], atol=1e-5, rtol=0)


def test_sigma_grows_with_the_picture() -> None:
    sizes = [(480, 4.0), (240, 2.0), (768, 6.4)]
    for lines, sigma in sizes:
        plate = torch.zeros(1, 3, lines, 16)
        assert Refinement(plate, plate[:, :1], FACTS, sigma_px=4.0).sigma == pytest.approx(sigma)


def test_a_short_clip_is_refined_at_its_padded_count() -> None:
    short, edited = box(6), video(9)
    long = torch.cat([short, short[-1:].expand(3, -1, -1, -1)])
    plate = video(6, seed=1)
    found = Refinement(plate, short, FACTS, sigma_px=SIGMA_PX)(edited)
    padded = torch.cat([plate, plate[-1:].expand(3, -1, -1, -1)])
    assert torch.equal(found, Refinement(padded, long, FACTS, sigma_px=SIGMA_PX)(edited))
