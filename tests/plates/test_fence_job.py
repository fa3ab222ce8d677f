"""Whole jobs behind a fence: the same bytes inside, and nothing from or to the outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from platelight.errors import ForbiddenPathError
from platelight.frames import SequencePath
from platelight_server import job
from platelight_server.evaluation import contact_sheet, proof
from platelight_server.fingerprint import is_current
from platelight_server.plates import facts, fence, opening
from platelight_server.plates.fence import Root
from tests.job.rendering import checked, frames_in, into, render
from tests.shots.small import REC709, Shot, make_shot, write

from .fenced import tree

LENS = {"fx": 90, "fy": 90, "cx": 48, "cy": 32}
STANDS = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """`show`, a root with a shot; `job`, a writable root; `other`, a shot outside."""
    if not fence.DESCRIPTORS:
        pytest.skip("needs /proc/self/fd and O_PATH (Linux)")
    for name in ("show", "other"):
        shot = make_shot(tmp_path / name, 2)
        (tmp_path / name / "normal").mkdir()
        normals = np.zeros((3, 64, 96), np.float16)
        normals[2] = 1
        for frame in shot.frames:
            write(tmp_path / name / "normal" / f"normal.{frame}.exr", normals, "XYZ")
        write(tmp_path / name / "probe.exr", np.ones((3, 16, 32), np.float16), "RGB", REC709)
        frames = [{"frame": frame, "camera_to_world": STANDS, **LENS} for frame in shot.frames]
        camera = {"width": 96, "height": 64, "convention": "Y-up", "frames": frames}
        (tmp_path / name / "camera.json").write_text(json.dumps(camera))
    (tmp_path / "job").mkdir()
    return tmp_path


def roots(place: Path) -> list[Root]:
    return [Root("show", place / "show"), Root("job", place / "job", writable=True)]


def tables(folder: Path) -> dict[str, dict[str, str]]:
    """A recipe's inputs, all below `folder`."""
    return {
        "plate": {"path": str(folder / "plate" / "plate.####.exr")},
        "matte": {"path": str(folder / "matte")},
        "background": {"still": str(folder / "background.exr")},
        "probe_background": {"path": str(folder / "probe.exr")},
        "probe_plate": {"path": str(folder / "probe.exr")},
        "camera": {"path": str(folder / "camera.json")},
        "normal": {"path": str(folder / "normal" / "normal.####.exr")},
    }


def shot_of(place: Path) -> Shot:
    return Shot(place / "show", (1001, 1002))


@contextmanager
def away(*folders: Path) -> Iterator[None]:
    """Renames folders while the block runs: only who holds their descriptors finds them, and not by their paths."""
    for folder in folders:
        folder.rename(folder.with_name(f"{folder.name}-away"))
    yield
    for folder in folders:
        assert not folder.exists()
        folder.with_name(f"{folder.name}-away").rename(folder)


def test_job_behind_a_fence_writes_the_same_bytes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "SETTLED_S", -1.0)  # so that the index is written too
    recipe = shot_of(place).recipe(**tables(place / "show"), output={"directory": str(place / "free")})
    render(recipe)
    inside = into(recipe, place / "job" / "sh010" / "out")
    with fence.enclosed(roots(place)), away(place / "show", place / "job"):
        outcome = render(inside)
        again = render(inside)
        (place / "job-away" / "sh010" / "out" / ".small.platelight-index.json").unlink()
        looked = checked(inside)
        proofs = [proof.write_proof(looked, done) for done in (outcome, again)]
        sheet = contact_sheet.sheet_png(looked)
    assert (outcome.rendered, again.rendered, again.current) == ([1001, 1002], [], [1001, 1002])
    assert frames_in(place / "job" / "sh010" / "out") == frames_in(place / "free") != {}
    assert [one["framesOnDisk"] for one in proofs] == [2, 2]
    # The second one found the first on disk and left it.
    assert json.loads((place / "job" / "sh010" / "out" / "small.proof.json").read_text())["rendered"] == 2
    assert sheet == contact_sheet.sheet_png(checked(recipe))
    assert sorted(path.name for path in (place / "job" / "sh010" / "out").iterdir() if path.suffix != ".exr") == [
        ".small.platelight-index.json", "small.proof.json", "small.proof.png",
    ]  # fmt: skip


