"""The published set: its pictures agree with each other, its probes with its light, and it stays small."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from platelight.camera_files import read_camera
from platelight_server.evaluation.bench_quality import measure_quality
from platelight_server.plates import exr

SET = Path(__file__).resolve().parents[2] / "evaluation_set"
SHOTS = sorted(path.name for path in SET.glob("gt_*"))
MOST_BYTES = 6_000_000
CODEC = 0.02  # DWAA, mean over pixels, of the pictures' mean


def pixels(shot: str, name: str, channels: str, frame: int = 1006) -> np.ndarray:
    return exr.read(SET / shot / name / f"{name}.{frame}.exr", list(channels)).pixels.astype(np.float32)


def test_the_set_is_whole_and_small() -> None:
    assert SHOTS == ["gt_bust_turn", "gt_figure_walk", "gt_figure_wave"]
    assert sum(path.stat().st_size for path in SET.rglob("*") if path.is_file()) < MOST_BYTES
    for shot in SHOTS:
        said = json.loads((SET / shot / "shot.json").read_text("utf-8"))
        assert (said["frames"], said["width"], said["licence"]) == (12, 240, "CC0-1.0")
        for name in ("plate_a", "fg_a", "fg_b", "bg_b", "comp_b", "matte", "aov", "depth"):
            assert len(list((SET / shot / name).glob("*.exr"))) == 12


@pytest.mark.parametrize("shot", SHOTS)
def test_the_truth_is_the_foreground_over_a_set_with_its_shadow(shot: str) -> None:
    matte, fg = pixels(shot, "matte", "A")[0], pixels(shot, "fg_b", "RGBA")
    comp, empty = pixels(shot, "comp_b", "RGB"), pixels(shot, "bg_b", "RGB")
    assert np.abs(fg[3] - matte).mean() < CODEC
    solid, outside = matte > 0.999, matte == 0
    assert np.abs(comp - fg[:3])[:, solid].mean() < CODEC * fg[:3, solid].mean()
    ratio = np.median(comp[:, outside] / np.maximum(empty[:, outside], 1e-3))
    assert ratio == pytest.approx(1, abs=0.03)  # most of the set is in no shadow


def test_motion_is_the_tracks_motion() -> None:
    tracks, errors = np.load(SET / "gt_bust_turn" / "tracks.npz"), []
    motion = exr.read(SET / "gt_bust_turn" / "aov" / "aov.1006.exr", ["mv_prev.x", "mv_prev.y"]).pixels
    depth, matte = pixels("gt_bust_turn", "depth", "Z")[0], pixels("gt_bust_turn", "matte", "A")[0]
    for at, before, kind in zip(tracks["pixel"][5], tracks["pixel"][4], tracks["kind"], strict=True):
        column, row = int(at[0]), int(at[1])
        seen = kind == "fg" and 0 <= column < 240 and 0 <= row < 135 and matte[row, column] > 0.999
        if seen and abs(depth[row, column] - at[2]) < 0.02:
            errors.append(np.abs(motion[:, row, column] - (before - at)[:2]).max())
    assert len(errors) > 50 and np.median(errors) < 0.05


def test_the_camera_is_read() -> None:
    camera = read_camera(SET / "gt_figure_walk" / "camera" / "camera_yup.json", 240, 135)
    assert sorted(camera.frames) == list(range(1001, 1013))


def test_probes_of_both_lights_bring_the_level_and_the_shape(tmp_path: Path) -> None:
    """The one test of units and directions of everything at once: a probe that is turned or scaled fails it."""
    one = tmp_path / "set"
    one.mkdir()
    (one / "gt_bust_turn").symlink_to(SET / "gt_bust_turn")
    rows = {row["grade"]: row for row in measure_quality(one, tmp_path / "work") if row["shot"] == "gt_bust_turn"}
    assert rows["P2"]["ev_fg"] < 0.5 < 2.0 < rows["paste"]["ev_fg"]
    assert rows["P2"]["relight_corr"] > 0.8
