"""Lightings as weights of lamps: energy, directions, probes, and what is refused. No Blender is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from platelight.errors import FrameError, RecipeError
from platelight_server.engines.classic.sphere import irradiance, latlong_directions, project_latlong
from platelight_server.plates import exr
from platelight_server.training.render.basis import BasisFrame
from platelight_server.training.render.combine import lit
from platelight_server.training.render.lighting import (
    Hdri,
    Lighting,
    Sun,
    project,
    random_lighting,
    read_lighting,
    shares,
    weights_at,
)  # fmt: skip
from platelight_server.training.render.probe import disc
from platelight_server.training.render.spec import Basis, Lamp, Spec, direction, lamps_of, read_basis

ROUNDING = 1e-4  # float32 sums over 8192 pixels
HARMONICS = 0.03  # order 2 carries a Lambertian surface's irradiance to about 1 %, a disc drawn in pixels to another 2


def basis(set_: str = "none", suns: int = 24) -> Basis:
    spec = Spec(set=set_, suns=suns)  # type: ignore[arg-type]
    return Basis(spec, lamps_of(spec))


def suns_of(held: Basis) -> np.ndarray:
    return np.array([lamp.direction for lamp in held.lamps if lamp.kind == "sun"], np.float32)


def probe(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).gamma(0.3, 2.0, (32, 64, 3)).astype(np.float32)


def write_probe(path: Path, pixels: np.ndarray) -> Path:
    height, width = pixels.shape[:2]
    window = (np.array([0, 0], np.int32), np.array([width - 1, height - 1], np.int32))
    planes = {name: pixels[..., i] for i, name in enumerate("RGB")}
    exr.write(path, planes, {"dataWindow": window, "displayWindow": window}, "zip")
    return path


@pytest.mark.parametrize("upper", [False, True])
def test_an_hdri_keeps_its_power(upper: bool) -> None:
    pixels, held = probe(), basis("ground" if upper else "none")
    directions, solid = latlong_directions(32, 64)
    seen = solid * ((directions[..., 1] > 0) if upper else 1)
    power, ambient = project(pixels, suns_of(held), upper)
    np.testing.assert_allclose(
        power.sum(0) + ambient * seen.sum(), (pixels * seen[..., None]).sum((0, 1)), rtol=ROUNDING
    )
    assert power.min() >= -ROUNDING


def test_an_even_hdri_is_ambient_light() -> None:
    power, ambient = project(np.full((32, 64, 3), 0.7, np.float32), suns_of(basis()), upper=False)
    np.testing.assert_allclose(ambient, 0.7, rtol=ROUNDING)
    assert np.abs(power).max() < ROUNDING


def test_a_bright_spot_goes_to_the_lamps_around_it() -> None:
    pixels = np.zeros((32, 64, 3), np.float32)
    pixels[9, 50] = 100.0
    directions, _ = latlong_directions(32, 64)
    power, _ = project(pixels, suns_of(basis()), upper=False)
    mean = power[:, 0] @ suns_of(basis())
    assert float(mean @ directions[9, 50] / np.linalg.norm(mean)) > np.cos(np.deg2rad(20))


def test_an_hdri_turns_to_the_right(tmp_path: Path) -> None:
    pixels = np.zeros((32, 64, 3), np.float32)
    pixels[10, 31:33] = 10.0  # ahead of the camera, -Z
    path = write_probe(tmp_path / "spot.exr", pixels)
    held = basis(suns=200)
    lighting = Lighting(hdri=Hdri(str(path), turn_degrees=0.0, to_turn_degrees=90.0))
    means = [weights_at(lighting, held, share)[:200, 0] @ suns_of(held) for share in (0.0, 1.0)]
    assert means[0][2] < 0 and abs(means[0][0]) < 0.1 * -means[0][2]
    assert means[1][0] > 0 and abs(means[1][2]) < 0.1 * means[1][0]


def test_shares_are_whole_and_nearest_first() -> None:
    lamps = suns_of(basis())
    found = shares(lamps, lamps)
    np.testing.assert_allclose(found.sum(1), 1, rtol=ROUNDING)
    assert (found.argmax(1) == np.arange(len(lamps))).all()


def test_a_moving_sun_keeps_its_energy_and_arrives() -> None:
    held, sun = basis(suns=100), Sun((2.0, 1.0, 0.5), -90, 20, 90)
    every = [weights_at(Lighting(suns=(sun,)), held, share) for share in np.linspace(0, 1, 7)]
    for weights in every:
        np.testing.assert_allclose(weights.sum(0), sun.irradiance, rtol=ROUNDING)
    for weights, azimuth in ((every[0], -90), (every[-1], 90)):
        mean = weights[:100, 0] @ suns_of(held)
        assert mean @ np.asarray(direction(azimuth, 20)) / np.linalg.norm(mean) > np.cos(np.deg2rad(8))


def test_a_standing_sun_is_its_nearest_lamp() -> None:
    weights = weights_at(Lighting(suns=(Sun((1, 1, 1), 40, 30),)), basis(), 0.0)
    assert np.count_nonzero(weights[:, 0]) == 1


@pytest.mark.parametrize("index", [0, 7, 23, 24])
def test_a_drawn_lamp_gives_irradiance_one_where_it_points(index: int) -> None:
    lamp = basis("ground").lamps[index]
    drawn = np.repeat(disc(lamp)[..., None], 3, -1)
    towards = np.asarray(lamp.direction, np.float32)
    found = irradiance(project_latlong(drawn), np.stack([towards, -towards]), floor=0.0)
    # A small light's order-2 irradiance is 1.06 facing it: 1/4 + 1/2 + 5/16 (Ramamoorthi and Hanrahan 2001).
    spread = np.cos(np.deg2rad(lamp.angle_degrees / 4))
    np.testing.assert_allclose(found[0], 1.0625 * spread, rtol=HARMONICS)
    assert abs(found[1]).max() < 0.1


def test_a_frame_under_two_lightings_at_once_is_the_sum() -> None:
    rng = np.random.default_rng(2)
    fg, set_, clean = (rng.random((5, 3, 4, 6), np.float32) for _ in range(3))
    alpha, none = rng.random((4, 6), np.float32), np.zeros((3, 4, 6), np.float32)
    frame = BasisFrame(fg, set_, clean, alpha, none, none, none[:2], alpha)
    one, two = rng.random((2, 5, 3)).astype(np.float32)
    both, parts = lit(frame, one + two), (lit(frame, one), lit(frame, two))
    for name in ("fg", "background", "picture"):
        np.testing.assert_allclose(getattr(both, name), sum(getattr(part, name) for part in parts), rtol=ROUNDING)
    np.testing.assert_allclose(both.fg[1], np.tensordot((one + two)[:, 1], fg[:, 1], 1), rtol=ROUNDING)


def test_suns_stand_above_a_ground_and_all_around_without() -> None:
    assert suns_of(basis("ground"))[:, 1].min() > 0
    np.testing.assert_allclose(suns_of(basis("none")).mean(0), 0, atol=0.05)
    assert {lamp.kind for lamp in basis().lamps} == {"sun", "area", "ambient"}
    assert Lamp("ambient", "ambient") == basis().lamps[-1]


def test_random_lightings_are_the_seeds() -> None:
    assert random_lighting(4) == random_lighting(4) == read_lighting("random:4")
    assert random_lighting(4) != random_lighting(5)


def test_a_lighting_file_is_read_and_its_slips_are_named(tmp_path: Path) -> None:
    path = tmp_path / "night.toml"
    path.write_text(
        "ambient = [0, 0, 0.1]\n[[suns]]\nirradiance = [1, 2, 3]\nazimuth_degrees = 10\nelevation_degrees = 5\n"
    )
    assert read_lighting(str(path)) == Lighting((0.0, 0.0, 0.1), (Sun((1.0, 2.0, 3.0), 10, 5),))
    path.write_text("ambiet = [0, 0, 0.1]\n")
    with pytest.raises(RecipeError, match=r"night\.toml: ambiet: .*did you mean ambient"):
        read_lighting(str(path))
    path.write_text("ambient = [0, 0, -0.1]\n")
    with pytest.raises(RecipeError, match=r"night\.toml: .*light of 0 or more"):
        read_lighting(str(path))
    with pytest.raises(RecipeError, match=r"expected one of studio.*did you mean dusk.*'dusc'"):
        read_lighting("dusc")


def test_a_folder_without_a_basis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match=r"expected a light basis with basis\.json; make one: platelight data render"):
        read_basis(tmp_path)