@pytest.mark.parametrize("key", [*tables(Path()), "background sequence", "output"])
@pytest.mark.parametrize("way", ["absolute", "parents", "link"])
def test_recipe_that_points_outside_is_refused(place: Path, key: str, way: str) -> None:
    (place / "show" / "way").symlink_to("../other")
    (place / "job" / "way").symlink_to("../other")
    inside = place / ("job" if key == "output" else "show")
    outside = {"absolute": place / "other", "parents": inside / ".." / "other", "link": inside / "way"}[way]
    asked: dict[str, Any] = {**tables(place / "show"), "output": {"directory": str(place / "job" / "out")}}
    if key == "output":
        asked["output"] = {"directory": str(outside / "out")}
    elif key == "background sequence":
        asked["background"] = {"sequence": str(outside / "plate")}
    else:
        asked[key] = tables(outside)[key]
    before = tree(place)
    with fence.enclosed(roots(place)):
        errors = checked(shot_of(place).recipe(**asked)).errors
    assert [type(error) for error in errors] == [ForbiddenPathError]
    assert f"show = {place / 'show'}, job = {place / 'job'}" in str(errors[0])
    assert str(errors[0]).startswith(str(outside))
    assert {path: content for path, content in tree(place).items() if path in before} == before
    assert {Path(path).relative_to(place).parts[0] for path in set(tree(place)) - set(before)} <= {"job"}


def test_all_forbidden_inputs_are_told_at_once(place: Path) -> None:
    recipe = shot_of(place).recipe(**tables(place / "other"), output={"directory": str(place / "other" / "out")})
    before = tree(place)
    with fence.enclosed(roots(place)):
        errors = checked(recipe).errors
    # The camera is read for the plate's picture size, which is not known here.
    asked = {next(iter(table.values())) for key, table in tables(place / "other").items() if key != "camera"}
    assert {str(error).partition(":")[0] for error in errors} == asked | {recipe.output.directory}
    assert {type(error) for error in errors} == {ForbiddenPathError}
    assert tree(place) == before


def test_one_frame_that_is_a_link_to_the_outside_is_refused(place: Path) -> None:
    frame = place / "show" / "plate" / "plate.1002.exr"
    frame.unlink()
    frame.symlink_to(place / "other" / "plate" / "plate.1002.exr")
    recipe = shot_of(place).recipe(**tables(place / "show"), output={"directory": str(place / "job")})
    for policy in ("refuse", "hold", "black", "skip"):
        asked = replace(recipe, plate=replace(recipe.plate, missing=policy))
        with fence.enclosed(roots(place)):
            errors = checked(asked).errors
        assert [type(error) for error in errors] == [ForbiddenPathError]
        assert str(errors[0]).startswith(f"{frame}: the link 'plate.1002.exr' on the way leads outside")


def test_result_below_a_read_only_root_is_refused(place: Path) -> None:
    recipe = shot_of(place).recipe(output={"directory": str(place / "show" / "out")})
    before = tree(place)
    with fence.enclosed(roots(place)):
        errors = checked(recipe).errors
    assert [type(error) for error in errors] == [ForbiddenPathError]
    assert f"read-only; write below a root that takes results (job = {place / 'job'})" in str(errors[0])
    assert tree(place) == before


def test_what_is_swapped_after_the_check_is_refused_by_the_job(place: Path) -> None:
    plate = place / "show" / "plate"
    recipe = shot_of(place).recipe(**tables(place / "show"), output={"directory": str(place / "job")})
    with fence.enclosed(roots(place)):
        looked = checked(recipe)
        assert looked.errors == ()
        plate.rename(place / "show" / "before")
        plate.symlink_to(place / "other" / "plate")
        with pytest.raises(ForbiddenPathError, match="the link 'plate' on the way leads outside"):
            job.run(looked, workers=2)


@pytest.mark.parametrize("path", ["other/background.exr", "show/../other/background.exr", "other/none.exr"])
def test_not_even_the_presence_of_a_file_outside_is_told(place: Path, path: str) -> None:
    still = opening.Role("background", "background.still", SequencePath.parse(place / path))
    with fence.enclosed(roots(place)):
        for look in (lambda: opening.table(still, [1001], {}, "refuse"), lambda: is_current([place / path], "")):
            with pytest.raises(ForbiddenPathError):
                look()


def test_output_name_cannot_lead_outside(place: Path) -> None:
    recipe = replace(shot_of(place).recipe(), name="small")
    before = tree(place)
    moved = replace(recipe, output=replace(recipe.output, directory=str(place / "job"), name="../../other/x"))
    with fence.enclosed(roots(place)), pytest.raises(ForbiddenPathError):
        render(moved)
    assert tree(place) == before


def test_message_about_a_camera_is_the_one_without_a_fence(place: Path) -> None:
    said = []
    for content in (None, "no JSON", "{}"):
        path = place / "show" / "camera.json"
        path.unlink() if content is None else path.write_text(content)
        recipe = shot_of(place).recipe(**tables(place / "show"), output={"directory": str(place / "job")})
        free = checked(recipe).errors
        with fence.enclosed(roots(place)):
            inside = checked(recipe).errors
        assert [str(error) for error in inside] == [str(error) for error in free]
        said.append(str(inside[0]).removeprefix(f"{path}: ").split(":")[0])
    assert said == [
        "cannot read the camera file", "not JSON", "expected an object with width, height, convention and a list of"
        " frames",
    ]  # fmt: skip
