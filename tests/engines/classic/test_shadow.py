"""Shadows on a given ground."""

from __future__ import annotations

import numpy as np

from platelight.recipe import Ground
from platelight_server.engines.classic import light, shadow
from platelight_server.engines.classic.sphere import Array

from .scenes import HEIGHT, WIDTH, camera, inputs, planar, relit

WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)
FEET_PX = 67.5  # where the origin of the ground lies in the camera's picture: 45 + 90 * 1.5 / 6


def post() -> Array:
    """A post of 10 x 30 pixels (2 m tall at 6 m) that stands on the world's origin."""
    matte = np.zeros((HEIGHT, WIDTH), np.float32)
    matte[38:68, 75:85] = 1
    return matte


def sun(towards: tuple[float, float, float]) -> light.Surroundings:
    direction = np.array([towards], np.float32)
    direction /= np.linalg.norm(direction)
    return light.Surroundings(np.zeros((9, 3), np.float32), direction, np.ones((1, 3), np.float32))


def cast(source: light.Surroundings) -> Array:
    matte = post()
    foot = shadow.find_foot(matte)
    assert foot is not None
    stand = shadow.stand_on(foot, camera(), Ground(), HEIGHT, WIDTH)
    assert stand is not None
    out = shadow.cast(matte, foot, stand, camera(), Ground(), source, WEIGHTS)
    assert out is not None
    return out


def test_the_foot_of_a_post_is_found_and_stands_at_the_origin() -> None:
    foot = shadow.find_foot(post())
    assert foot is not None
    assert (foot.cut, round(foot.x), round(foot.width)) == (False, 80, 10)
    stand = shadow.stand_on(foot, camera(), Ground(), HEIGHT, WIDTH)
    np.testing.assert_allclose(stand, (0, 0, 0), atol=0.15)


def test_a_sun_from_the_left_casts_to_the_right() -> None:
    left = cast(sun((-1.0, 1.0, 0.0)))
    assert float(left[66:69, 90:105].min()) < 0.5
    np.testing.assert_allclose(left[66:69, 40:70], 1, atol=0.05)


def test_a_sun_from_behind_casts_towards_the_camera() -> None:
    out = cast(sun((0.0, 1.0, -1.0)))
    assert float(out[72:78, 78:82].min()) < 0.5
    np.testing.assert_allclose(out[48:60, 78:82], 1, atol=0.05)


def test_nothing_above_the_horizon_is_darkened_and_nothing_is_black() -> None:
    out = cast(sun((-1.0, 1.0, 0.0)))
    np.testing.assert_array_equal(out[:44], 1)
    assert float(out.min()) >= shadow.DARKEST
    assert float(out.max()) <= 1


def test_an_even_sky_darkens_most_at_the_foot() -> None:
    out = cast(light.from_latlong(np.ones((32, 64, 3), np.float32)))
    at_foot, beside = float(out[69, 80]), float(out[69, 110])
    assert 0.2 < at_foot < 0.9
    assert at_foot < beside <= 1


def test_light_from_below_the_ground_casts_nothing() -> None:
    matte = post()
    foot = shadow.find_foot(matte)
    assert foot is not None
    below = sun((0.0, -1.0, 0.0))
    assert shadow.cast(matte, foot, np.zeros(3, np.float32), camera(), Ground(), below, WEIGHTS) is None


def test_the_engine_casts_only_with_ground_camera_background_and_a_foot() -> None:
    sky = planar(np.ones((32, 64, 3), np.float32))
    given = inputs(1, post(), camera=camera(), probe_background=sky)
    answers, notes = relit([given], ground=Ground())
    assert notes.values["shadow"] is True
    assert answers[0].shadow is not None
    assert tuple(answers[0].shadow.shape) == (1, HEIGHT, WIDTH)
    cut = post()
    cut[38:, 75:85] = 1
    for frame, ground, options in (
        (given, None, {}),
        (inputs(1, post(), probe_background=sky), Ground(), {}),
        (inputs(1, post(), camera=camera(), probe_background=sky, background=None), Ground(), {}),
        (inputs(1, cut, camera=camera(), probe_background=sky), Ground(), {}),
        (given, Ground(), {"shadow": False}),
    ):
        assert relit([frame], options, ground)[0][0].shadow is None


def test_a_given_distance_makes_a_cut_subject_stand() -> None:
    cut = post()
    cut[38:, 75:85] = 1
    frame = inputs(1, cut, camera=camera(), probe_background=planar(np.ones((32, 64, 3), np.float32)))
    answers, notes = relit([frame], {"subject_distance_m": 3.0}, Ground())
    assert notes.values["shadow"] is True
    assert answers[0].shadow is not None


def test_an_empty_frame_within_a_shot_has_no_shadow() -> None:
    sky = planar(np.ones((32, 64, 3), np.float32))
    frames = [
        inputs(f, post() if f < 6 else np.zeros((HEIGHT, WIDTH), np.float32), camera=camera(f), probe_background=sky)
        for f in range(1, 8)
    ]
    last = relit(frames, ground=Ground())[0][-1].shadow
    assert last is not None
    np.testing.assert_array_equal(last.numpy(), 1)
