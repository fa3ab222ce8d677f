"""Bad input through the command line: an exit code, a message that names what is wrong, and nothing written."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import flags, here, run, start
from tests.job.rendering import frames_in
from tests.shots import small
from tests.shots.small import Shot

Spoil = Callable[[Shot], list[str]]


def _missing(shot: Shot) -> list[str]:
    (shot.folder / "plate" / "plate.1002.exr").unlink()
    return flags(shot)


def _truncated(shot: Shot) -> list[str]:
    path = shot.folder / "plate" / "plate.1002.exr"
    path.write_bytes(path.read_bytes()[:3000])
    return flags(shot)


def _matte_size(shot: Shot) -> list[str]:
    small.write(shot.folder / "matte" / "matte.1001.exr", small.matte_pixels(1001, 48, 32), "A")
    return flags(shot)


def _matte_channels(shot: Shot) -> list[str]:
    for frame in shot.frames:
        small.write(shot.folder / "matte" / f"matte.{frame}.exr", small.plate_pixels(frame)[:2], "ST")
    return flags(shot)


def _picture_as_matte(shot: Shot) -> list[str]:
    return flags(shot, matte=str(shot.folder / "plate" / "plate.####.exr"))


def _empty_matte(shot: Shot) -> list[str]:
    for frame in shot.frames:
        small.write(shot.folder / "matte" / f"matte.{frame}.exr", small.matte_pixels(frame) * 0, "A")
    return flags(shot)


def _empty_alpha(shot: Shot) -> list[str]:
    for frame in shot.frames:
        pixels = np.concatenate([small.plate_pixels(frame), small.matte_pixels(frame) * 0])
        small.write(shot.folder / "plate" / f"plate.{frame}.exr", pixels, "RGBA", small.REC709)
    return flags(shot, matte="plate")


def _no_alpha(shot: Shot) -> list[str]:
    return flags(shot, matte="plate")


def _nan(shot: Shot) -> list[str]:
    pixels = small.plate_pixels(1003)
    pixels[0, 0, 0] = np.nan
    small.write(shot.folder / "plate" / "plate.1003.exr", pixels, "RGB", small.REC709)
    return flags(shot)


def _untagged(shot: Shot) -> list[str]:
    for frame in shot.frames:
        small.write(shot.folder / "plate" / f"plate.{frame}.exr", small.plate_pixels(frame), "RGB")
    return flags(shot)


def _camera(shot: Shot) -> list[str]:
    chan = "".join(f"{frame} 0 0 0 0 0 0 30\n" for frame in (1001, 1002))
    (shot.folder / "cam.chan").write_text(chan)
    return [*flags(shot, camera=str(shot.folder / "cam.chan")), "--set", "camera.sensor_mm=36,24"]


def _file_as_folder(shot: Shot) -> list[str]:
    (shot.folder / "out").write_text("in the way")
    return flags(shot)


def _probe(shot: Shot) -> list[str]:
    return flags(shot, probe_background=str(shot.folder / "background.exr"))


CASES: dict[str, tuple[Spoil, int, str]] = {
    "missing frame": (_missing, 65, "plate.####.exr: missing frames 1002 (it has 1001,1003-1004)"),
    "truncated frame": (_truncated, 65, "plate.1002.exr: "),
    "no such folder": (
        lambda s: flags(s, plate=str(s.folder / "gone" / "p.####.exr")),
        65,
        "gone: expected a directory",
    ),
    "no such file": (lambda s: flags(s, background=str(s.folder / "gone.exr")), 65, "gone.exr: no such file"),
    "size of the matte": (_matte_size, 65, "matte.1001.exr: expected 96x64 like the plate, got 48x32"),
    "channels of the matte": (_matte_channels, 65, "matte.1001.exr: expected one matte channel, it has S, T"),
    "picture as matte": (_picture_as_matte, 65, "plate.1001.exr: expected a matte from 0 to 1"),
    "empty matte": (_empty_matte, 65, "matte.1001.exr: expected a foreground, the matte is empty in all 4 frames"),
    "empty alpha": (_empty_alpha, 65, "plate.1001.exr: expected a foreground, the matte is empty in all 4 frames"),
    "no alpha": (_no_alpha, 65, "plate.1001.exr: expected an alpha channel A"),
    "NaN": (_nan, 65, "plate.1003.exr: expected finite pixels, got 1 NaN"),
    "untagged": (_untagged, 65, "plate.1001.exr: no colour space"),
    "unknown space": (lambda s: [*flags(s), "--plate-colorspace", "ACEScgg"], 65, "colour space 'ACEScgg'"),
    "camera": (_camera, 65, "cam.chan: expected the camera of frames 1001-1004, it has none for 1003-1004"),
    "probe": (_probe, 65, "background.exr: expected a lat-long probe, twice as wide as high, got 96x64"),
    "name": (lambda shot: flags(shot, name="тест"), 65, "name: expected"),
    "engine": (lambda shot: flags(shot, engine="Classic!"), 65, "engine.name: expected"),
    "folder is a file": (_file_as_folder, 74, "out is not a folder"),
    "unknown key": (lambda s: [*flags(s), "--set", "look.strenght=1"], 65, "look.strenght: expected"),
    "wrong type": (lambda s: [*flags(s), "--set", "look.strength=much"], 65, "look.strength: expected a number"),
    "out of range": (lambda s: [*flags(s), "--set", "look.strength=9"], 65, "look.strength: expected 0 to 2"),
    "no value": (lambda s: [*flags(s), "--set", "look.strength"], 65, "--set: expected KEY=VALUE"),
    "unknown engine": (lambda s: flags(s, engine="clasic"), 65, "engine.name: expected one of"),
    "unknown option": (lambda s: [*flags(s), "--set", "engine.speed=3"], 65, "engine.options.speed: expected"),
    "frames in words": (lambda s: flags(s, frames="1001..1004"), 65, "write 1001-1004"),
    "unknown flag": (lambda s: [*flags(s), "--bogus"], 2, "--bogus"),
    "nothing at all": (lambda s: [], 65, "expected a recipe file, or --plate"),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_bad_input_is_refused_by_name_and_writes_nothing(shot: Shot, name: str) -> None:
    spoil, code, message = CASES[name]
    arguments = spoil(shot)
    before = sorted(shot.folder.rglob("*"))
    done = here("relight", *arguments)
    found = (done.returncode, message in done.stderr, sorted(shot.folder.rglob("*")) == before)
    assert found == (code, True, True), done.stderr


def test_refusal_of_a_process_is_an_exit_code_and_a_message_on_stderr(shot: Shot) -> None:
    done = run("relight", *_truncated(shot))
    assert (done.returncode, done.stdout, "plate.1002.exr" in done.stderr, "Traceback" in done.stderr) == (
        65,
        "",
        True,
        False,
    )


def test_recipe_with_a_typo_names_file_key_and_nearest(shot: Shot) -> None:
    recipe = shot.folder / "shot.toml"
    recipe.write_text(shot.recipe().to_toml().replace("strength =", "strenght ="))
    done = here("relight", str(recipe))
    assert (done.returncode, f"{recipe}: look.strenght: expected" in done.stderr, "strength" in done.stderr) == (
        65,
        True,
        True,
    )


@pytest.mark.parametrize("content", ["", "platelight = 99", "[", "\0", "name = 3"])
def test_recipe_that_is_none_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.toml").write_text(content)
    done = here("relight", str(tmp_path / "x.toml"))
    assert (done.returncode, "x.toml" in done.stderr, "Traceback" in done.stderr) == (65, True, False)


def test_check_lists_all_problems_in_json(shot: Shot) -> None:
    _missing(shot)
    _matte_size(shot)
    done = here("check", *flags(shot, background=str(shot.folder / "gone.exr")), "--json")
    texts = " ".join(error["message"] for error in json.loads(done.stdout)["errors"])
    assert [part in texts for part in ("missing frames 1002", "got 48x32", "gone.exr")] == [True] * 3


def test_check_of_a_good_shot_writes_nothing(shot: Shot) -> None:
    done = here("check", *flags(shot))
    assert (done.returncode, (shot.folder / "out").exists()) == (0, False)


@pytest.mark.parametrize(
    "name", ["ein Ordner", "grün 日本", unicodedata.normalize("NFD", "Zürich é"), 'it\'s "quoted" [x] {y} $Z']
)
def test_paths_of_any_letters_work(shot: Shot, tmp_path: Path, name: str) -> None:
    moved = Shot(shot.folder.rename(tmp_path / name), shot.frames)
    done = here("relight", *flags(moved))
    assert (done.returncode, len(frames_in(moved.folder / "out"))) == (0, 8), done.stderr


def test_composed_path_finds_decomposed_files(shot: Shot) -> None:
    for path in (shot.folder / "plate").iterdir():
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name.replace("plate", "plaqué"))))
    done = here(
        "relight", *flags(shot, plate=str(shot.folder / "plate" / unicodedata.normalize("NFC", "plaqué.####.exr")))
    )
    assert done.returncode == 0, done.stderr


def test_path_that_is_no_text_works_or_is_refused(shot: Shot, tmp_path: Path) -> None:
    """Old disks hold names in other encodings."""
    moved = Path(str(tmp_path) + "/caf\udce9")
    try:
        shutil.move(shot.folder, moved)
    except OSError:
        pytest.skip("this disk holds UTF-8 names only")
    done = run("relight", *flags(Shot(moved, shot.frames)))
    assert (done.returncode in (0, 65), "Traceback" in done.stderr) == (True, False), done.stderr


def test_json_output_is_lines_of_json_even_when_openexr_prints(shot: Shot) -> None:
    _truncated(shot)
    arguments = [*flags(shot), "--set", "plate.missing=hold", "--json"]
    done = run("relight", *arguments)
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert (done.returncode, events.count("done"), events[-1]) == (0, 4, "end")


def test_closed_pipe_ends_without_a_traceback(shot: Shot) -> None:
    with start("relight", *flags(shot), "--json", "--set", "engine.sleep_seconds=0.05") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert "Traceback" not in said, said
