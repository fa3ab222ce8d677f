"""A still carried through the camera solve: where each pixel looks, and what it sees there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, radians, sin

import numpy as np
import pytest

from platelight.camera import Camera, CameraFrame
from platelight.errors import CameraError, RecipeError
from platelight.matrices import Vector3, multiply, rotation_zxy
from platelight.recipe import Background, CameraSource, Ground, Recipe, TrackedPoint
from platelight_server.plates.carry import Carry, Plane, carry_of
from platelight_server.plates.picture import Box
from platelight_server.plates.resample import Pyramid, resampled
from platelight_server.plates.surface import surface_through
from tests.shared.recipes import smallest

EXACT_PX = 0.01
# Of solved points, the surface is a grid of knots with straight lines between, sought to 1e-4 px.
SURFACE_PX = 0.05
WIDTH, HEIGHT = 192, 108


def camera(
    frame: int, at: Vector3 = (0.0, 1.6, 0.0), turned: Vector3 = (0.0, 0.0, 0.0), focal: float = 180.0
) -> CameraFrame:
    """A camera with pixels that are not square and a principal point off the middle."""
    stood = ((1.0, 0.0, 0.0, at[0]), (0.0, 1.0, 0.0, at[1]), (0.0, 0.0, 1.0, at[2]), (0.0, 0.0, 0.0, 1.0))
    return CameraFrame(frame, multiply(stood, rotation_zxy(*turned)), focal, focal * 1.1, 90.0, 50.0, WIDTH, HEIGHT)


REFERENCE = camera(1001)
MOVED = camera(1007, (0.6, 1.9, -0.8), (3.0, -9.0, 2.0), 205.0)
TURNED = camera(1007, REFERENCE.position, (4.0, -12.0, 3.0), 205.0)
PIXELS = np.meshgrid(np.linspace(2, WIDTH - 2, 9), np.linspace(2, HEIGHT - 2, 7))


def misses(carry: Carry, seen: CameraFrame, points: Sequence[Vector3]) -> np.ndarray:
    """Distances in px between where a point lies in the reference and where its pixel in `seen` looks."""
    found = []
    for point in points:
        x, y, ahead = seen.project(point)
        u, v, also = carry.reference.project(point)
        assert ahead > 0
        assert also > 0
        at = carry.lookup(seen)(np.array([[x]]), np.array([[y]]))
        found.append(np.hypot(at[0][0, 0] - u, at[1][0, 0] - v))
    return np.array(found)


def test_a_turned_camera_looks_along_the_same_rays() -> None:
    far = [(1e7 * x, 1e7 * y, -1e7) for x in (-0.2, 0.0, 0.3) for y in (-0.1, 0.2)]
    assert misses(Carry(REFERENCE, None), TURNED, far).max() < EXACT_PX


def test_a_moved_camera_sees_the_ground_where_it_is() -> None:
    ground = [(x, 0.0, z) for x in (-1.5, 0.0, 1.0) for z in (-4.0, -7.0, -30.0)]
    carry = Carry(REFERENCE, Plane(np.array([0.0, 1.0, 0.0]), 0.0))
    assert misses(carry, MOVED, ground).max() < EXACT_PX


def test_above_the_ground_all_is_far_off() -> None:
    sky = [(1e7 * x, 1e7 * y, -1e7) for x in (-0.2, 0.1) for y in (0.05, 0.3)]
    carry = Carry(REFERENCE, Plane(np.array([0.0, 1.0, 0.0]), 0.0))
    assert misses(carry, MOVED, sky).max() < EXACT_PX


def test_a_wall_stands_at_its_distance() -> None:
    wall = [(x, y, -5.0) for x in (-1.0, 0.5) for y in (0.5, 2.0)]
    recipe = recipe_with(Background("s.exr", move="camera", depth="distance", distance_m=5.0))
    carry = carry_of(recipe, Camera.of([REFERENCE]), Box(0, 0, WIDTH - 1, HEIGHT - 1))
    assert misses(carry, MOVED, wall).max() < EXACT_PX


def wall_and_floor(x: float, y: float) -> Vector3:
    """A set: a floor that rises gently towards the back."""
    return (x, 0.03 * y * y, -3.0 - y)


def scattered(shape: Callable[[float, float], Vector3], count: int = 60) -> list[Vector3]:
    rng = np.random.default_rng(5)
    return [shape(x, y) for x, y in zip(rng.uniform(-4, 4, count), rng.uniform(0, 6, count), strict=True)]


def test_points_on_a_plane_give_the_plane() -> None:
    points = scattered(lambda x, y: (x, 0.2 * x, -3.0 - y))
    shown = [point for point in points if REFERENCE.project(point)[2] > 0]
    carry = Carry(REFERENCE, surface_through(REFERENCE, points))
    assert misses(carry, MOVED, shown[:20]).max() < SURFACE_PX


def test_points_give_a_smooth_set_and_a_few_wrong_ones_do_not_bend_it() -> None:
    points = scattered(wall_and_floor, 120)
    others = scattered(wall_and_floor, 400)[120:150]
    inside = [p for p in others if 0 < REFERENCE.project(p)[0] < WIDTH and 0 < REFERENCE.project(p)[1] < HEIGHT]
    rotation = misses(Carry(REFERENCE, None), MOVED, inside)
    clean = misses(Carry(REFERENCE, surface_through(REFERENCE, points)), MOVED, inside)
    wrong = [(point[0] * 3, point[1] * 3 + 1, point[2] * 0.4) for point in points[::20]]
    bent = misses(Carry(REFERENCE, surface_through(REFERENCE, [*points, *wrong])), MOVED, inside)
    assert len(inside) >= 8
    assert np.median(rotation) > 20
    assert np.median(clean) < 1.0
    assert np.median(bent) < 2.0


def test_too_few_points_are_refused_with_their_number() -> None:
    points = [*scattered(wall_and_floor, 3), (0.0, 0.0, 50.0)]
    with pytest.raises(CameraError, match=r"expected 4 or more in the view of frame 1001, got \d of 4"):
        surface_through(REFERENCE, points)


def test_what_lies_behind_the_reference_camera_is_outside_on_its_own_side() -> None:
    back = camera(1002, REFERENCE.position, (0.0, 150.0, 0.0))
    u, v = Carry(REFERENCE, None).lookup(back)(*PIXELS)
    assert np.isfinite(u).all()
    assert np.isfinite(v).all()
    assert (((u < 0) | (u > WIDTH)) | ((v < 0) | (v > HEIGHT))).all()


def test_a_camera_in_the_plane_is_refused() -> None:
    with pytest.raises(CameraError, match=r"frame 1007: it stands in the plane"):
        Carry(REFERENCE, Plane(np.array([0.0, 1.0, 0.0]), -MOVED.position[1])).lookup(MOVED)


def recipe_with(background: Background, **tables: object) -> Recipe:
    points = tuple(TrackedPoint(p) for p in scattered(wall_and_floor, 8))
    source = CameraSource(frames=tuple(camera(n) for n in (1001, 1002, 1003)), points=points)
    return Recipe(**{**vars(smallest()), "background": background, "camera": source, **tables})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("background", "tables", "message"),
    [
        (Background("s.exr", move="camera"), {"camera": None}, "camera: expected a solved camera"),
        (Background("s.exr", move="camera", depth="ground"), {}, "ground: expected the ground's plane"),
    ],
)
def test_what_a_moving_still_needs_is_named(background: Background, tables: dict[str, None], message: str) -> None:
    recipe = recipe_with(background, **tables)
    held = None if recipe.camera is None else Camera.of(recipe.camera.frames)
    with pytest.raises(RecipeError, match=message):
        carry_of(recipe, held, Box(0, 0, WIDTH - 1, HEIGHT - 1))


def test_depths_of_a_recipe_are_those_of_the_set() -> None:
    display = Box(0, 0, WIDTH - 1, HEIGHT - 1)
    solved = Camera.of([camera(1001), camera(1002), camera(1003, (1.0, 2.0, 3.0))])
    ground = recipe_with(
        Background("s.exr", move="camera", depth="ground", reference_frame=1003), ground=Ground((0.0, -1.0, 0.0))
    )
    carry = carry_of(ground, solved, display)
    assert carry.reference.position == (1.0, 2.0, 3.0)
    assert misses(carry, MOVED, [(0.3, -1.0, -5.0), (-1.0, -1.0, -9.0)]).max() < EXACT_PX
    points = carry_of(recipe_with(Background("s.exr", move="camera", depth="points")), solved, display)
    assert misses(points, MOVED, scattered(wall_and_floor, 8)).max() < 5.0


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"move": "camera"}, "move"),
        ({"still": "s.exr", "depth": "ground"}, "depth"),
        ({"still": "s.exr", "reference_frame": 1001}, "reference_frame"),
        ({"still": "s.exr", "move": "camera", "depth": "distance"}, "distance_m"),
        ({"still": "s.exr", "move": "camera", "distance_m": 3.0}, "distance_m"),
        ({"still": "s.exr", "move": "camera", "reference_frame": 1004}, "reference_frame"),
    ],
)
def test_impossible_moves_are_refused(keys: dict[str, object], path: str) -> None:
    with pytest.raises(RecipeError) as caught:
        smallest(background=keys)
    assert caught.value.path == f"background.{path}"


def pattern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(3, h, w): a smooth picture of directions or places, HDR and below 0."""
    return np.stack([4 * np.sin(5 * x) * np.cos(4 * y), np.cos(7 * x + y), 0.3 + x * y])


