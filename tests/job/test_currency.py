"""When a finished frame is current: whatever changes its pixels renders it again, and nothing else does."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platelight.matrices import IDENTITY
from platelight_server.fingerprint import frame_hashes
from tests.job.rendering import checked, frames_in, into, render
from tests.shots import small
from tests.shots.small import Shot

LENS = 0.1
ENV = np.abs(small.plate_pixels(3, 64, 32))


def recipe_of(shot: Shot, **tables: Any) -> Any:
    """A recipe with one of every kind of input."""
    camera = [
        {
            "frame": f, "camera_to_world": [list(row) for row in IDENTITY], "focal_px_x": 90.0, "focal_px_y": 90.0,
            "principal_x": 48.0, "principal_y": 32.0, "width_px": 96, "height_px": 64,
        }
        for f in shot.frames
    ]  # fmt: skip
    whole = {
        "probe_background": {"path": str(shot.folder / "env" / "env.####.exr")},
        "probe_plate": {"path": str(shot.folder / "env_plate.exr")},
        "normal": {"path": str(shot.folder / "normal.exr")},
        "relit": {"path": str(shot.folder / "relit.exr")},
        "camera": {"frames": camera},
    }
    return shot.recipe(**{**whole, **tables})


@pytest.fixture
def rich(shot: Shot) -> Shot:
    (shot.folder / "env").mkdir()
    for frame in shot.frames:
        small.write(shot.folder / "env" / f"env.{frame}.exr", ENV, "RGB", small.REC709)
    small.write(shot.folder / "env_plate.exr", ENV, "RGB", small.REC709)
    small.write(shot.folder / "normal.exr", small.plate_pixels(1), "XYZ")
    small.write(shot.folder / "relit.exr", small.plate_pixels(2), "RGB", small.REC709)
    return shot


def rewrite(path: str, names: str = "RGB", tag: dict[str, str] | None = None) -> Callable[[Shot], None]:
    def change(shot: Shot) -> None:
        size = (64, 32) if "env" in path else (small.WIDTH, small.HEIGHT)
        pixels = np.abs(small.plate_pixels(99, *size)) if names != "A" else small.matte_pixels(1009)
        small.write(shot.folder / path, pixels, names, {**small.REC709, **(tag or {})})

    return change


CONTENTS = {
    "plate": rewrite("plate/plate.1002.exr"),
    "plate's data window": lambda shot: small.write(
        shot.folder / "plate/plate.1002.exr", small.plate_pixels(1002, 90, 60), "RGB",
        {**small.REC709, "dataWindow": ((0, 0), (89, 59)), "displayWindow": ((0, 0), (95, 63))},
    ),
    "matte": rewrite("matte/matte.1002.exr", "A"),
    "background": rewrite("background.exr"),
    "background's tag": rewrite("background.exr", tag={"colorInteropID": "lin_ap1_scene"}),
    "probe": rewrite("env/env.1002.exr"),
    "plate's probe": rewrite("env_plate.exr"),
    "normal": rewrite("normal.exr", "XYZ"),
    "relit subject": rewrite("relit.exr"),
}  # fmt: skip


def hashes(shot: Shot, **tables: Any) -> dict[int, str]:
    answer = checked(recipe_of(shot, **tables))
    answer.raise_first()
    return frame_hashes(answer)


@pytest.mark.parametrize("name", sorted(CONTENTS))
def test_changed_content_renders_the_frame_again(rich: Shot, name: str) -> None:
    before = hashes(rich)[1002]
    CONTENTS[name](rich)
    assert hashes(rich)[1002] != before


CAMERA = {"frame": 0, "camera_to_world": [list(row) for row in IDENTITY], "focal_px_x": 91.0, "focal_px_y": 90.0,
          "principal_x": 48.0, "principal_y": 32.0, "width_px": 96, "height_px": 64}  # fmt: skip
TABLES: dict[str, Callable[[Shot], dict[str, Any]]] = {
    "look": lambda shot: {"look": {"exposure_stops": 0.5}},
    "engine": lambda shot: {"engine": {"name": "test_still"}},
    "engine option": lambda shot: {"engine": {"name": "test_wavy", "options": {"sleep_seconds": 0.001}}},
    "background exposure": lambda shot: {
        "background": {"still": str(shot.folder / "background.exr"), "exposure_stops": 1.0}
    },
    "no background": lambda shot: {"background": None},
    "no probe": lambda shot: {"probe_background": None},
    "probe's turn": lambda shot: {"probe_plate": {"path": str(shot.folder / "env_plate.exr"), "rotation_deg": 90.0}},
    "probe's turn on the frame": lambda shot: {
        "probe_plate": {"path": str(shot.folder / "env_plate.exr"), "rotations_deg": {"1002": 1.0}}
    },
    "probe of a colour": lambda shot: {"probe_plate": {"color": [1.0, 0.5, 0.25]}},
    "camera": lambda shot: {"camera": {"frames": [{**CAMERA, "frame": f} for f in shot.frames]}},
    "layers": lambda shot: {"output": {"directory": str(shot.folder / "out"), "layers": ["composite"]}},
    "compression": lambda shot: {"output": {"directory": str(shot.folder / "out"), "compression": "zip"}},
    "output space": lambda shot: {"output": {"directory": str(shot.folder / "out"), "colorspace": "ACEScg"}},
    "plate space": lambda shot: {"plate": {"path": str(shot.folder / "plate/plate.####.exr"), "colorspace": "ACEScg"}},
    "inverted matte": lambda shot: {"matte": {"path": str(shot.folder / "matte/matte.####.exr"), "invert": True}},
    "longer shot": lambda shot: {"frames": "1001-1003"},
}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_changed_recipe_renders_the_frame_again(rich: Shot, name: str) -> None:
    assert hashes(rich, **TABLES[name](rich))[1002] != hashes(rich)[1002]


def test_changed_config_renders_the_frame_again(rich: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same names may mean other colours in another config."""
    small.write(rich.folder / "background.exr", small.plate_pixels(5), "RGB", {"colorInteropID": "srgb_rec709_scene"})
    before = hashes(rich)[1002]
    ours = (Path(__file__).resolve().parents[2] / "ocio" / "platelight.ocio").read_text()
    (rich.folder / "own.ocio").write_text(ours.replace("gamma: 2.4, offset: 0.055", "gamma: 2.2, offset: 0.099"))
    monkeypatch.setenv("OCIO", str(rich.folder / "own.ocio"))
    assert hashes(rich)[1002] != before


