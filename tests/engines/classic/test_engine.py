"""The classic engine as the rest of Platelight sees it: identity, grades, determinism, steadiness, odd mattes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from platelight.errors import RecipeError
from platelight.lights import LightFrame
from platelight_server.engines.classic.engine import ClassicEngine
from platelight_server.engines.interface import FrameInputs, LightChange
from platelight_server.engines.registry import checked_options, create

from .scenes import (
    HEIGHT,
    WIDTH,
    ball_matte,
    ball_normals,
    camera,
    flat_picture,
    gains,
    inputs,
    jittered,
    planar,
    relit,
    shot_of,
    tilted_probe,
    with_frame,
)

NO_CHANGE_STOPS = 1e-4
LEFT, RIGHT, UP = (-1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


def test_equal_probes_change_nothing() -> None:
    probe = tilted_probe(LEFT)
    answers, notes = relit([inputs(probe_background=probe, probe_plate=probe.clone())])
    assert notes.values["grade"] == "P2"
    assert float(np.abs(gains(answers)[0]).max()) < NO_CHANGE_STOPS


def test_twice_the_light_is_one_stop() -> None:
    answers, _ = relit([inputs(probe_background=tilted_probe(LEFT, level=2.0), probe_plate=tilted_probe(LEFT))])
    np.testing.assert_allclose(gains(answers)[0], 1, atol=NO_CHANGE_STOPS)


def test_the_side_that_faces_the_new_light_gets_brighter() -> None:
    gain = gains(relit([inputs(probe_background=tilted_probe(LEFT), probe_plate=tilted_probe(RIGHT))])[0])[0]
    assert float(gain[45, 55:60].mean()) > 0.5 > -0.5 > float(gain[45, 100:105].mean())


def test_a_probe_stays_in_the_world_when_the_camera_turns() -> None:
    # The light comes from world -X; from a camera at +X, that looks along -X, it is a light from behind the subject.
    frames = [
        inputs(1, probe_background=tilted_probe(LEFT), probe_plate=tilted_probe(RIGHT, 0), camera=camera(1)),
        inputs(2, probe_background=tilted_probe(LEFT), probe_plate=tilted_probe(RIGHT, 0), camera=camera(2, 90)),
        inputs(3, probe_background=tilted_probe(LEFT), probe_plate=tilted_probe(RIGHT, 0), camera=camera(3, 180)),
    ]
    ahead, side, behind = gains(relit(frames)[0])
    np.testing.assert_allclose(ahead[45], behind[45, ::-1], atol=0.05)
    assert float(side[45, 80].mean()) < -0.3
    np.testing.assert_allclose(side[45], side[45, ::-1], atol=0.05)


def test_a_users_normals_are_used() -> None:
    layer = planar(np.broadcast_to(np.array([-1, 0, 0], np.float32), (HEIGHT, WIDTH, 3)))
    frame = inputs(probe_background=tilted_probe(LEFT), probe_plate=tilted_probe(RIGHT), normal=layer)
    answers, _ = relit([frame])
    assert float(gains(answers)[0].min()) > 0.5
    torch.testing.assert_close(answers[0].normal, layer, atol=1e-5, rtol=0)


def test_the_answer_has_the_promised_shapes() -> None:
    answer = relit([inputs(probe_background=tilted_probe(UP))])[0][0]
    change = answer.change
    assert isinstance(change, LightChange)
    assert [tuple(t.shape) for t in (change.gain, change.fill, change.confidence)] == [
        (3, HEIGHT, WIDTH), (3, HEIGHT, WIDTH), (1, HEIGHT, WIDTH),
    ]  # fmt: skip
    assert {t.dtype for t in (change.gain, change.fill, change.confidence)} == {torch.float32}
    assert float(change.confidence.min()) > 0
    assert float(change.confidence.max()) <= 1


@pytest.mark.parametrize(
    ("given", "grade"),
    [
        ({}, "P0"),
        ({"probe_background": tilted_probe(UP)}, "P1"),
        ({"probe_background": tilted_probe(UP), "probe_plate": tilted_probe(UP)}, "P2"),
        ({"probe_plate": tilted_probe(UP)}, "P0"),
        ({"background": None}, "keep"),
    ],
)
def test_the_inputs_make_the_grade(given: dict[str, Any], grade: str) -> None:
    assert relit([inputs(**given)])[1].values["grade"] == grade


def test_a_kept_background_without_lights_changes_nothing() -> None:
    np.testing.assert_array_equal(gains(relit([inputs(background=None)])[0])[0], 0)


LAMP = LightFrame("sun", ((0, 0, -1, 0), (0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 0, 1)), (1.0, 1.0, 1.0), 3.0, 0, 0.5, 1, 1)


def test_a_light_on_a_kept_background_only_adds() -> None:
    # LAMP's -Z points to world +X: it shines to the right, so it comes from the left.
    gain = gains(relit([inputs(background=None, lights=(LAMP,))])[0])[0]
    assert float(gain.min()) >= 0
    assert float(gain[45, 55:60].mean()) > float(gain[45, 100:105].mean()) + 0.5


def test_a_light_in_a_new_scene_comes_from_its_side() -> None:
    answers, notes = relit([inputs(lights=(LAMP,))])
    assert notes.values["grade"] == "P1"
    gain = gains(answers)[0]
    assert float(gain[45, 55:60].mean()) > float(gain[45, 100:105].mean()) + 0.5


def test_a_light_that_moves_moves_on_the_subject() -> None:
    other = LightFrame("sun", ((0, 0, 1, 0), (0, 1, 0, 0), (-1, 0, 0, 0), (0, 0, 0, 1)), (1, 1, 1), 3.0, 0, 0.5, 1, 1)
    first, second = gains(relit([inputs(1, lights=(LAMP,)), inputs(2, lights=(other,))])[0])
    np.testing.assert_allclose(first[45], second[45, ::-1], atol=0.1)


def test_without_probes_the_exposure_guess_is_small_and_can_be_turned_off() -> None:
    bright = flat_picture(1.6)  # three stops over the plate
    answers, notes = relit([inputs(background=bright)])
    assert notes.values["exposure_guess_stops"] == pytest.approx(1.0, abs=1e-3)
    assert relit([inputs(background=bright)], {"exposure_guess": "off"})[1].values["exposure_guess_stops"] == 0
    core = ball_matte(24) > 0.99
    assert float(np.log2(np.exp2(gains(answers)[0][core]).mean())) == pytest.approx(1.0, abs=0.1)


def test_a_grey_card_fixes_the_level_of_a_probe_relight() -> None:
    # A card of 0.18 that shows 0.09 stands in pi/2 of light; the new light is pi: one stop more.
    frame = inputs(plate=flat_picture(0.09), probe_background=tilted_probe(UP, 0.0))
    answers, notes = relit([frame], {"grey_card": (1, 0.1, 0.1, 0.05)})
    assert notes.values["exposure_from"] == "probe and grey card"
    assert float(gains(answers)[0][ball_matte(24) > 0.99].mean()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("card", [(1, 0.5), (99, 0.5, 0.5, 0.1), (1, 0.5, 0.5, 0.1)])
def test_an_unusable_grey_card_is_refused(card: tuple[float, ...]) -> None:
    frame = inputs(plate=flat_picture(0.0))
    with pytest.raises(RecipeError, match="grey_card"):
        relit([frame], {"grey_card": card})


def edge_cases() -> dict[str, FrameInputs]:
    empty, full = np.zeros((HEIGHT, WIDTH), np.float32), np.ones((HEIGHT, WIDTH), np.float32)
    dot = empty.copy()
    dot[40, 70] = 1
    broken = np.full((HEIGHT, WIDTH, 3), 0.2, np.float32)
    broken[10:40, 60:90] = np.nan
    broken[50:60, 60:90] = np.inf
    small = np.ones((3, 5), np.float32)
    return {
        "empty": inputs(matte=empty),
        "full": inputs(matte=full),
        "dot": inputs(matte=dot),
        "black plate": inputs(plate=flat_picture(0.0)),
        "negative plate": inputs(plate=flat_picture(-0.3)),
        "broken plate": inputs(plate=planar(broken)),
        "broken background": inputs(background=planar(broken)),
        "black background": inputs(background=flat_picture(0.0)),
        "five pixels": inputs(matte=small),
        "black probe": inputs(probe_background=flat_picture(0.0, 8, 16)),
        "black probes": inputs(probe_background=flat_picture(0.0, 8, 16), probe_plate=flat_picture(0.0, 8, 16)),
    }


@pytest.mark.parametrize("name", edge_cases())
def test_odd_inputs_give_finite_and_bounded_gains(name: str) -> None:
    answers, _ = relit([edge_cases()[name]])
    change = answers[0].change
    assert isinstance(change, LightChange)
    assert bool(torch.isfinite(change.gain).all() and torch.isfinite(change.confidence).all())
    assert float(change.gain.abs().max()) <= 8 + 2


def clip(count: int = 9) -> list[FrameInputs]:
    plate = planar(0.2 * (1.2 + ball_normals()[..., :1] * [1, 1, 1]).astype(np.float32))
    background = planar(np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :, None] * np.ones((HEIGHT, 1, 3), np.float32))
    return [
        inputs(f, jittered(ball_matte(x=60 + 5 * f), f), plate=plate, background=background, camera=camera(f, 3.0 * f))
        for f in range(1, count + 1)
    ]


@pytest.mark.parametrize("grade", ["P0", "P1"])
def test_any_chunking_gives_the_same_bits(grade: str) -> None:
    frames = clip()
    if grade == "P1":
        frames = [with_frame(one, one.frame, probe_background=tilted_probe(UP)) for one in frames]
    whole = gains(relit(frames)[0])
    shot = shot_of(frames)
    for start, stop in ((0, 4), (4, 5), (5, 9)):
        engine = ClassicEngine({})
        engine.prepare(shot)
        window = frames[max(start - 2, 0) : stop + 2]
        answers = list(engine.relight(window, shot.frames[start:stop]))
        for expected, actual in zip(whole[start:stop], gains(answers), strict=True):
            np.testing.assert_array_equal(actual, expected)


def test_the_light_of_a_clip_is_constant_while_the_background_changes() -> None:
    frames = [with_frame(inputs(), f, background=flat_picture(0.1 * f)) for f in range(1, 6)]
    answered = gains(relit(frames)[0])
    for gain in answered[1:]:
        np.testing.assert_allclose(gain, answered[0], atol=1e-6)


def test_a_jittering_matte_gives_steadier_gains_than_single_frames() -> None:
    given = {"probe_background": tilted_probe(LEFT), "probe_plate": tilted_probe(RIGHT)}
    frames = [inputs(f, jittered(ball_matte(), f), **given) for f in range(1, 13)]
    core = ball_matte(22) > 0.99

    def wander(pictures: list[Any]) -> float:
        return float(np.diff(np.stack(pictures)[:, core], axis=0).std())

    alone = [gains(relit([one])[0])[0] for one in frames]
    assert wander(gains(relit(frames)[0])[2:10]) < 0.6 * wander(alone[2:10])


def test_the_options_are_what_the_registry_offers() -> None:
    options = checked_options(ClassicEngine.capabilities, {})
    assert sorted(options) == ["exposure_guess", "grey_card", "shadow", "subject_distance_m"]
    assert isinstance(create("classic", {"shadow": False}), ClassicEngine)
