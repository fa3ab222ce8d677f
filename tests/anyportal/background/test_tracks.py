"""Tracks and the video drawn of them: exact with a solved camera, honest without."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from platelight.camera import CameraFrame
from platelight.errors import InputError
from platelight.matrices import Vector3, multiply, rotation_zxy
from platelight.recipe import Ground
from platelight_server.engines.anyportal.background.drawing import colors_of, tracking_video
from platelight_server.engines.anyportal.background.flow_tracks import LucasKanade
from platelight_server.engines.anyportal.background.tracks import CameraTracks, Tracks, covered, projected

EXACT_PX = 0.01
WIDTH, HEIGHT = 180, 120


def camera(frame: int, at: Vector3 = (0.0, 1.5, 0.0), turned: Vector3 = (0.0, 0.0, 0.0)) -> CameraFrame:
    stood = ((1.0, 0.0, 0.0, at[0]), (0.0, 1.0, 0.0, at[1]), (0.0, 0.0, 1.0, at[2]), (0.0, 0.0, 0.0, 1.0))
    return CameraFrame(frame, multiply(stood, rotation_zxy(*turned)), 170.0, 165.0, 88.0, 61.0, WIDTH, HEIGHT)


MOVING = [camera(1001 + i, (0.05 * i, 1.5, -0.03 * i), (0.2 * i, -0.7 * i, 0.1 * i)) for i in range(9)]
SET: list[Vector3] = [(x, y, -4.0 - z) for x in (-1.2, 0.0, 1.1) for y in (0.9, 1.6, 2.1) for z in (0.0, 1.3)]


def middle(picture: np.ndarray, near: tuple[float, float]) -> np.ndarray:
    """The weighted middle of what is drawn within 6 px of a place."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    share = picture.max(0) * (np.abs(x - near[0]) < 6) * (np.abs(y - near[1]) < 6)
    return np.array([(share * x).sum(), (share * y).sum()]) / share.sum()


def test_the_drawn_video_is_the_projection_of_the_points() -> None:
    apart: list[Vector3] = [(x, 1.5 + y, -5.0 + x * y) for x in (-0.5, 0.2, 0.9, 1.6) for y in (-0.7, 0.1, 0.8)]
    tracks = projected(np.array([(*point, 1.0) for point in apart]), MOVING)
    video = tracking_video(tracks, HEIGHT, WIDTH, side=5).numpy()
    seen = [[one.project(point)[:2] for point in apart] for one in MOVING]
    found = [[middle(picture, place) for place in places] for picture, places in zip(video, seen, strict=True)]
    assert np.abs(np.array(found) - seen).max() < EXACT_PX
    assert np.abs(np.array(seen) - np.round(seen)).max() > 0.4  # they do not lie on pixels by chance


def test_snapped_squares_are_whole_pixels_as_published() -> None:
    tracks = Tracks(np.array([[[20.7, 30.2]]]), np.ones((1, 1)), np.ones((1, 1), bool))
    (picture,) = tracking_video(tracks, HEIGHT, WIDTH, snapped=True, side=5).numpy()
    rows, columns = np.nonzero(picture[0])
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (18, 22, 28, 32)
    assert len(np.unique(picture[0])) == 2


def test_colours_are_those_of_the_first_frame() -> None:
    tracks = projected(np.array([(*point, 1.0) for point in SET]), MOVING)
    drawn, colors = colors_of(tracks, HEIGHT, WIDTH)
    near = tracks.nearness[0]
    low, high = np.percentile(near, (2, 98))
    assert np.allclose(colors[:, 0], tracks.xy[0, :, 0] / WIDTH)
    assert np.allclose(colors[:, 1], tracks.xy[0, :, 1] / HEIGHT)
    assert np.allclose(colors[:, 2], np.clip((near - low) / (high - low), 0, 1))
    assert drawn.all()


