"""Probes from the recipe to the result: turned, exposed and coloured on each frame as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from platelight.lights import ProbeFrame
from platelight_server.check import check
from platelight_server.color.spaces import named
from platelight_server.engines.classic import light, sphere
from platelight_server.model_view import ModelView
from platelight_server.plates.inputs import PLAIN_LINES, plain, turned
from tests.job.rendering import delivered, render, stack
from tests.shots import small
from tests.shots.small import Shot

HARMONICS = 1e-3  # order 2 on 64 lines
HALF_STOPS = 2.0**-9  # stops are delivered as halves below 4


def spot(azimuth_deg: float) -> np.ndarray:
    """(3, 256, 512) float32, black but for a patch of light on the horizon, `azimuth_deg` right of -Z."""
    picture = np.zeros((3, 256, 512), np.float32)
    column = round((azimuth_deg / 360 + 0.5) * 512)
    picture[:, 120:136, column - 8 : column + 8] = 10.0
    return picture


def azimuth_deg(picture: np.ndarray) -> float:
    """Where the light of a probe comes from, right of -Z."""
    directions, solid = sphere.latlong_directions(*picture.shape[1:])
    x, _, z = (directions * (picture[0] * solid)[..., None]).sum((0, 1))
    return math.degrees(math.atan2(x, -z))


@pytest.mark.parametrize("rotation_deg", [0.0, 12.34, -90.0, 200.1])
def test_turned_light_comes_from_where_the_rotation_says(rotation_deg: float) -> None:
    """Anticlockwise from above takes what is ahead (-Z) to the left (-X)."""
    picture = spot(45.0)
    found = turned(picture, ProbeFrame(rotation_deg, 1.0))
    apart = (azimuth_deg(found) - (azimuth_deg(picture) - rotation_deg) + 180) % 360 - 180
    assert apart == pytest.approx(0, abs=0.01)
    assert float(found.sum()) == pytest.approx(2 * float(picture.sum()), rel=1e-5)


def test_slow_turn_is_no_stair() -> None:
    steps = [azimuth_deg(turned(spot(0.0), ProbeFrame(0.05 * i, 0.0))) for i in range(20)]
    assert np.diff(steps) == pytest.approx(np.full(19, -0.05), abs=2e-3)


def test_plain_colour_gives_pi_times_itself_at_every_normal() -> None:
    found = plain(ProbeFrame(0.0, 1.0, (0.1, 0.2, 0.4)), named("lin_rec709_scene"))
    assert found.shape == (3, PLAIN_LINES, 2 * PLAIN_LINES)
    around = light.from_latlong(np.moveaxis(found, 0, -1))
    normals = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    lit = sphere.irradiance(around.harmonics, normals / np.linalg.norm(normals, axis=1, keepdims=True))
    assert lit == pytest.approx(np.tile(np.pi * np.array([0.2, 0.4, 0.8]), (50, 1)), rel=HARMONICS)


def test_plain_colour_is_told_in_the_working_primaries() -> None:
    found = plain(ProbeFrame(0.0, 0.0, (1.70505099, -0.13025642, -0.02400336)), named("ACEScg"))
    assert found[:, 0, 0] == pytest.approx([1.0, 0.0, 0.0], abs=1e-4)


def test_keyed_colour_is_the_change_of_light_on_every_frame(shot: Shot) -> None:
    """Both lights are constant all around, so each frame's gain is their ratio whatever the normals are."""
    keyed = {str(frame): [0.1 * (frame - 1000), 0.2, 0.05] for frame in shot.frames}
    recipe = shot.recipe(
        engine={"name": "classic"},
        probe_plate={"color": [0.2, 0.2, 0.2]},
        probe_background={"color": [1.0, 1.0, 1.0], "colors": keyed, "exposures_stops": {"1002": 1.0}},
    )
    outcome = render(recipe)
    assert outcome.notes.values["grade"] == "P2"
    for frame in shot.frames:
        gain = stack(delivered(recipe, frame, aux=True), "gain", "XYZ")
        inside = small.matte_pixels(frame)[0] > 0.99
        stops = 1.0 if frame == 1002 else 0.0
        expected = [math.log2(0.5 * (frame - 1000)) + stops, stops, -2.0 + stops]
        assert gain[:, inside].mean(1) == pytest.approx(expected, abs=HALF_STOPS + 2e-3)


def test_what_stands_still_is_made_once(shot: Shot) -> None:
    small.write(shot.folder / "env.exr", spot(10.0).astype(np.float16), "RGB", small.REC709)
    keys = {str(frame): float(frame - 1000) for frame in shot.frames}
    recipe = shot.recipe(
        engine={"name": "classic"},
        probe_plate={"color": [1.0, 1.0, 1.0]},
        probe_background={"path": str(shot.folder / "env.exr"), "rotations_deg": keys},
    )
    answer = check(recipe, shot.folder)
    answer.raise_first()
    assert answer.inputs is not None and answer.capabilities is not None
    view = ModelView(answer.inputs, answer.capabilities)
    one, two = (view.of(answer.inputs.read(frame)) for frame in shot.frames[:2])
    assert one.probe_plate is two.probe_plate and one.background is two.background
    assert one.probe_background is not two.probe_background
    moved = azimuth_deg(np.asarray(two.probe_background)) - azimuth_deg(np.asarray(one.probe_background))
    assert moved == pytest.approx(-1.0, abs=0.01)