def seen(by: CameraFrame, width: int, height: int, world: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What a camera sees of a world that colours directions (3, h, w), drawn by formula."""
    sized = by.scaled(width, height)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack(
        [(x - sized.principal_x) / sized.focal_px_x, -(y - sized.principal_y) / sized.focal_px_y, -np.ones_like(x)]
    )
    return world(np.tensordot(np.array(by.camera_to_world)[:3, :3], rays, 1)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 2, 5], ids=lambda size: f"still of {size} times the plate")
def test_a_turned_view_of_a_still_is_what_the_camera_sees(size: int) -> None:
    def panorama(d: np.ndarray) -> np.ndarray:
        return pattern(d[0] / -d[2], d[1] / -d[2])

    nearby = camera(1007, REFERENCE.position, (1.0, -2.0, 1.0), 200.0)
    still = Pyramid(seen(REFERENCE, WIDTH * size, HEIGHT * size, panorama))
    lookup = Carry(REFERENCE, None).lookup(nearby)
    shown = resampled(still, HEIGHT, WIDTH, lambda x, y: tuple(size * place for place in lookup(x, y)))
    u, v = lookup(*np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5))
    inside = (u > 2) & (u < WIDTH - 2) & (v > 2) & (v < HEIGHT - 2)
    assert inside.mean() > 0.7
    # A hundredth of a pixel of this pattern is 0.001; area means and bicubic samples differ from points by more.
    assert np.abs(shown - seen(nearby, WIDTH, HEIGHT, panorama))[:, inside].max() < 0.01


def test_shrinking_takes_means_and_does_not_alias() -> None:
    stripes = np.tile((np.arange(512) % 2).astype(np.float32), (3, 512, 1))
    shown = resampled(Pyramid(stripes), 128, 128, lambda x, y: (4 * x + 0.37, 4 * y + 0.21))
    assert np.abs(shown - 0.5).max() < 0.02
    halved = resampled(Pyramid(stripes), 256, 256, lambda x, y: (2 * x, 2 * y))
    assert np.abs(halved - 0.5).max() < 1e-5


def test_edges_are_repeated_and_highlights_are_not_clamped() -> None:
    still = np.full((1, 8, 8), 30.0, np.float32)
    still[:, :, 0] = -2.0
    shown = resampled(Pyramid(still), 4, 4, lambda x, y: (x - 20, y + 100))
    assert np.array_equal(shown, np.full((1, 4, 4), -2.0, np.float32))
    turn = radians(30)
    rotated = resampled(
        Pyramid(still), 4, 4, lambda x, y: (5 + x * cos(turn) * 0.2, 4 + y * sin(turn) * 0.2)
    )  # fmt: skip
    assert np.allclose(rotated, 30.0, atol=1e-3)