def test_nearer_points_lie_over_farther_ones_and_black_is_elsewhere() -> None:
    points = np.array([[0.0, 1.5, -8.0, 1.0], [0.0, 1.5, -2.0, 1.0], [0.01, 1.5, -5.0, 1.0]])
    (picture,) = tracking_video(projected(points, [camera(1)]), HEIGHT, WIDTH, side=5).numpy()
    assert picture[2, 61, 88] == 1.0
    assert (picture.max(0) > 0).sum() <= 6 * 7
    assert picture[:, :40].max() == 0


def test_points_that_enter_are_drawn_only_when_asked() -> None:
    later = camera(1002, turned=(0.0, -40.0, 0.0))
    points = np.array([[0.0, 1.5, -4.0, 1.0], [4.0, 1.5, -4.0, 1.0]])
    tracks = projected(points, [camera(1001), later])
    assert colors_of(tracks, HEIGHT, WIDTH)[0].tolist() == [True, False]
    drawn, colors = colors_of(tracks, HEIGHT, WIDTH, entering=True)
    assert drawn.tolist() == [True, True]
    assert np.allclose(colors[1, :2], tracks.xy[1, 1] / (WIDTH, HEIGHT))
    assert (
        tracking_video(tracks, HEIGHT, WIDTH)[1].sum() < tracking_video(tracks, HEIGHT, WIDTH, entering=True)[1].sum()
    )


def test_points_behind_the_camera_are_not_drawn() -> None:
    tracks = projected(np.array([[0.0, 1.5, 3.0, 1.0]]), [camera(1)])
    assert not tracks.shown.any()
    assert tracking_video(tracks, HEIGHT, WIDTH).max() == 0


def test_without_points_a_grid_far_off_turns_with_the_camera() -> None:
    tracks = CameraTracks(MOVING)(range(9))
    assert tracks.xy.shape == (9, 70 * 70, 2)
    assert (tracks.nearness == 0).all()
    ray = np.array([(tracks.xy[0, :, 0] - 88) / 170, -(tracks.xy[0, :, 1] - 61) / 165, -np.ones(4900)])
    world = np.array(MOVING[0].camera_to_world)[:3, :3] @ ray
    far = [MOVING[5].project(tuple(1e9 * value for value in way))[:2] for way in world[:, ::490].T]
    assert np.abs(tracks.xy[5, ::490] - far).max() < EXACT_PX


def test_a_grid_lies_on_the_ground() -> None:
    tracks = CameraTracks(MOVING, ground=Ground())(range(9))
    on_ground = tracks.nearness[0] > 0.05
    depth = 1 / tracks.nearness[0][on_ground]
    x, y = tracks.xy[0][on_ground].T
    points = np.stack([(x - 88) / 170 * depth, 1.5 - (y - 61) / 165 * depth, -depth], 1)
    assert on_ground.sum() > 1000
    assert np.abs(points[:, 1]).max() < 1e-9
    seen = [MOVING[8].project(tuple(point))[:2] for point in points[::100]]
    assert np.abs(tracks.xy[8][on_ground][::100] - seen).max() < EXACT_PX


def test_solved_points_are_tracked_exactly_among_the_grid_laid_on_them() -> None:
    tracks = CameraTracks(MOVING, SET)(range(2, 9))
    seen = np.array([[one.project(point)[:2] for point in SET] for one in MOVING[2:]])
    assert np.abs(tracks.xy[:, : len(SET)] - seen).max() < EXACT_PX
    assert tracks.xy.shape[1] == len(SET) + 70 * 70
    assert (tracks.nearness[0, len(SET) :] > 0).mean() > 0.5


def test_grids_for_what_enters_hold_only_what_was_not_seen() -> None:
    turning = [camera(1001 + i, turned=(0.0, -4.0 * i, 0.0)) for i in range(9)]
    few, more = (CameraTracks(turning, entering=entering)(range(9)) for entering in (False, True))
    added = more.xy[:, few.xy.shape[1] :]
    assert added.shape[1] > 400
    inside = (added >= 0).all(-1) & (added < (WIDTH, HEIGHT)).all(-1) & more.shown[:, few.xy.shape[1] :]
    assert not inside[:8].all(0).any()
    assert inside[8].all()