def test_same_colours_from_another_config_are_current(rich: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hashes(rich)
    shutil.copy(Path(__file__).resolve().parents[2] / "ocio" / "platelight.ocio", rich.folder / "copy.ocio")
    monkeypatch.setenv("OCIO", str(rich.folder / "copy.ocio"))
    assert hashes(rich) == before


def test_job_name_and_folder_do_not_count(rich: Shot) -> None:
    assert hashes(rich, name="other", output={"directory": str(rich.folder / "elsewhere")}) == hashes(rich)


def test_moved_shot_is_current(rich: Shot) -> None:
    before = hashes(rich)
    moved = rich.folder.rename(rich.folder.with_name("moved"))
    assert hashes(Shot(moved, rich.frames)) == before


def test_part_of_the_shot_has_the_hashes_of_the_whole(rich: Shot) -> None:
    whole = hashes(rich)
    part = checked(recipe_of(rich), "1003")
    assert frame_hashes(part) == {1003: whole[1003]}


def test_second_run_does_nothing(shot: Shot) -> None:
    recipe = shot.recipe()
    render(recipe)
    again = render(recipe)
    assert (again.rendered, again.current) == ([], list(shot.frames))


def test_touched_inputs_are_current(shot: Shot) -> None:
    recipe = shot.recipe()
    render(recipe)
    for path in shot.folder.rglob("*.exr"):
        os.utime(path, (1, 1))
    assert render(recipe).rendered == []


def test_force_renders_all(shot: Shot) -> None:
    recipe = shot.recipe()
    render(recipe)
    assert render(recipe, force=True).rendered == list(shot.frames)


def test_lost_auxiliary_file_renders_its_frame_again(shot: Shot) -> None:
    recipe = shot.recipe()
    render(recipe)
    (shot.folder / "out" / "small.aux.1003.exr").unlink()
    assert render(recipe).rendered == [1003]


def test_damaged_result_is_rendered_again(shot: Shot) -> None:
    recipe = shot.recipe()
    render(recipe)
    (shot.folder / "out" / "small.1002.exr").write_bytes(b"")
    assert render(recipe).rendered == [1002]


def test_result_of_another_recipe_is_replaced(shot: Shot) -> None:
    render(shot.recipe())
    assert render(shot.recipe(look={"strength": 0.5})).rendered == list(shot.frames)


def test_two_folders_get_the_same_bytes(shot: Shot) -> None:
    for name in ("a", "b"):
        render(into(shot.recipe(), shot.folder / name))
    assert frames_in(shot.folder / "a") == frames_in(shot.folder / "b")


def test_any_part_of_the_work_gives_the_same_bytes(tmp_path: Path) -> None:
    shot = small.make_shot(tmp_path, 9)
    whole, parts = into(shot.recipe(), tmp_path / "whole"), into(shot.recipe(), tmp_path / "parts")
    render(whole)
    for part in ("1004", "1001-1009x2", "1007-1009", "1001-1009"):
        render(parts, part)
    assert frames_in(tmp_path / "whole") == frames_in(tmp_path / "parts")


def test_forced_render_gives_the_same_bytes(shot: Shot) -> None:
    recipe = shot.recipe()
    render(recipe)
    before = frames_in(shot.folder / "out")
    render(recipe, force=True)
    assert frames_in(shot.folder / "out") == before


def test_header_holds_no_folder(shot: Shot) -> None:
    recipe = shot.recipe()
    render(recipe)
    text = json.dumps({k: str(v) for k, v in _stated(shot).items()})
    assert str(shot.folder / "out") not in text


def _stated(shot: Shot) -> dict[str, Any]:
    from platelight_server.plates import exr

    return dict(exr.read_info(shot.folder / "out" / "small.1001.exr").header)
