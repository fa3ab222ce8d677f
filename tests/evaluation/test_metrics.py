"""Metrics on clips whose answer is known, or that a change must make better or worse."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from platelight.errors import InputError, RecipeError
from platelight_server.evaluation.metrics.light import ciede2000, display
from platelight_server.evaluation.metrics.measuring import compared, failed_gates
from platelight_server.evaluation.metrics.metric import Setting
from platelight_server.evaluation.metrics.registry import GAUGES, METRICS, described
from tests.evaluation.clips import COUNT, disc, frames, measured, texture, value

# Light is floored at .005 of the plate's scale, so a stop of a dark pixel is a little less.
FLOORED = 0.1
TRACKED = 0.05  # what sub-pixel tracking of a texture gets wrong, of the motion


def same(_: int, truth: np.ndarray) -> np.ndarray:
    return truth


def test_every_metric_says_what_it_is() -> None:
    assert len(METRICS) == sum(len(gauge.metrics) for gauge in GAUGES)
    for one in described(Setting()):
        assert all(one[key] for key in ("name", "formula", "region", "better", "source")), one["name"]


def test_a_perfect_result_is_perfect() -> None:
    rows = measured(frames(same, plate=texture(seed=5), background=texture(seed=6))).rows["result"]
    nought = ("rmse_disp_full", "ev_fg", "silog_fg", "de2000_fg", "si_gain_EV", "flicker_mEV", "laplacian_edge_log2")
    wanted = {"psnr_disp_fg": 100, "ssim_disp_full": 1, "relight_corr": 1} | dict.fromkeys(nought, 0)
    assert {name: rows[name] for name in wanted} == pytest.approx(wanted, abs=1e-5)


def test_psnr_of_a_known_error() -> None:
    code = np.full((96, 128, 3), 0.5, np.float32)
    light = ((code + 0.055) / 1.055) ** 2.4
    off = ((code + 0.1 + 0.055) / 1.055) ** 2.4
    made = [replace(f, truth=light, result=off) for f in frames(same)]
    found = measured(made, "psnr_disp_full", "rmse_disp_full", "mse_disp_full").rows["result"]
    assert found == pytest.approx({"psnr_disp_full": 20.0, "rmse_disp_full": 0.1, "mse_disp_full": 0.01}, rel=1e-4)


def test_one_stop_is_one_stop_and_one_gain_takes_it_out() -> None:
    made = frames(lambda _, truth: 2 * truth)
    found = measured(made, "ev_fg", "silog_fg", "si_gain_EV", "si_psnr_disp_fg", "psnr_disp_fg").rows["result"]
    assert (found["ev_fg"], found["si_gain_EV"]) == pytest.approx((1.0, -1.0), abs=FLOORED)
    assert found["silog_fg"] < 0.05 and found["si_psnr_disp_fg"] > found["psnr_disp_fg"] + 10


def test_flicker_of_alternating_exposure_is_its_step() -> None:
    made = frames(lambda at, truth: truth * 2 ** (0.1 * (at % 2)))
    assert value(made, "flicker_mEV") == pytest.approx(1000 * np.std([0.1, -0.1, 0.1, -0.1, 0.1]), rel=0.05)


def test_seam_stands_where_windows_join() -> None:
    made = frames(lambda at, truth: truth * (1.2 if at >= 3 else 1.0))
    assert value(made, "seam_mEV", joins=(1004,)) == pytest.approx(1000 * np.log2(1.2), rel=0.05)
    assert value(made, "seam_mEV", joins=(1003,)) == pytest.approx(0, abs=1)


def test_unsteady_light_raises_warp_error_and_lowers_similarity() -> None:
    made = frames(lambda at, truth: truth * 2 ** (0.3 * (at % 2)), step=1.0, plate=None)
    steady = frames(same, step=1.0)
    names = ("warp_ratio", "temporal_ssim_fg")
    found, wanted = (measured(m, *names).rows["result"] for m in (made, steady))
    assert found["warp_ratio"] > 1.5 and wanted["warp_ratio"] == pytest.approx(1.0)
    assert found["temporal_ssim_fg"] < wanted["temporal_ssim_fg"]


def test_log_ratio_error_sees_flicker_and_not_texture() -> None:
    plates = [texture(at * 2.0) for at in range(COUNT)]
    steady = [replace(f, plate=p, result=p * 1.5) for f, p in zip(frames(same), plates, strict=True)]
    unsteady = [replace(f, result=f.result * 2 ** (0.2 * (f.at % 2))) for f in steady]
    assert value(steady, "log_ratio_warp_mEV") < 20
    assert value(unsteady, "log_ratio_warp_mEV") == pytest.approx(200, rel=0.15)


@pytest.mark.parametrize(("speed", "expected"), [(1.0, 0.0), (0.5, 0.0), (0.0, 1.0)])
def test_trajectory_error_is_blind_to_scale_and_not_to_stillness(speed: float, expected: float) -> None:
    made = frames(lambda at, _: texture(at * 1.5 * speed), step=1.5)
    for name in ("trajectory_error_fg", "trajectory_error_full"):
        assert value(made, name) == pytest.approx(expected, abs=TRACKED)


@pytest.mark.parametrize(("speed", "expected"), [(1.0, 1.0), (-1.0, -1.0)])
def test_direction_of_motion(speed: float, expected: float) -> None:
    made = frames(lambda at, _: texture(at * 1.5 * speed), step=1.5)
    assert value(made, "motion_cosine_fg") == pytest.approx(expected, abs=TRACKED)


def test_flow_error_is_the_missing_motion_in_pixels() -> None:
    made = frames(lambda at, _: texture(), step=1.5)
    assert value(made, "motion_epe_fg") == pytest.approx(1.5, abs=0.3)


def test_what_does_not_move_has_no_direction() -> None:
    rows = measured(frames(same), "motion_cosine_fg", "trajectory_error_fg").rows["result"]
    assert rows == {"motion_cosine_fg": None, "trajectory_error_fg": None}


def test_blurred_edge_is_less_sharp_than_the_truth() -> None:
    blurred = frames(lambda _, truth: cv2.GaussianBlur(truth, (0, 0), 2))
    rows = measured(blurred, "laplacian_edge_log2", "tenengrad_edge_log2").rows["result"]
    assert all(found is not None and found < -1 for found in rows.values())


def test_spill_is_the_green_that_is_over() -> None:
    grey = np.full((96, 128, 3), 0.2, np.float32)
    green = grey * np.array([1, 2, 1], np.float32)
    over = float(display(green)[0, 0, 1] - display(grey)[0, 0, 1])
    assert value([replace(f, result=green) for f in frames(same)], "spill_edge") == pytest.approx(over)
    assert value([replace(f, result=grey) for f in frames(same)], "spill_edge") == 0


def test_light_stability_falls_with_flicker() -> None:
    bright = [replace(f, result=texture() * 2) for f in frames(same)]
    ramp = [replace(f, result=f.result * (1 + 0.01 * f.at)) for f in bright]
    jumpy = [replace(f, result=f.result * (1 + 0.3 * (f.at % 2))) for f in bright]
    assert value(bright, "light_stability") == 1.0
    assert value(jumpy, "light_stability") < value(ramp, "light_stability")


def test_paste_keeps_all_gates_but_the_edge_and_a_repainting_does_not() -> None:
    plate, background = texture(seed=5), texture(seed=6)
    alpha = disc()[..., None]
    pasted = plate * alpha + (1 - alpha) * background
    more = {"truth": None, "plate": plate, "background": background}
    kept = measured([replace(f, result=pasted, **more) for f in frames(same)])
    assert (kept.failed, kept.rows["result"]["bg_equal"]) == (["edge_plate"], 1.0)
    painted = measured([replace(f, result=texture(seed=20 + f.at), **more) for f in frames(same)])
    assert {"bg_psnr", "detail_corr", "plate_warp_ratio"} <= set(painted.failed)


def test_dirty_edge_fails_only_where_the_paste_is_dirty() -> None:
    assert failed_gates({"result": {"edge_plate": 0.45}, "paste": {"edge_plate": 0.46}}) == ["edge_plate"]
    assert failed_gates({"result": {"edge_plate": 0.2}, "paste": {"edge_plate": 0.46}}) == []
    assert failed_gates({"result": {"edge_plate": 0.25}, "paste": {"edge_plate": 0.25}}) == []


def test_steadier_than_the_truth_is_no_gain() -> None:
    rows = {"result": {"warp_ratio": 0.7, "ev_fg": 0.5}, "paste": {"warp_ratio": 0.9, "ev_fg": 1.0}}
    assert compared(rows) == {"better": ["ev_fg"], "worse": []}


def test_what_is_not_given_is_skipped_by_name_and_flag() -> None:
    report = measured([replace(f, truth=None) for f in frames(same)])
    assert report.skipped["ev_fg"] == "needs --truth"
    assert report.skipped["detail_corr"] == "needs --plate"
    assert report.skipped["seam_mEV"] == "needs --truth or --plate"
    assert "lpips-alex" not in report.skipped["lpips_full"] and set(report.rows) == {"result"}


def test_frame_without_foreground_has_no_value_and_harms_none() -> None:
    made = frames(same, plate=texture(seed=5), background=texture(seed=6))
    made[2] = replace(made[2], matte=np.zeros_like(disc()))
    report = measured(made)
    assert 1003 not in report.curves["result"]["psnr_disp_fg"] and report.rows["result"]["psnr_disp_fg"] == 100
    assert not [name for name, found in report.rows["result"].items() if found is not None and np.isnan(found)]


def test_unknown_metric_and_single_frame_are_refused() -> None:
    with pytest.raises(RecipeError, match="--only: expected a metric of `platelight evaluate --list`, got 'psnr'"):
        measured(frames(same), "psnr")
    with pytest.raises(InputError, match="made: expected at least two frames, got 1"):
        measured(frames(same)[:1])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # the pairs published by Sharma, Wu and Dalal 2005, table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, -0.001, 2.49), (50, 0.0009, -2.49), 4.8045),
        ((50, -0.001, 2.49), (50, 0.0011, -2.49), 4.7461),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
        ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ],
)
def test_colour_difference_is_the_published_one(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
) -> None:
    assert float(ciede2000(np.array(first), np.array(second))) == pytest.approx(expected, abs=5e-5)
