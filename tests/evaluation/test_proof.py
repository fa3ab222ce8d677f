"""The proof of a job: known curves give known figures, and it always speaks of the frames on disk."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from platelight.messages import Advice
from platelight.recipe import with_value
from platelight_server import job
from platelight_server.commands.summary import advised
from platelight_server.evaluation import proof
from platelight_server.evaluation.metrics.curves import FLOOR
from platelight_server.evaluation.proof import write_proof
from tests.job.rendering import checked, render
from tests.shots.small import Shot

# Figures are rounded to a hundredth of a thousandth of a stop.
ROUNDING = 0.01


def frames(before: list[float], after: list[float], first: int = 1001) -> dict[int, dict[str, Any]]:
    """What headers would say of frames whose mean light is at these stops."""

    def mean(stops: float) -> list[float]:
        return [2.0**stops - FLOOR] * 3

    return {
        first + i: {"before": mean(a), "after": mean(b)} for i, (a, b) in enumerate(zip(before, after, strict=True))
    }


def flicker(curve: list[float]) -> float | None:
    return proof._flicker(proof._curve(frames(curve, curve), "after"))


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([0.5] * 6, 0.0),
        ([0.0, 0.1, 0.2, 0.3], 0.0),  # a steady ramp is no flicker
        ([0.0, 1.0, 0.0, 1.0, 0.0], 1000.0),  # steps +1, -1, +1, -1
        ([0.0, 0.02, 0.0, 0.02, 0.0], 20.0),
    ],
)
def test_flicker_of_a_known_curve(curve: list[float], expected: float) -> None:
    assert flicker(curve) == pytest.approx(expected, abs=ROUNDING)


def test_two_frames_have_no_flicker_to_speak_of() -> None:
    assert flicker([0.0, 1.0]) is None


def test_seam_is_the_step_at_a_join_over_the_step_elsewhere() -> None:
    said = frames([0.0] * 6, [0.0, 0.1, 0.2, 0.7, 0.8, 0.9])
    assert proof._seams(said, [1004]) == {1004: pytest.approx(400.0, abs=ROUNDING)}


def test_change_of_the_plate_itself_is_no_seam() -> None:
    said = frames([0, 0, 0, 1, 1, 1], [1, 1, 1, 2, 2, 2])
    assert proof._seams(said, [1004]) == {1004: pytest.approx(0.0, abs=ROUNDING)}


@pytest.mark.parametrize("joins", [[], [2001]])
def test_shot_without_a_join_on_disk_has_no_seam(joins: list[int]) -> None:
    assert proof._seams(frames([0.0] * 4, [0.0, 1.0, 0.0, 1.0]), joins) == {}


def test_exposure_change_is_the_mean_in_stops() -> None:
    assert proof._exposure(frames([0.0, 1.0], [0.5, 2.0])) == pytest.approx(0.75, abs=1e-3)


def test_frames_without_a_foreground_are_left_out() -> None:
    said = {**frames([0.0] * 3, [1.0] * 3), 1004: {"before": None, "after": None}}
    assert (proof._exposure(said), len(proof._curve(said, "after"))) == (1.0, 3)


def written(shot: Shot, outcome: job.Outcome, **tables: Any) -> dict[str, Any]:
    return write_proof(checked(shot.recipe(**tables)), outcome)


def on_disk(shot: Shot) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((shot.folder / "out" / "small.proof.json").read_text("utf-8"))
    return loaded


def test_resumed_job_proves_all_frames(shot: Shot) -> None:
    recipe = shot.recipe()
    written(shot, render(recipe))
    whole = on_disk(shot)
    (shot.folder / "out" / "small.1002.exr").unlink()
    outcome = render(recipe)
    said = written(shot, outcome)
    changed = {"rendered", "cpuSeconds", "wallSeconds", "peakMemoryBytes"}
    assert (outcome.rendered, said["framesOnDisk"], said["rendered"]) == ([1002], 4, 1)
    assert {k: v for k, v in on_disk(shot).items() if k not in changed} == {
        k: v for k, v in whole.items() if k not in changed
    }


def test_part_of_the_shot_is_proved_as_a_part(shot: Shot) -> None:
    said = written(shot, render(shot.recipe(), "1001-1002"))
    assert (said["frames"], said["framesOnDisk"], said["seamStepMilliStops"]) == (4, 2, None)


def test_run_that_renders_nothing_leaves_the_proof_alone(shot: Shot) -> None:
    recipe = shot.recipe()
    written(shot, render(recipe))
    before = (shot.folder / "out" / "small.proof.json").read_bytes()
    written(shot, render(recipe))
    assert (shot.folder / "out" / "small.proof.json").read_bytes() == before


@pytest.mark.parametrize("stale", ["[]", '{"framesOnDisk": 3}', "\udcff", None])
def test_stale_proof_is_rewritten_with_the_notes_of_the_frames(shot: Shot, stale: str | None) -> None:
    recipe = shot.recipe()
    written(shot, render(recipe))
    path = shot.folder / "out" / "small.proof.json"
    path.unlink() if stale is None else path.write_bytes(stale.encode("utf-8", "surrogateescape"))
    written(shot, render(recipe))
    assert (on_disk(shot)["framesOnDisk"], on_disk(shot)["notes"]) == (4, {"frames": 4})


def test_a_guessed_level_names_settings_that_can_be_set(shot: Shot) -> None:
    recipe = shot.recipe(engine={"name": "classic"})
    notes = {"exposure_guess_stops": 0.25, "exposure_from": "guess from background and foreground"}
    (found,) = proof._advice(checked(recipe), notes)
    assert found["text"] == "the level of the light is a guess (+0.25 stops, from background and foreground)"
    values = {"look.exposure_stops": "0.5", "engine.grey_card": "[1001, 0.5, 0.5, 0.1]", "probe_plate.path": "x.exr"}
    assert found["settings"] == list(values)
    for setting, value in values.items():
        assert with_value(recipe, setting, value) != recipe
    line = advised(Advice("it is a guess", ("look.exposure_stops", "probe_plate.path")))
    assert line == "it is a guess; correct it with --set look.exposure_stops=VALUE or --set probe_plate.path=VALUE"


def test_a_level_that_is_known_needs_no_advice(shot: Shot) -> None:
    assert proof._advice(checked(shot.recipe()), {"exposure_guess_stops": 0.0, "exposure_from": "both probes"}) == []


def test_lost_sheet_is_made_again(shot: Shot) -> None:
    recipe = shot.recipe()
    written(shot, render(recipe))
    (shot.folder / "out" / "small.proof.png").unlink()
    written(shot, render(recipe))
    assert (shot.folder / "out" / "small.proof.png").is_file()


def test_frames_of_another_recipe_are_not_counted(shot: Shot) -> None:
    render(shot.recipe())
    said = written(shot, job.Outcome(4), look={"strength": 0.5})
    assert (said["framesOnDisk"], said["outsideDifference"], said["notes"]) == (0, None, {})


def test_proof_says_how_the_light_and_the_outside_are(shot: Shot) -> None:
    first, *_, last = written(shot, render(shot.recipe()))["said"]
    assert (first.startswith("outside the matte: bit-exact; foreground "), last) == (
        True, f"proof: {shot.folder / 'out' / 'small.proof.png'}",
    )  # fmt: skip


@pytest.mark.parametrize("layers", [["relit", "gain"], ["composite", "foreground"]])
def test_sheet_is_a_page_whatever_layers_there_are(shot: Shot, layers: list[str]) -> None:
    output = {"directory": str(shot.folder / "out"), "layers": layers}
    written(shot, render(shot.recipe(output=output)), output=output)
    with Image.open(io.BytesIO((shot.folder / "out" / "small.proof.png").read_bytes())) as sheet:
        pixels = np.asarray(sheet)
    assert (pixels.shape[1:], pixels.shape[0] > 560, len(np.unique(pixels)) > 50) == ((1280, 3), True, True)


def test_sheet_of_no_frames_is_a_page(shot: Shot, tmp_path: Path) -> None:
    answer = checked(shot.recipe())
    (shot.folder / "out").mkdir()
    write_proof(answer, job.Outcome(4))
    with Image.open(shot.folder / "out" / "small.proof.png") as sheet:
        sheet.load()
        assert sheet.size == (1280, 562)
