"""What is flicker and what is light: jitter goes, steps, cuts, flashes and lights that move stay."""

from __future__ import annotations

import numpy as np
import pytest

from platelight_server.deflicker import levels, motion
from platelight_server.deflicker.steady import Seen, Steadier, robust_mean
from tests.deflicker.scenes import HEIGHT, SPEED, WIDTH, corrections, lit, source

ROUNDING = 1e-3
JITTER = [float(x) for x in np.random.default_rng(3).normal(0, 0.3, 17)]


def test_a_steady_change_is_corrected_by_nothing_at_all() -> None:
    assert corrections([0.0] * 5, 2) == [0.0] * 5


def test_jitter_is_taken_off() -> None:
    steady = np.array(JITTER) + corrections(JITTER, 5)
    assert np.abs(np.diff(steady)).mean() < 0.25 * np.abs(np.diff(JITTER)).mean()


def test_light_that_alternates_between_two_levels_is_taken_off() -> None:
    levels = [0.5, -0.5] * 6
    steady = np.array(levels) + corrections(levels, 5)
    assert np.abs(np.diff(steady)).max() < 0.3


def test_radius_zero_and_a_lone_frame_are_left_alone() -> None:
    assert corrections([0.5, -0.5, 0.5], 0) == [0.0, 0.0, 0.0]
    assert corrections([0.7], 4) == [0.0]


def test_a_light_that_is_switched_on_is_not_smeared() -> None:
    step = [0.0] * 6 + [1.5] * 6
    assert np.abs(corrections(step, 3)).max() < 0.02


def test_a_light_that_moves_is_not_held_back() -> None:
    ramp = [0.15 * i for i in range(13)]
    assert np.abs(corrections(ramp, 4)).max() < 0.03


def test_a_flash_of_the_relit_picture_stays_and_leaks_nowhere() -> None:
    flash = [0.0] * 5 + [3.0] + [0.0] * 5
    assert np.abs(corrections(flash, 4)).max() < 0.01


def test_a_small_pop_goes_and_leaks_nowhere() -> None:
    added = corrections([0.0] * 5 + [0.6] + [0.0] * 5, 4)
    assert added[5] == pytest.approx(-0.6, abs=0.02)
    assert np.abs(added[:5] + added[6:]).max() < 0.01


def test_a_flash_of_the_source_does_not_stop_the_steadying() -> None:
    plate = source(11)
    plate[5] *= 4
    assert np.abs(np.diff(np.array(JITTER[:11]) + corrections(JITTER[:11], 4, plate))).mean() < 0.12


def test_light_does_not_cross_a_cut() -> None:
    plate = np.concatenate([source(6, 1), source(6, 8)])
    assert np.abs(corrections([0.0] * 6 + [0.5] * 6, 4, plate)).max() < ROUNDING


def test_local_shadows_that_jitter_go_and_the_light_that_moves_with_the_picture_stays() -> None:
    """A steady gain sticks to the texture, which moves; on it lie waves whose place is new on every frame."""
    plate, count = source(13), 13
    rng = np.random.default_rng(5)
    painted = np.sin(np.arange(WIDTH + SPEED * count, dtype=np.float32) / 9)
    seen, truth = [], []
    for i in range(count):
        steady = np.broadcast_to(painted[i * SPEED : i * SPEED + WIDTH, None], (HEIGHT, WIDTH, 3))
        wave = 0.4 * np.sin(np.arange(WIDTH) / 13 + rng.uniform(0, 2 * np.pi)).astype(np.float32)[None, :, None]
        base = lit(i, plate[i], 0.0)
        seen.append(Seen(i, base.look, (steady + wave).astype(np.float32), base.weight))
        truth.append(steady)
    steadier, places = Steadier(6), (4, 6, 8)
    before = [np.abs(seen[at].signal - truth[at]).mean() for at in places]
    after = [np.abs(seen[at].signal + steadier.correction(seen, at) - truth[at]).mean() for at in places]
    assert np.mean(after) < 0.5 * np.mean(before)


