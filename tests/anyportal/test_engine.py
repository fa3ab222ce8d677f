"""The engine as a job runs it: EXR to EXR through light and consistency, on tiny random checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from platelight.errors import ModelError, RecipeError
from platelight.recipe import Recipe
from platelight_server.engines.anyportal.engine import settings_of
from platelight_server.engines.anyportal.models import cards_of, plan_of
from platelight_server.engines.anyportal.studio import Studio
from platelight_server.plates import exr
from tests.job.rendering import checked, delivered, frames_in, header, into, render, stack
from tests.shots.small import REC709, Shot, make_shot, write

SMALL = {
    "prompt": "a beach at dusk", "steps": 2, "edges": "none", "window_frames": 9, "overlap_frames": 4, "lines": 32,
    "columns": 48,
}  # fmt: skip


def small(shot: Shot, background: dict[str, Any] | None = None, **options: Any) -> Recipe:
    tables: dict[str, Any] = {} if background is None else {"background": background}
    return shot.recipe(engine={"name": "anyportal", "options": {**SMALL, **options}}, **tables)


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path / "shot", count=5, width=48, height=32)


@pytest.fixture
def long_shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path / "long", count=12, width=48, height=32)


def test_all_three_papers_stages_change_the_light_inside_the_matte_alone(models: Path, shot: Shot) -> None:
    recipe = small(shot, background={}, edges="hed")
    render(recipe)
    for frame in shot.frames:
        gain = stack(delivered(recipe, frame, aux=True), "gain", "XYZ")
        assert np.abs(gain).max() > 0.05
    said = json.loads(header(recipe, shot.frames[0])["platelight:notes"])
    assert said["consistency"] == "rpa" and said["light"] == "two-step"
    used = {one["model"] for one in json.loads(header(recipe, shot.frames[0])["platelight:licences"])}
    assert used == {
        "realistic-vision-v51", "iclight-fc", "iclight-fbc", "cogvideox-2b", "cogvideox-2b-controlnet-hed",
        "hed-annotator",
    }  # fmt: skip


def test_without_light_and_consistency_the_plate_comes_back_bit_for_bit(models: Path, shot: Shot) -> None:
    recipe = small(shot, background={}, light_share=0.0, consistency_share=0.0)
    render(recipe)
    for frame in shot.frames:
        composite = stack(delivered(recipe, frame), "")
        plate = exr.read(shot.folder / "plate" / f"plate.{frame}.exr", ("R", "G", "B")).pixels
        assert np.array_equal(composite, plate)


@pytest.mark.parametrize("consistency", ["rpa", "none"])
def test_any_chunking_gives_the_same_bytes(models: Path, long_shot: Shot, tmp_path: Path, consistency: str) -> None:
    recipe = small(long_shot, consistency=consistency)
    whole = into(recipe, tmp_path / "whole")
    render(whole)
    parts = into(recipe, tmp_path / "parts")
    first, last = long_shot.frames[0], long_shot.frames[-1]
    render(parts, f"{first + 8}-{last}")
    render(parts, f"{first}-{first + 2}")
    render(parts)
    assert frames_in(tmp_path / "whole") == frames_in(tmp_path / "parts")


@pytest.mark.parametrize("backbone", ["cogvideox-5b", "wan2.1-t2v-1.3b"])
def test_other_backbones_run_behind_the_same_recipe(models: Path, shot: Shot, backbone: str) -> None:
    recipe = small(shot, backbone=backbone, light="none", preset="weak", accept_licences="cogvideox-5b")
    outcome = render(recipe)
    assert outcome.notes.values["backbone"] == backbone
    assert np.isfinite(stack(delivered(recipe, shot.frames[0]), "")).all()


def test_the_residual_flow_runs_on_wan(models: Path, shot: Shot) -> None:
    recipe = small(shot, backbone="wan2.1-t2v-1.3b", consistency="flow")
    render(recipe)
    assert np.isfinite(stack(delivered(recipe, shot.frames[0]), "relit")).all()


def test_frames_without_subject_are_left_alone_and_a_late_subject_is_the_anchor(models: Path, shot: Shot) -> None:
    for frame in shot.frames[:3]:
        write(shot.folder / "matte" / f"matte.{frame}.exr", np.zeros((1, 32, 48), np.float32), "A")
    recipe = small(shot, background={})
    outcome = render(recipe)
    assert outcome.notes.values["anchor_frame"] in shot.frames[3:]
    assert not stack(delivered(recipe, shot.frames[0], aux=True), "gain", "XYZ").any()
    assert stack(delivered(recipe, shot.frames[4], aux=True), "gain", "XYZ").any()


def test_a_painted_background_follows_the_camera_and_is_delivered(models: Path, long_shot: Shot) -> None:
    recipe = painted_recipe(long_shot, consistency="none", accept_licences="diffusion-as-shader")
    render(recipe)
    first, last = (stack(delivered(recipe, frame), "background") for frame in (1001, 1012))
    assert np.isfinite(first).all() and first.astype(np.float32).std() > 0.01
    assert not np.array_equal(first, last)


def test_a_model_that_needs_consent_is_refused_with_its_terms(models: Path, long_shot: Shot) -> None:
    (error,) = checked(painted_recipe(long_shot)).errors
    assert isinstance(error, ModelError)
    assert "CogVideoX License" in str(error) and "platelight models accept diffusion-as-shader" in str(error)


def test_missing_models_are_named_with_the_command_that_fetches_them(
    shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATELIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLATELIGHT_MODELS", str(tmp_path / "nothing"))
    errors = [str(error) for error in checked(small(shot)).errors]
    assert len(errors) == 4
    assert any("hf download zai-org/CogVideoX-2b" in text for text in errors)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prompt": ""}, "engine.prompt"),
        ({"window_frames": 10}, "engine.window_frames"),
        ({"overlap_frames": 6}, "engine.window_frames"),
        ({"light": "loud"}, "engine.options.light"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(
    models: Path, shot: Shot, options: dict[str, Any], said: str
) -> None:
    errors = checked(small(shot, **options)).errors
    assert errors and said in str(errors[0])


def test_a_prompt_longer_than_the_model_reads_is_refused_and_not_cut(models: Path, shot: Shot) -> None:
    with pytest.raises(RecipeError, match="226"):
        render(small(shot, prompt="beach " * 300))


def test_a_long_painted_shot_without_a_camera_is_refused(models: Path, long_shot: Shot) -> None:
    recipe = small(long_shot, background={"prompt": "a beach"}, accept_licences="diffusion-as-shader")
    assert any("solved camera" in str(error) for error in checked(recipe).errors)


def test_the_check_says_how_models_will_be_held(models: Path, shot: Shot) -> None:
    answer = checked(small(shot))
    assert answer.estimate is not None and "every model stays" in answer.estimate.plan


def test_other_model_files_make_other_hashes(models: Path, shot: Shot) -> None:
    depends = checked(small(shot)).depends_on
    assert [text.split()[0] for text in depends[:4]] == [
        "realistic-vision-v51", "iclight-fc", "iclight-fbc", "cogvideox-2b",
    ]  # fmt: skip
    assert all(len(text.split()[1]) == 64 for text in depends[:4])


def test_a_cancel_between_steps_leaves_finished_frames_and_no_others(models: Path, shot: Shot) -> None:
    asked = iter([False] * 40 + [True] * 10_000)
    outcome = render(small(shot), cancelled=lambda: next(asked))
    assert outcome.cancelled
    assert len(outcome.rendered) < len(shot.frames)
    render(small(shot))
    assert frames_in(shot.folder / "out")


def test_a_cut_inside_a_window_splits_it_and_each_part_has_its_own_anchor(models: Path, shot: Shot) -> None:
    for frame in shot.frames[3:]:
        path = shot.folder / "plate" / f"plate.{frame}.exr"
        pixels = exr.read(path, ("R", "G", "B")).pixels
        write(path, np.ascontiguousarray(1.0 - pixels[:, ::-1, ::-1].astype(np.float32)), "RGB", REC709)
    recipe = small(shot, background={})
    render(recipe)
    whole = [stack(delivered(recipe, frame, aux=True), "gain", "XYZ") for frame in shot.frames]
    assert all(np.isfinite(gain).all() and gain.any() for gain in whole)


def test_memory_that_runs_out_is_met_a_rung_further_down(models: Path) -> None:
    settings = settings_of({**SMALL, "consistency": "none"})
    cards = cards_of(settings, False)
    plan = plan_of(settings, cards, 32, 48, "cpu")
    studio = Studio(settings, cards, plan, settings.words(None), "cpu", 0, lambda stage, step, steps: None)
    tried: list[str] = []

    def work() -> str:
        tried.append(studio.residency.rung.name)
        if len(tried) < 3:
            raise torch.OutOfMemoryError("made by a test")
        return "done"

    assert studio.retried(work) == "done"
    assert tried == ["resident", "text-freed", "stagewise"]


def painted_recipe(shot: Shot, **options: Any) -> Recipe:
    cameras = [
        {
            "frame": frame, "camera_to_world": [[1, 0, 0, 0.05 * i], [0, 1, 0, 1.6], [0, 0, 1, 4.0], [0, 0, 0, 1]],
            "focal_px_x": 60.0, "focal_px_y": 60.0, "principal_x": 24.0, "principal_y": 16.0, "width_px": 48,
            "height_px": 32,
        }
        for i, frame in enumerate(shot.frames)
    ]  # fmt: skip
    engine = {"name": "anyportal", "options": {**SMALL, "background_steps": 2, **options}}
    return shot.recipe(background={"prompt": "a beach"}, engine=engine, camera={"frames": cameras}, ground={})
