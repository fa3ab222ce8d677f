"""Light as harmonics: what is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from platelight_server.engines.classic import light, sphere

ORDER_2 = 0.02  # what order 2 leaves out of a clamped cosine, as a share of the light's irradiance face on, in the mean
DIRECTIONS, SOLID = sphere.latlong_directions(32, 64)


def test_solid_angles_sum_to_the_sphere() -> None:
    assert float(SOLID.sum()) == pytest.approx(4 * np.pi, rel=1e-5)


def test_the_middle_of_a_latlong_is_minus_z_and_right_is_plus_x() -> None:
    directions, _ = sphere.latlong_directions(64, 128)
    np.testing.assert_allclose(directions[31:33, 63:65].mean((0, 1)), (0, 0, -1), atol=1e-2)
    np.testing.assert_allclose(directions[31:33, 95:97].mean((0, 1)), (1, 0, 0), atol=1e-2)
    assert directions[0, 0, 1] > 0.99


def test_the_basis_is_orthonormal() -> None:
    y = sphere.basis(DIRECTIONS).reshape(-1, 9)
    np.testing.assert_allclose((y * SOLID.reshape(-1, 1)).T @ y, np.eye(9), atol=5e-3)


def test_constant_radiance_gives_pi_times_it_everywhere() -> None:
    harmonics = sphere.project_latlong(np.full((16, 32, 3), 0.7, np.float32))
    np.testing.assert_allclose(sphere.irradiance(harmonics, DIRECTIONS), np.pi * 0.7, rtol=5e-3)


def test_a_tilted_radiance_gives_its_closed_form() -> None:
    # L = 1 + a cos: E = pi (1 + 2a/3 cos), exact in order 1.
    axis = np.array([0.6, 0.8, 0.0], np.float32)
    probe = np.repeat((1 + 0.5 * DIRECTIONS @ axis)[..., None], 3, -1).astype(np.float32)
    expected = np.pi * (1 + 2 * 0.5 / 3 * (DIRECTIONS @ axis))
    actual = sphere.irradiance(sphere.project_latlong(probe), DIRECTIONS)[..., 0]
    np.testing.assert_allclose(actual, expected, rtol=1e-2)


def test_a_distant_light_is_a_clamped_cosine_to_order_two() -> None:
    towards = np.array([0.0, 1.0, 0.0], np.float32)
    harmonics = sphere.project_direction(towards, np.ones(3, np.float32))
    actual = sphere.irradiance(harmonics, DIRECTIONS, floor=0)[..., 0]
    expected = np.maximum(DIRECTIONS @ towards, 0)
    assert float((np.abs(actual - expected) * SOLID).sum() / SOLID.sum()) < 2 * ORDER_2
    assert float(actual.max()) == pytest.approx(1, abs=0.1)


def test_irradiance_is_never_below_the_floor() -> None:
    harmonics = sphere.project_direction(np.array([0.0, 0.0, 1.0], np.float32), np.ones(3, np.float32))
    actual = sphere.irradiance(harmonics, DIRECTIONS)
    assert float(actual.min()) >= 0.05 * float(sphere.mean_irradiance(harmonics)[0]) * 0.999


def test_blurred_harmonics_keep_the_mean_and_lose_contrast() -> None:
    harmonics = sphere.project_direction(np.array([0.0, 0.0, 1.0], np.float32), np.ones(3, np.float32))
    blurred = sphere.blur(harmonics, 30)
    np.testing.assert_array_equal(blurred[0], harmonics[0])
    # The mean cosine of a 30 degree spread, 1 - s^2/2 to second order.
    assert float(blurred[2, 0] / harmonics[2, 0]) == pytest.approx(np.exp(-(np.deg2rad(30) ** 2) / 2), rel=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1e4])
def test_a_damaged_probe_pixel_counts_as_black(bad: float) -> None:
    probe = np.full((16, 32, 3), 0.5, np.float32)
    black = probe.copy()
    probe[3, 4], black[3, 4] = bad, 0
    np.testing.assert_array_equal(sphere.project_latlong(probe), sphere.project_latlong(black))


def test_a_probe_gathered_into_lights_keeps_its_power() -> None:
    probe = np.random.default_rng(1).random((64, 128, 3)).astype(np.float32)
    gathered = light.from_latlong(probe)
    np.testing.assert_allclose(
        gathered.powers.sum(0), (probe * sphere.latlong_directions(64, 128)[1][..., None]).sum((0, 1)), rtol=2e-3
    )
    np.testing.assert_allclose(np.linalg.norm(gathered.directions, axis=-1), 1, rtol=1e-5)
