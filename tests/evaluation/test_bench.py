"""The benchmarks at a size that says nothing about speed: they run, and they give all their figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from platelight_server.evaluation import bench_quality
from platelight_server.evaluation.bench_pipeline import PipelineFigures, measure_pipeline
from platelight_server.evaluation.bench_preview import measure_preview
from platelight_server.evaluation.bench_process import measure_memory, measure_start
from platelight_server.evaluation.bench_shot import make_bench_shot
from platelight_server.plates import exr
from platelight_server.stages import STAGES
from tests.cli.running import here

FRAMES = (1001, 1002)


def test_bench_shot_is_a_shot_of_the_length_asked_for(tmp_path: Path) -> None:
    recipe = make_bench_shot(tmp_path, 64, 36, 6, distinct=2)
    written = sorted(tmp_path.rglob("plate.*.exr"))
    assert (len(written), str(recipe.frames), recipe.engine.name) == (6, "1001-1006", "classic")
    assert len({path.read_bytes() for path in written}) == 2
    assert exr.read_info(written[0]).data.width == 64


def test_pipeline_gives_all_figures(tmp_path: Path) -> None:
    found = measure_pipeline(tmp_path, 64, 36, 2)
    assert isinstance(found, PipelineFigures)
    said = found.as_dict()
    positive = ("bare_read", "bare_write", "transfer", "job", "check", "ratio", "ratio_with_check", "wall")
    assert ([name for name in positive if said[name] <= 0], set(said["stages"])) == ([], set(STAGES))
    assert found.ratio_with_check > found.ratio
    json.dumps(said)


def test_memory_is_measured_per_length(tmp_path: Path) -> None:
    found = measure_memory(tmp_path, 32, 32, (2, 1))
    assert (list(found.peaks), min(found.peaks.values()) > 1 << 20) == ([2, 1], True)
    assert found.growth == found.peaks[2] / found.peaks[1]


def test_start_is_measured() -> None:
    found = measure_start(runs=1)
    assert 0 < found.interpreter < found.help and found.import_platelight > 0


@pytest.mark.parametrize("frames", ["abc", "0", "-3", "", "1,2", "²"])
def test_frames_of_the_pipeline_are_one_number(frames: str) -> None:
    done = here("bench", "pipeline", "--frames", frames or " ")
    assert (done.returncode, "--frames: expected a number of frames" in done.stderr) == (65, True)


@pytest.mark.parametrize("frames", ["24", "1,2,3", "a,b"])
def test_frames_of_memory_are_two_numbers(frames: str) -> None:
    done = here("bench", "memory", "--frames", frames)
    assert (done.returncode, "--frames: expected two numbers" in done.stderr) == (65, True)


@pytest.mark.parametrize("size", ["4K", "8x8", "x", "1920"])
def test_size_is_width_by_height(size: str) -> None:
    done = here("bench", "pipeline", "--size", size)
    assert (done.returncode, "--size: expected WIDTHxHEIGHT" in done.stderr) == (65, True)


def test_table_of_the_pipeline_is_printed(tmp_path: Path) -> None:
    done = here("bench", "pipeline", "--size", "32x32", "--frames", "1", "--folder", str(tmp_path / "made"))
    named = [line.split()[0] for line in done.stdout.splitlines()]
    assert (done.returncode, {"ratio", "finish", "peak_memory_bytes"} <= set(named)) == (0, True), done.stderr


def test_quality_without_data_says_what_is_missing(tmp_path: Path) -> None:
    asked = [here("bench", "quality"), here("bench", "quality", "--data", str(tmp_path))]
    assert [done.returncode for done in asked] == [65, 65]
    assert ("--data" in asked[0].stderr, str(tmp_path) in asked[1].stderr) == (True, True)


@pytest.mark.dev_data
def test_quality_scores_every_grade_of_a_shot(dev_data: Path, tmp_path: Path) -> None:
    """The first frames of one shot: the figures are real, and mean little."""
    source = next(path for path in sorted(dev_data.glob("gt_*")) if (path / "env_b.exr").is_file())
    shot = tmp_path / "data" / "dev" / source.name
    shot.mkdir(parents=True)
    told = json.loads((source / "shot.json").read_text("utf-8"))
    (shot / "shot.json").write_text(json.dumps({**told, "frames": 3}))
    for path in source.iterdir():
        if path.name == "shot.json":
            continue
        if path.is_file() or path.name == "camera":
            (shot / path.name).symlink_to(path)
            continue
        (shot / path.name).mkdir()
        for frame in sorted(path.glob("*.exr"))[:3]:
            (shot / path.name / frame.name).symlink_to(frame)
    rows = bench_quality.measure_quality(shot.parent, tmp_path / "work")
    assert [row["grade"] for row in rows] == ["paste", "P0", "P1", "P2"] * 2
    assert [(row["grade"], name) for row in rows for name in ("ev_fg", "psnr_disp_fg") if row[name] is None] == []


def test_preview_is_measured_per_change(tmp_path: Path) -> None:
    rows = {row.change: row for row in measure_preview(tmp_path, 96, 54, 10, times=2, preview_px=48)}
    made = {change: row.made for change, row in rows.items()}
    assert made == {
        "first request": "open read prepare relight finish",
        "light moved": "prepare relight finish",
        "probe rotated": "read prepare relight finish",
        "plate probe exposed": "read prepare relight finish",
        "look.exposure": "finish",
        "look.strength": "finish",
        "nothing": "-",
        "next frame": "open read relight finish",
    }
    assert all(0 < row.p50_ms <= row.p95_ms for row in rows.values())
