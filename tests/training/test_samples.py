"""Each path is shown the matte, the composite and the target that the paper gives it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from platelight.errors import InputError
from platelight_server.color.encoding import Shoulder
from platelight_server.engines.harmovid import alpha
from platelight_server.training.clips import read_role
from platelight_server.training.config import MaskPart
from platelight_server.training.fill import filled
from platelight_server.training.samples import Item, Sampler, build, items_of
from tests.training.small import FRAMES, HEIGHT, WIDTH, config, write_dataset

HALF = 2e-3  # of codes: the pictures are stored as half


def items(base: Path, dataset: Path, kind: str = "harmonizer", **changed: object) -> list[Item]:
    return items_of(config(base, dataset, dataset / "run", kind, **changed))[0]


def role(item: Item, name: str) -> torch.Tensor:
    return read_role(item.folder, item.clip, name, item.clip.frames.frames, HEIGHT, WIDTH)


def codes(light: torch.Tensor) -> torch.Tensor:
    return Shoulder().encode(light) * 2 - 1


def test_real_to_synthetic_has_a_binary_mask_and_the_relit_target(base: Path, dataset: Path) -> None:
    item = next(one for one in items(base, dataset) if one.path == "real-to-synthetic")
    settings = config(base, dataset, dataset / "run")
    sample = build(item, settings.data, settings.masks, 0)
    mask = alpha.binary(role(item, "matte"))
    assert torch.equal(sample.matte, mask)
    assert set(sample.matte.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(sample.target, codes(role(item, "relit")))
    assert sample.background is not None
    assert torch.equal(sample.background, codes(role(item, "background")))
    expected = alpha.composite(role(item, "plate"), mask, role(item, "background"))
    assert torch.equal(sample.composite, codes(expected))


def test_synthetic_to_real_has_a_soft_matte_and_the_real_target(base: Path, dataset: Path) -> None:
    item = next(one for one in items(base, dataset) if one.path == "synthetic-to-real")
    settings = config(base, dataset, dataset / "run")
    sample = build(item, settings.data, settings.masks, 0)
    matte = role(item, "matte")
    drawn = ((sample.matte > 0) & (sample.matte < 1)).float().mean()
    assert drawn > 0.02
    assert torch.equal(sample.target, codes(role(item, "plate")))
    behind = filled(role(item, "plate"), matte)
    assert sample.background is not None
    assert torch.equal(sample.background, codes(behind))
    assert torch.equal(sample.composite, codes(alpha.composite(role(item, "relit"), sample.matte, behind)))


def test_the_soft_matte_has_the_width_that_was_drawn(base: Path, dataset: Path) -> None:
    item = next(one for one in items(base, dataset) if one.path == "synthetic-to-real")
    data = config(base, dataset, dataset / "run").data
    masks = MaskPart(width_least=0.15, width_most=0.15)
    width = alpha.width_px(role(item, "matte"), 0.15)
    assert torch.equal(build(item, data, masks, 0).matte, alpha.ramp(role(item, "matte"), width))
    inward = build(item, data, MaskPart(("inward",), 0.15, 0.15), 0).matte
    assert torch.equal(inward, alpha.inward(role(item, "matte"), width))


def test_variants_differ_and_windows_of_a_clip_share_their_draw(base: Path, dataset: Path) -> None:
    data = config(base, dataset, dataset / "run").data
    masks = MaskPart(width_least=0.05, width_most=0.2)
    found = [one for one in items(base, dataset, data={"variants": 2}) if one.path == "synthetic-to-real"]
    first, second = (build(replace(found[0], variant=i), data, masks, 0).matte for i in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first, build(found[0], data, masks, 0).matte)


def test_the_deflicker_path_asks_for_the_plate_behind_a_binary_mask(base: Path, dataset: Path) -> None:
    item = items(base, dataset, "deflicker")[0]
    settings = config(base, dataset, dataset / "run", "deflicker")
    sample = build(item, settings.data, settings.masks, 0)
    mask = alpha.binary(role(item, "matte"))
    assert torch.equal(sample.matte, mask)
    assert sample.background is None
    assert torch.equal(sample.target, codes(role(item, "plate")))
    inside = mask.expand(-1, 3, -1, -1) > 0
    assert torch.equal(sample.composite[inside], codes(role(item, "flicker"))[inside])
    assert torch.equal(sample.composite[~inside], sample.target[~inside])


def test_a_clean_plate_is_used_where_there_is_one(base: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "pairs", clips=1, clean=True)
    item = next(one for one in items(base, tmp_path / "pairs") if one.path == "synthetic-to-real")
    settings = config(base, tmp_path / "pairs", tmp_path / "run")
    sample = build(item, settings.data, settings.masks, 0)
    assert sample.background is not None
    assert torch.equal(sample.background, codes(role(item, "clean")))


def test_a_filled_plate_has_nobody_in_it() -> None:
    plate, matte = torch.full((4, 3, 40, 60), 0.2), torch.zeros(4, 1, 40, 60)
    for frame in range(4):
        plate[frame, :, 15:25, 10 + 12 * frame : 20 + 12 * frame] = 9.0
        matte[frame, :, 15:25, 10 + 12 * frame : 20 + 12 * frame] = 1.0
    torch.testing.assert_close(filled(plate, matte), torch.full_like(plate, 0.2), atol=1e-5, rtol=0)
    standing = matte[:1].expand(4, -1, -1, -1)  # never seen: filled from around it
    people = torch.where(standing > 0, 9.0, torch.full_like(plate, 0.2))
    torch.testing.assert_close(filled(people, standing), torch.full_like(plate, 0.2), atol=1e-5, rtol=0)


def test_paths_take_turns_and_every_item_comes_up(base: Path, dataset: Path) -> None:
    found = items(base, dataset)
    sampler = Sampler(found, "harmonizer", 5)
    order = [sampler.item(number) for number in range(40)]
    assert [one.path for one in order] == ["real-to-synthetic", "synthetic-to-real"] * 20
    counts = Counter((one.clip.name, one.path, one.variant) for one in order)
    assert len(counts) == len(found)
    assert all(counts[one.clip.name, "real-to-synthetic", 0] == 10 for one in found)
    assert order == [Sampler(found, "harmonizer", 5).item(number) for number in range(40)]
    assert order != [Sampler(found, "harmonizer", 6).item(number) for number in range(40)]


def test_a_clip_that_is_too_short_is_refused_or_held(base: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "pairs", clips=1, frames=5)
    with pytest.raises(InputError, match=rf"clip0: expected at least {FRAMES} frames \(data.frames\), got 5"):
        items(base, tmp_path / "pairs")
    settings = config(base, tmp_path / "pairs", tmp_path / "run", data={"short": "hold"})
    sample = build(items_of(settings)[0][0], settings.data, settings.masks, 0)
    assert len(sample.target) == FRAMES
    assert torch.equal(sample.target[5:], sample.target[4:5].expand(4, -1, -1, -1))


def test_long_clips_are_cut_so_that_every_frame_is_seen(base: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "pairs", clips=1, frames=20)
    starts = sorted({one.start for one in items(base, tmp_path / "pairs")})
    assert starts == [0, 9, 11]


def test_clips_are_held_back_for_validation(base: Path, dataset: Path) -> None:
    settings = config(base, dataset, dataset / "run", validation={"clips": 1})
    train, held = items_of(settings)
    assert {one.clip.name for one in train} == {"clip0"}
    assert {one.clip.name for one in held} == {"clip1"}
    assert {one.path for one in held} == {"real-to-synthetic", "synthetic-to-real"}
    with pytest.raises(InputError, match="expected more than 2 clips with plate, matte, relit, background"):
        items_of(config(base, dataset, dataset / "run", validation={"clips": 2}))


def test_pictures_of_another_shape_are_cut_not_squeezed(base: Path, dataset: Path) -> None:
    item = items(base, dataset)[0]
    whole = role(item, "plate")
    half = read_role(item.folder, item.clip, "plate", item.clip.frames.frames, HEIGHT, WIDTH // 2)
    torch.testing.assert_close(half, whole[..., WIDTH // 4 : WIDTH // 4 + WIDTH // 2])
