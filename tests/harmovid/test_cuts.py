"""A clip with a cut in it: each part goes through the network by itself, and clips join within a take alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from platelight.recipe import Recipe
from platelight_server.engines.canvas import Colors
from platelight_server.engines.harmovid.clip import Clip, Showing
from platelight_server.engines.harmovid.parts import Part, joined, parts
from platelight_server.engines.interface import IDENTITY, FrameInputs
from tests.harmovid.recipes import engine
from tests.job.rendering import delivered, frames_in, into, render, stack
from tests.shots import small

pytestmark = pytest.mark.usefixtures("harmovid_models")

SHOWING = Showing(Colors(IDENTITY), "given", 2.0)


def scenery(seed: int) -> np.ndarray:
    """(3, 64, 96) float32, smooth, 0.1 to 0.7; another for each seed."""
    coarse = np.random.default_rng(seed).random((6, 9, 3), np.float32)
    return np.clip(cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC), 0, 1).transpose(2, 0, 1) * 0.6 + 0.1


def inputs(frame: int, plate: int, background: int | None = None) -> FrameInputs:
    behind = None if background is None else torch.from_numpy(scenery(background))
    return FrameInputs(frame, torch.from_numpy(scenery(plate)), torch.ones(1, 64, 96), behind)


def clip_of(*takes: tuple[int, int | None, int]) -> Clip:
    """Takes of a plate's scenery, a background's, and a count of frames."""
    scenes = [(plate, behind) for plate, behind, count in takes for _ in range(count)]
    held = {number: inputs(number, *scene) for number, scene in enumerate(scenes, 1001)}
    return Clip.of(tuple(held), held, SHOWING)


def test_a_cut_of_the_plate_or_of_the_background_begins_another_part() -> None:
    assert clip_of((1, None, 6), (2, None, 5)).cuts() == (6,)
    assert clip_of((1, 3, 6), (1, 4, 5)).cuts() == (6,)
    assert clip_of((1, 3, 4), (2, 3, 4), (2, 4, 4)).cuts() == (4, 8)
    assert clip_of((1, 3, 9)).cuts() == ()


def test_parts_lie_on_the_latents_of_the_whole_shot() -> None:
    assert [one.places for one in parts(range(8, 30), (5, 14))] == [range(8, 13), range(13, 22), range(22, 30)]
    assert [(one.ahead, one.first_slot) for one in parts(range(8, 30), (5, 14))] == [(0, 2), (1, 3), (2, 5)]
    assert parts(range(8, 30), ()) == (Part(range(8, 30)),)


def joined_shares(earlier: range, part: range, overlap: int, lead: int = 0) -> list[float]:
    """The share of its own in each latent of a clip's first part; parts are filled up to eight frames and one."""
    counts = [lead + -(-(one.stop - 1 - one.start // 4 * 4) // 8) * 2 + 1 for one in (earlier, part)]
    before, own = torch.zeros(counts[0], 1, 1, 1), torch.ones(counts[1], 1, 1, 1)
    return joined(before, Part(earlier), own, Part(part), overlap, lead).flatten().tolist()


@pytest.mark.parametrize("lead", [0, 1])
def test_a_take_that_goes_on_leads_over(lead: int) -> None:
    """The clip before is 0 to 24 with a cut at 5: its part begins off the grid, and shows the same frames all the same.
    Where it ends earlier than the ramp, the ramp is shorter."""
    assert joined_shares(range(5, 25), range(8, 30), 8, lead)[lead:] == [1.0, 0.25, 0.75, 1.0, 1.0, 1.0, 1.0]
    assert joined_shares(range(5, 14), range(8, 30), 8, lead)[lead:] == [1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert joined_shares(range(5, 12), range(8, 30), 8, lead)[lead:] == [1.0] * 7


def test_a_take_that_ends_in_the_overlap_leads_over_to_its_end() -> None:
    """Both clips end it at the cut, in a latent that they fill up alike: nothing of the next take is in it."""
    assert joined_shares(range(15), range(8, 15), 8) == [1.0, 0.25, 0.75]
    assert joined_shares(range(11), range(8, 11), 8) == [1.0, 0.25, 1.0]
    assert joined_shares(range(9), range(8, 9), 8) == [1.0]


def test_what_is_held_beside_a_clip_does_not_matter() -> None:
    """Frames 3 and 4 are left out of the shot; 5 is of the next clip, and nearer to 4 than any of this one."""
    own = {number: inputs(number, number) for number in (1, 2)}
    alone, beside = (Clip.of((1, 2, 3, 4), held, SHOWING) for held in (own, {**own, 5: inputs(5, 9)}))
    assert torch.equal(alone.source(), beside.source())


def write_takes(shot: small.Shot, *takes: tuple[int, int]) -> None:
    """Overwrites the plates: from frame `first` on scenery `seed`, with grain."""
    for place, frame in enumerate(shot.frames):
        seed = next(seed for first, seed in reversed(takes) if place >= first)
        grain = np.random.default_rng(frame).normal(0, 0.01, (3, 64, 96))
        pixels = (scenery(seed) + grain).astype(np.float16)
        small.write(shot.folder / "plate" / f"plate.{frame}.exr", pixels, "RGB", small.REC709)


def gains(recipe: Recipe, frame: int) -> np.ndarray:
    return stack(delivered(recipe, frame, aux=True), "gain", "XYZ")


def test_nothing_crosses_a_cut(tmp_path: Path) -> None:
    """Seventeen frames, a cut after the sixth, off the latents' grid. Other pictures on one side of it change that side
    alone."""
    shot = small.make_shot(tmp_path / "shot", 17)
    recipe, found = shot.recipe(engine=engine()), []
    for number, seeds in enumerate(((1, 2), (1, 5), (6, 2))):
        write_takes(shot, (0, seeds[0]), (6, seeds[1]))
        target = into(recipe, tmp_path / f"out{number}")
        render(target, "1006-1007")
        found.append([gains(target, frame) for frame in (1006, 1007)])
    assert np.array_equal(found[0][0], found[1][0]) and not np.array_equal(found[0][1], found[1][1])
    assert np.array_equal(found[0][1], found[2][1]) and not np.array_equal(found[0][0], found[2][0])


def test_any_part_of_a_shot_with_cuts_gives_the_pixels_of_the_whole(tmp_path: Path) -> None:
    """Two clips, from frames 1001 and 1009 on: a cut before the second begins, one where they cross over, and frames
    that are left out at the end of the first."""
    shot = small.make_shot(tmp_path / "shot", 30)
    write_takes(shot, (0, 1), (5, 2), (13, 3))
    for frame in (1024, 1025):
        (shot.folder / "plate" / f"plate.{frame}.exr").unlink()
    plate = {"path": str(shot.folder / "plate" / "plate.####.exr"), "missing": "skip"}
    recipe = shot.recipe(engine=engine(clip_frames=25, window_overlap=8), plate=plate)
    whole, parted = into(recipe, tmp_path / "whole"), into(recipe, tmp_path / "parts")
    render(whole)
    for only in ("1029-1030", "1006", "1010-1014"):
        render(parted, only)
    expected, found = frames_in(tmp_path / "whole"), frames_in(tmp_path / "parts")
    assert len(found) == 2 * 8
    assert [name for name in found if found[name] != expected[name]] == []
