"""`platelight evaluate` on files: the figures, the report, and what it says of files that do not fit."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from platelight_server.evaluation.metrics.registry import LEFT_OUT, METRICS
from tests.cli.running import here
from tests.shots.small import REC709, Shot, write


def asked(shot: Shot, *more: str, result: str = "plate") -> list[str]:
    """The plate as its own result, over itself."""
    pattern = {name: str(shot.folder / name / f"{name}.####.exr") for name in ("plate", "matte")}
    given = {"result": pattern.get(result, result), "plate": pattern["plate"], "matte": pattern["matte"],
             "truth": pattern["plate"], "background": str(shot.folder / "background.exr")}  # fmt: skip
    return ["evaluate", *(word for part, path in given.items() for word in (f"--{part}", path)), *more]


def test_plate_against_itself_is_without_error(shot: Shot) -> None:
    done = here(*asked(shot, "--json"))
    said: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, said["frames"], said["count"]) == (0, [1001, 1004], 4)
    assert (said["rows"]["result"]["ev_fg"], said["rows"]["result"]["psnr_disp_full"]) == (0.0, 100.0)
    assert said["rows"]["paste"]["psnr_disp_full"] < 40 and "psnr_disp_full" in said["better"]["better"]
    assert list(said["curves"]["result"]["psnr_disp_full"]) == ["1001", "1002", "1003", "1004"]
    assert said["skipped"]["seam_mEV"] == "needs --joins"
    assert set(said["rows"]["result"]) | set(said["skipped"]) == set(METRICS)


def test_table_names_what_is_skipped_and_what_to_do(shot: Shot) -> None:
    done = here(*asked(shot, "--quiet", "--only", "ev_fg", "--only", "lpips_full"))
    assert done.returncode == 0
    assert re.search(r"^ev_fg +0\.000 ", done.stdout, re.MULTILINE)
    assert "psnr" not in done.stdout
    assert re.search(
        r"^skipped lpips_full: model lpips-alex: .*`platelight models where lpips-alex`", done.stdout, re.M
    )


def test_list_has_formula_region_and_source_of_every_metric() -> None:
    done = here("evaluate", "--list", "--json")
    said = json.loads(done.stdout)
    assert [one["name"] for one in said["metrics"]] == list(METRICS)
    assert said["left_out"] == LEFT_OUT
    shown = here("evaluate", "--list").stdout
    assert [name for name in (*METRICS, *LEFT_OUT) if name not in shown] == []


def test_page_as_html_needs_no_other_file(shot: Shot, tmp_path: Path) -> None:
    page = tmp_path / "new" / "report.html"
    assert here(*asked(shot, "--quiet", "--out", str(page))).returncode == 0
    text = page.read_text("utf-8")
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    pictures = [base64.b64decode(found) for found in re.findall(r"data:image/png;base64,([^\"]+)", text)]
    assert {Image.open(io.BytesIO(one)).width for one in pictures} == {292} and len(pictures) == 3 * 6
    assert (text.count("<polyline"), "psnr_disp_fg" in text) >= (8, True)


def test_page_as_png_shows_the_error(shot: Shot, tmp_path: Path) -> None:
    same, other = tmp_path / "same.png", tmp_path / "other.png"
    brighter = shot.folder / "brighter"
    shutil.copytree(shot.folder / "plate", brighter)
    for frame in shot.frames:
        write(brighter / f"plate.{frame}.exr", np.full((3, 64, 96), 0.9, np.float16), "RGB", REC709)
    assert here(*asked(shot, "--quiet", "--out", str(same))).returncode == 0
    assert here(*asked(shot, "--quiet", "--out", str(other), result=f"{brighter}/plate.####.exr")).returncode == 0
    # The last column is the error of sRGB: black without one.
    plain, shown = (np.asarray(Image.open(path)).astype(int)[100:260, -332:-60] for path in (same, other))
    assert plain.max() <= 4 < 50 < shown.mean()


def test_folder_of_a_job_is_taken_without_its_auxiliary_files(shot: Shot) -> None:
    out = shot.folder / "job"
    shutil.copytree(shot.folder / "plate", out)
    for frame in shot.frames:
        shutil.copy(out / f"plate.{frame}.exr", out / f"plate.aux.{frame}.exr")
    done = here(*asked(shot, "--json", "--only", "psnr_disp_full", result=str(out)))
    assert (done.returncode, json.loads(done.stdout)["rows"]["result"]) == (0, {"psnr_disp_full": 100.0}), done.stderr


def remove_a_frame(shot: Shot) -> None:
    (shot.folder / "matte" / "matte.1003.exr").unlink()


def shrink_a_frame(shot: Shot) -> None:
    write(shot.folder / "matte" / "matte.1002.exr", np.ones((1, 32, 48), np.float16), "A")


def shrink_the_background(shot: Shot) -> None:
    write(shot.folder / "background.exr", np.ones((3, 32, 48), np.float16), "RGB", REC709)


def tear_a_frame(shot: Shot) -> None:
    path = shot.folder / "plate" / "plate.1004.exr"
    path.write_bytes(path.read_bytes()[:900])


def untag_a_frame(shot: Shot) -> None:
    write(shot.folder / "background.exr", np.ones((3, 64, 96), np.float16), "RGB")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (remove_a_frame, r"matte\.####\.exr: expected frames 1001-1004 for --matte, 1 of 4 are missing: 1003"),
        (shrink_a_frame, r"matte\.1002\.exr: expected 96x64, as the result has, got 48x32 for --matte"),
        (shrink_the_background, r"background\.exr: expected 96x64, as the result has, got 48x32 for --background"),
        (tear_a_frame, r"plate\.1004\.exr: "),
        (untag_a_frame, r"background\.exr: no colour space: .*; name it with --colorspace"),
    ],
)
def test_files_that_do_not_fit_are_named(spoil: Callable[[Shot], None], said: str, shot: Shot) -> None:
    spoil(shot)
    done = here(*asked(shot, "--quiet"))
    assert (done.returncode, "psnr" in done.stdout) == (65, False)
    assert re.search(said, done.stderr), done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--frames", "1001-1009"], "1005-1009"),
        (["--frames", "1002"], "expected at least two frames, got 1"),
        (["--only", "beauty"], "--only: expected a metric of `platelight evaluate --list`, got 'beauty'"),
        (["--out", "report.pdf"], "report.pdf: expected a report called *.html or *.png, got .pdf"),
        (["--motion-channels", "x"], "--motion-channels: expected two names"),
        (["--truth", "nowhere.####.exr"], "nowhere.####.exr: expected frames, found none"),
    ],
)
def test_wrong_flags_are_refused(words: list[str], said: str, shot: Shot) -> None:
    done = here(*asked(shot, "--quiet", *words))
    assert (done.returncode, said in done.stderr) == (65, True), done.stderr


def test_result_is_asked_for_and_is_a_sequence(shot: Shot) -> None:
    assert "--result: expected the frames to measure" in here("evaluate").stderr
    done = here(*asked(shot, result=str(shot.folder / "background.exr")))
    assert (done.returncode, "expected a sequence such as name.####.exr, got one picture" in done.stderr) == (65, True)


def test_shot_without_a_description_is_refused(tmp_path: Path) -> None:
    done = here("evaluate", "--shot", str(tmp_path), "--result", "a.####.exr")
    assert (done.returncode, f"{tmp_path}: expected a shot with a shot.json" in done.stderr) == (65, True)
