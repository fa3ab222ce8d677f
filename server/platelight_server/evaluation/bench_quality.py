"""The classic engine's quality on rendered ground truth, by the metrics of `evaluate`, in the three grades of input.

P0 is plate, matte, camera and background; P1 adds a light probe of the new scene; P2 one of the plate's as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from platelight.errors import FrameError
from platelight.frames import FrameRange, SequencePath
from platelight.recipe import Background, CameraSource, Matte, Output, Plate, Probe, Recipe

from .. import job
from ..check import check
from .metrics.measuring import measure
from .metrics.sources import of_shot, open_clip

GRADES = ("P0", "P1", "P2")
METRICS = (
    "ev_fg",
    "psnr_disp_fg",
    "si_psnr_disp_fg",
    "relight_corr",
    "psnr_disp_edge",
    "psnr_disp_full",
    "flicker_mEV",
    "warp_ratio",
)


def measure_quality(data: Path, work: Path, matte: str = "matte", settings: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Renders every `gt_*` shot of `data` in each grade and scores it; rows of shot, grade and metrics, paste first."""
    from platelight.recipe import with_value

    shots = sorted(path for path in data.glob("gt_*") if (path / "shot.json").is_file())
    if not shots:
        raise FrameError(f"{data}: expected folders gt_* with a shot.json, found none")
    rows = []
    for shot in shots:
        for grade in GRADES:
            recipe = recipe_of(shot, grade, work / f"{shot.name}.{grade}", matte)
            for setting in settings:
                key, _, text = setting.partition("=")
                recipe = with_value(recipe, key, text)
            job.run(check(recipe, data)).raise_failed()
            scored = _score(shot, recipe)
            if grade == GRADES[0]:
                rows.append({"shot": shot.name, "grade": "paste", **{m: scored["paste"].get(m) for m in METRICS}})
            rows.append({"shot": shot.name, "grade": grade, **{m: scored["result"].get(m) for m in METRICS}})
    return rows + _means(rows)


def recipe_of(shot: Path, grade: str, out: Path, matte: str = "matte") -> Recipe:
    """The recipe of a ground-truth shot: it reads plate, matte, background, camera and, by grade, the probes."""
    frames = FrameRange.of(SequencePath.from_path(shot / "plate_a").scan())
    recipe = Recipe(
        name=shot.name, frames=frames, plate=Plate(path=str(shot / "plate_a")), matte=Matte(path=str(shot / matte)),
        background=Background(sequence=str(shot / "bg_b")), output=Output(directory=str(out)),
        camera=CameraSource(path=str(shot / "camera" / "camera_yup.json")),
    )  # fmt: skip
    if grade in ("P1", "P2"):
        still = shot / "env_b.exr"
        recipe = replace(recipe, probe_background=Probe(path=str(still if still.is_file() else shot / "env_b")))
    return replace(recipe, probe_plate=Probe(path=str(shot / "env_a.exr"))) if grade == "P2" else recipe


def _score(shot: Path, recipe: Recipe) -> Mapping[str, Mapping[str, float | None]]:
    name, parts, _ = of_shot(shot)
    pattern = f"{recipe.output.directory}/{recipe.output_name}.####.exr"
    return measure(open_clip(pattern, parts, str(recipe.frames), name), only=METRICS).rows


def _means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    means = []
    for grade in ("paste", *GRADES):
        same = [row for row in rows if row["grade"] == grade]
        means.append({"shot": "mean", "grade": grade, **{m: sum(row[m] for row in same) / len(same) for m in METRICS}})
    return means