def drifting(count: int, jitter: list[float]) -> tuple[list[Seen], list[np.ndarray]]:
    """Frames over whose left third a light drifts that comes and goes, under a jitter of the whole frame; and the
    signals without the jitter."""
    plate, seen, truth = source(count, speed=0), [], []
    for i in range(count):
        signal = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        signal[:, : WIDTH // 3] = 1.2 * np.sin(2 * np.pi * i / 24)
        base = lit(i, plate[i], 0.0)
        seen.append(Seen(i, base.look, signal + np.float32(jitter[i]), base.weight))
        truth.append(signal)
    return seen, truth


def corrected(seen: list[Seen], at: int, radius: int = 6) -> np.ndarray:
    return Steadier(radius).correction(seen[max(0, at - radius) : at + radius + 1], min(at, radius))


def test_light_that_drifts_over_a_part_is_left_alone() -> None:
    seen, _ = drifting(13, [0.0] * 13)
    assert max(np.abs(corrected(seen, at)).max() for at in (2, 6, 10)) < 0.02


def test_jitter_of_the_frame_goes_where_a_light_drifts_over_a_part() -> None:
    """What is left is what a mean of this much jitter is off by itself."""
    seen, truth = drifting(13, JITTER[:13])
    level = np.mean(JITTER[:13])
    for at in (0, 1, 6, 9, 12):
        wanted = truth[at] + level
        before = np.abs(seen[at].signal - wanted).mean()
        after = np.abs(seen[at].signal + corrected(seen, at) - wanted).mean()
        assert after < max(0.2 * before, 0.09)


def test_the_line_of_a_whole_frame_does_not_run_on_into_highlights() -> None:
    guide = lit(0, source(1)[0], 0.0).look
    guide[36, 56] = 11.0
    weight = np.ones(guide.shape[:2], np.float32)
    colours = levels.Colours.of(guide, weight)
    numbers = colours.numbers(guide)
    line = levels.lines(0.2 * guide[None], weight[None], numbers, colours.shrink)[0]
    most = np.abs(line).sum(0) * 3
    assert np.all(np.abs(levels.at(numbers, line)[36, 56]) <= most)
    apart = np.abs(levels.at(numbers, line) - 0.2 * guide)
    assert np.median(apart) < 0.03


def test_a_frame_depends_on_its_neighbours_alone() -> None:
    plate = source(12)
    seen = [lit(i, plate[i], gain) for i, gain in enumerate(JITTER[:12])]
    whole, alone = Steadier(3), Steadier(3)
    for at in range(7):
        window = seen[max(0, at - 3) : at + 4]
        in_sequence = whole.correction(window, at - window[0].frame)
    assert np.array_equal(in_sequence, alone.correction(seen[3:10], 3))


def test_motion_is_not_kept_for_the_whole_shot() -> None:
    plate, steadier = source(14), Steadier(2)
    seen = [lit(i, plate[i], 0.0) for i in range(14)]
    for at in range(2, 12):
        steadier.correction(seen[at - 2 : at + 3], 2)
    assert len(steadier._kept) <= 4 * 2 * 4


def test_vectors_that_are_given_serve_as_motion() -> None:
    plate = source(5)
    to_last = np.full((HEIGHT, WIDTH, 2), 0, np.float32)
    to_last[..., 0] = SPEED  # what moves to the left was further right before
    seen = [Seen(i, *_fields(lit(i, plate[i], 0.0)), to_last) for i in range(5)]
    steadier = Steadier(2)
    found = motion.flow(seen[2].contrast, seen[4].contrast)[HEIGHT // 2, WIDTH // 2]
    assert steadier._way(seen, 2, 4)[HEIGHT // 2, WIDTH // 2] == pytest.approx([-2 * SPEED, 0], abs=1e-4)
    assert steadier._way(seen, 2, 0)[HEIGHT // 2, WIDTH // 2] == pytest.approx([2 * SPEED, 0], abs=1e-4)
    assert found == pytest.approx([-2 * SPEED, 0], abs=0.3)


def _fields(seen: Seen) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return seen.look, seen.signal, seen.weight


def test_the_robust_mean_of_nothing_is_no_number_out_of_bounds() -> None:
    values, offsets = np.ones((3, 4, 4, 3), np.float32), np.arange(-1, 2, dtype=np.float32)
    mean, sure = robust_mean(values, np.zeros((3, 4, 4), np.float32), offsets)
    assert np.isfinite(mean).all()
    assert not sure.any()
