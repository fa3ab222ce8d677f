"""The metrics are those of the development set's scorers, to rounding, on its shots."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platelight_server.evaluation.metrics.measuring import Report, failed_gates, measure
from platelight_server.evaluation.metrics.sources import of_shot, open_clip
from platelight_server.plates import exr
from tests.shots.small import REC709

pytestmark = pytest.mark.dev_data

# The scorers add in single precision, over a whole clip at once; ours frame by frame.
ROUNDING = 2e-5
TINT = np.array([1.2, 1, 0.8], np.float32)[:, None, None]
OF_PLATE = {"warp_ratio": "plate_warp_ratio", "flicker_mEV": "plate_flicker_mEV"}


def scored(scorer: Path, shot: Path, pattern: Path, frames: str, out: Path) -> dict[str, Any]:
    command = [sys.executable, str(scorer), str(shot), str(pattern), "--frames", frames, "--json", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    said: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return said


def ours(shot: Path, pattern: Path, frames: str, theirs: dict[str, Any], named: dict[str, str]) -> Report:
    """Ours of the metrics that a scorer takes."""
    name, parts, _ = of_shot(shot)
    wanted = [named.get(metric, metric) for metric in theirs["result"]]
    return measure(open_clip(str(pattern), parts, frames, name), only=wanted)


def made(shot: Path, folder: Path, frames: range, foreground: str, matte: str | None, background: str) -> Path:
    """A relight that is wrong in level, light and steadiness, with its layer; one pixel of it is not a number."""
    folder.mkdir()
    still = shot / "bg_b" / "bg_b.exr"
    for frame in frames:
        light = exr.read(shot / foreground / f"{foreground}.{frame}.exr", "RGB").pixels.astype(np.float32)
        alpha = np.ones_like(light[:1])
        if matte is not None:
            path = shot / "matte" / f"matte.{frame}.exr"
            alpha = exr.read(path, exr.read_info(path).channels[:1]).pixels.astype(np.float32)
            light = light * alpha if foreground == "plate" else light
        path = still if still.is_file() else shot / background / f"{background}.{frame}.exr"
        behind = exr.read(path, "RGB").pixels.astype(np.float32)
        across = np.linspace(0.6, 1.7, light.shape[2], dtype=np.float32)
        light = light * across * np.float32(1.1 + 0.05 * (frame % 2)) * TINT
        composite = light + (1 - alpha) * behind
        composite[0, 0, 0] = np.nan
        layers = dict(zip("RGB", composite, strict=True)) | dict(
            zip(("relit.R", "relit.G", "relit.B", "relit.A"), (*light, alpha[0]), strict=True)
        )
        planes = {name: plane.astype(np.float16) for name, plane in layers.items()}
        exr.write(folder / f"made.{frame}.exr", planes, REC709, "zip")
    return folder / "made.####.exr"


def agree(theirs: dict[str, Any], report: Report, named: dict[str, str]) -> int:
    """Compares everything that a scorer says; returns how many numbers."""
    count = 0
    for row in ("result", "paste"):
        found = {name: report.rows[row].get(named.get(name, name)) for name in theirs[row]}
        assert found == pytest.approx(theirs[row], rel=ROUNDING, abs=ROUNDING), row
        count += len(found)
    return count


def test_rendered_shot_scores_as_score_py_says(dev_data: Path, tmp_path: Path) -> None:
    shot = dev_data / "gt_dancer_neon"
    pattern = made(shot, tmp_path / "made", range(1001, 1007), "fg_a", "matte", "bg_b")
    theirs = scored(dev_data.parent / "score.py", shot, pattern, "1001-1006", tmp_path / "score.json")
    report = ours(shot, pattern, "1001-1006", theirs, {})
    with_flip = 6 if importlib.util.find_spec("flip_evaluator") else 0
    assert agree(theirs, report, {}) == 23 + with_flip
    assert (report.nonfinite, theirs["nonfinite"]) == (6, 6)


@pytest.mark.parametrize(("name", "count"), [("real_mdn_chroma", 4), ("real_two_people", 2)])
def test_filmed_clip_keeps_the_gates_that_score_real_py_says(
    name: str, count: int, dev_data: Path, tmp_path: Path
) -> None:
    """Those without a truth: the second has mattes in R,G,B."""
    shot = dev_data / name
    pattern = made(shot, tmp_path / "made", range(1001, 1001 + count), "plate", "matte", "bg_b")
    theirs = scored(dev_data.parent / "score_real.py", shot, pattern, f"1001-{1000 + count}", tmp_path / "score.json")
    report = ours(shot, pattern, f"1001-{1000 + count}", theirs, OF_PLATE)
    assert agree(theirs, report, OF_PLATE) == 17
    assert {OF_PLATE.get(name, name) for name in theirs["failed"]} == set(report.failed)
    assert set(report.failed) == set(failed_gates(report.rows))
