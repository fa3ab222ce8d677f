"""The measures over a network's tracks, with a tracker whose answer is known; and CoTracker3 itself where it is."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from platelight.errors import ModelError
from platelight_server.evaluation.metrics.frame import Frame
from platelight_server.evaluation.metrics.metric import Setting
from platelight_server.evaluation.metrics.tracked import NetworkTracks, Tracker
from tests.evaluation.clips import HEIGHT, WIDTH, frames, measured, texture

FG, FULL, COSINE = "cotracker_error_fg", "cotracker_error_full", "cotracker_cosine_fg"
SUB_PIXEL = 0.05  # what following a texture of half the size gets wrong, of the motion
ROUNDING_PX = 1e-3  # the predictor scales its answer, by one


class Followed:
    """Lucas-Kanade from the first picture to each; seen is what comes back when followed backwards."""

    height, width, stretch = HEIGHT // 2, WIDTH // 2, 4

    def __init__(self) -> None:
        self.asked = 0

    def tracks(self, pictures: np.ndarray, points: np.ndarray) -> np.ndarray:
        self.asked += 1
        first, found = cv2.cvtColor(pictures[0], cv2.COLOR_RGB2GRAY), []
        for one in pictures:
            now = cv2.cvtColor(one, cv2.COLOR_RGB2GRAY)
            there, seen, _ = cv2.calcOpticalFlowPyrLK(first, now, points[:, None], None)
            back, _, _ = cv2.calcOpticalFlowPyrLK(now, first, there, None)
            returned = np.hypot(*(back[:, 0] - points).T) < 0.1
            found.append(np.c_[there[:, 0], seen[:, 0] * returned])
        return np.array(found, np.float32)


class Lost(Followed):
    """Loses every second point, and says that it does."""

    def tracks(self, pictures: np.ndarray, points: np.ndarray) -> np.ndarray:
        found = super().tracks(pictures, points)
        found[1:, ::2] = np.random.default_rng(len(pictures)).normal(0, 50, found[1:, ::2].shape)
        found[1:, ::2, 2] = 0.5
        return found


class Known(NetworkTracks):
    """Asks such a tracker."""

    def __init__(self, tracker: Tracker) -> None:
        super().__init__(Setting())
        self._tracker = tracker

    def tracker(self) -> Tracker:
        return self._tracker


def taken(made: list[Frame], tracker: Tracker | None = None) -> Known:
    gauge = Known(tracker or Followed())
    for number, frame in enumerate(made):
        gauge.add(frame, made[number - 1] if number else None)
    return gauge


@pytest.mark.parametrize("tracker", [Followed, Lost])
@pytest.mark.parametrize(
    ("speed", "error", "cosine"), [(1.0, 0.0, 1.0), (0.5, 0.0, 1.0), (-1.0, 0.0, -1.0), (0.0, 1.0, 0.0)]
)
def test_error_is_blind_to_scale_and_the_cosine_to_length(
    tracker: type[Followed], speed: float, error: float, cosine: float
) -> None:
    found = taken(frames(lambda at, _: texture(at * 2 * speed), step=2.0), tracker()).values()
    assert found[FG] == pytest.approx(error, abs=SUB_PIXEL) and found[FULL] == pytest.approx(error, abs=SUB_PIXEL)
    assert found[COSINE] == pytest.approx(cosine, abs=SUB_PIXEL)


def test_sideways_motion_is_an_error() -> None:
    def sideways(at: int, _: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(texture(), np.float32([[1, 0, 0], [0, 1, 2 * at]]), (WIDTH, HEIGHT), borderMode=2)

    found = taken(frames(sideways, step=2.0)).values()
    assert (found[FG], found[COSINE]) == (pytest.approx(1, abs=SUB_PIXEL), pytest.approx(0, abs=SUB_PIXEL))


def test_displacements_are_in_the_frame_s_pixels() -> None:
    """A tracker that sees a picture squeezed to half its width sees motion to the right half as long."""

    class Squeezed(Followed):
        height = HEIGHT

    def both_ways(at: int, _: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(texture(), np.float32([[1, 0, 2 * at], [0, 1, 2 * at]]), (WIDTH, HEIGHT), borderMode=2)

    found = taken(frames(both_ways, step=2.0), Squeezed()).values()
    assert found[COSINE] == pytest.approx(0.5**0.5, abs=SUB_PIXEL)  # 45 degrees, not 63


def test_stretches_share_a_frame_so_that_no_step_is_lost() -> None:
    gauge = taken(frames(lambda _, truth: truth, step=2.0))
    first, second = gauge.values(), gauge.values()
    assert first == second
    assert sorted(gauge.curves[COSINE]) == [1002, 1003, 1004, 1005, 1006]


def test_reference_is_tracked_once_for_result_and_paste() -> None:
    tracker, made = Followed(), frames(lambda _, truth: truth, step=2.0)[:4]
    for gauge in (taken(made, tracker), taken([frame.with_result(texture()) for frame in made], tracker)):
        gauge.values()
    assert tracker.asked == 3


def test_without_a_truth_the_plate_counts_and_the_whole_frame_does_not() -> None:
    made = [replace(f, plate=f.truth, truth=None) for f in frames(lambda _, truth: truth * 2, step=2.0)]
    found = taken(made).values()
    assert (found[FG], found[FULL]) == (pytest.approx(0, abs=SUB_PIXEL), None)


@pytest.mark.parametrize("step", [0.0, 0.03])
def test_what_hardly_moves_has_no_value(step: float) -> None:
    assert taken(frames(lambda _, truth: truth, step=step)).values() == {FG: None, FULL: None, COSINE: None}


def test_package_and_weights_are_skipped_by_name(tmp_path: Path) -> None:
    skipped = measured(frames(lambda _, truth: truth), FG, COSINE, roots=(tmp_path,)).skipped
    assert set(skipped) >= {FG, COSINE}
    assert f"model cotracker3-offline: expected a folder cotracker3-offline in {tmp_path}" in skipped[FG]
    installed = importlib.util.find_spec("cotracker") is not None
    assert ("pip install git+https://github.com/facebookresearch/co-tracker" in skipped[FG]) != installed


def test_cotracker_says_what_its_own_predictor_says(tmp_path: Path) -> None:
    pytest.importorskip("cotracker", reason="CoTracker's package is not installed; its licence is non-commercial")
    import torch
    from cotracker.models.core.model_utils import get_points_on_a_grid
    from cotracker.predictor import CoTrackerPredictor
    from safetensors.torch import save_file

    from platelight_server.evaluation.metrics.cotracker import WEIGHTS, CoTracker

    torch.manual_seed(3)
    theirs = CoTrackerPredictor(checkpoint=None, offline=True, window_len=60)
    save_file(theirs.model.state_dict(), tmp_path / WEIGHTS)
    ours = CoTracker.from_folder(tmp_path)
    pictures = np.stack([cv2.resize(texture(3.0 * at), (ours.width, ours.height)) for at in range(2)])
    points = get_points_on_a_grid(3, (ours.height, ours.width))[0].numpy()
    found = ours.tracks((pictures * 255).astype(np.uint8), points)
    video = torch.from_numpy((pictures * 255).astype(np.uint8)).permute(0, 3, 1, 2)[None].float()
    places, seen = theirs(video, grid_size=3)
    np.testing.assert_allclose(found[..., :2], places[0].numpy(), rtol=0, atol=ROUNDING_PX)
    np.testing.assert_array_equal(found[..., 2] > 0.9, seen[0].numpy())
    save_file({"a": torch.zeros(1)}, tmp_path / WEIGHTS)
    with pytest.raises(ModelError, match=f"{WEIGHTS}: expected the 188 tensors of CoTrackerThreeOffline"):
        CoTracker.from_folder(tmp_path)