def test_many_points_in_one_corner_are_too_few() -> None:
    rng = np.random.default_rng(1)
    corner = [(-2.0 + 0.3 * x, 2.4 + 0.2 * y, -4.0) for x, y in rng.random((1200, 2))]
    with pytest.raises(InputError, match=r"expected points over 25% or more of frame 1001, they cover \d+%"):
        CameraTracks(MOVING, corner)(range(9))


def panning(steps: int, shift: float, seed: int = 3) -> np.ndarray:
    """(F, 3, h, w): a textured wall, moved by `shift` pixels to the left on each frame."""
    rng = np.random.default_rng(seed)
    wall = cv2.resize(rng.random((40, 100), np.float32), (600, 240), interpolation=cv2.INTER_CUBIC)
    frames = []
    for i in range(steps):
        move = np.array([[1.0, 0.0, -40 - shift * i], [0.0, 1.0, -30]])
        frame = cv2.warpAffine(wall, move, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
        frames.append(np.repeat(frame[None] * 2 - 1, 3, 0))
    return np.stack(frames).astype(np.float32)


def test_flow_follows_a_pan_around_the_subject() -> None:
    video, matte = panning(5, 2.5), np.zeros((5, 1, HEIGHT, WIDTH), np.float32)
    matte[:, :, 20:100, 60:120] = 1
    video[:, :, 20:100, 60:120] = np.random.default_rng(0).random((5, 3, 80, 60)).astype(np.float32)
    tracks = LucasKanade(1001).track(video, matte)
    moved = tracks.xy - tracks.xy[:1]
    expected = -2.5 * np.arange(5)
    assert np.abs(moved[..., 0] - expected[:, None]).max() < 0.5
    assert np.abs(moved[..., 1]).max() < 0.5
    assert covered(tracks, WIDTH, HEIGHT) == 1.0


@pytest.mark.parametrize("why", ["no texture", "all subject"])
def test_too_few_points_are_an_error_that_names_the_frame(why: str) -> None:
    video = panning(3, 2.0) if why == "all subject" else np.zeros((3, 3, HEIGHT, WIDTH), np.float32)
    matte = np.zeros((3, 1, HEIGHT, WIDTH), np.float32)
    if why == "all subject":
        matte[:, :, :, 6:] = 1
    with pytest.raises(InputError, match=r"frame 1002: too few points of the background"):
        LucasKanade(1001).track(video, matte)


def test_drawing_many_points_is_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(4)
    xy, near = rng.uniform(-5, 70, (1, 400, 2)), rng.uniform(0.1, 1, (1, 400))
    tracks = Tracks(xy, near, np.ones((1, 400), bool))
    drawn, colors = colors_of(tracks, 60, 64)
    expected = np.zeros((60, 64, 3))
    edges_x, edges_y = np.arange(65), np.arange(61)
    for i in np.argsort(near[0], kind="stable"):
        if drawn[i]:
            across = np.clip(
                np.minimum(edges_x[1:], xy[0, i, 0] + 2.5) - np.maximum(edges_x[:-1], xy[0, i, 0] - 2.5), 0, 1
            )
            down = np.clip(
                np.minimum(edges_y[1:], xy[0, i, 1] + 2.5) - np.maximum(edges_y[:-1], xy[0, i, 1] - 2.5), 0, 1
            )
            share = (down[:, None] * across[None])[..., None]
            expected = expected * (1 - share) + colors[i] * share
    made = tracking_video(tracks, 60, 64, side=5)
    assert torch.allclose(made[0].permute(1, 2, 0), torch.from_numpy(expected).float(), atol=1e-5)
