"""Start-up and streams: help loads nothing heavy, a base install says what to install, stdout is for results."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from platelight_server.cli import COMMANDS
from platelight_server.commands.demo import SHOT as DEMO_SHOT
from tests.cli.running import environment, flags, here, run
from tests.shots.small import Shot

HEAVY = ("torch", "numpy", "cv2", "OpenEXR", "OpenImageIO", "PyOpenColorIO", "PIL", "rich", "shtab", "diffusers")
# numpy belongs to the base install.
OF_SERVER = [name for name in HEAVY if name not in ("numpy", "diffusers")]
HELP = (
    "import sys\nfrom platelight_server.cli import main\n"
    "try: main(sys.argv[1:])\nexcept SystemExit as end: code = end.code\n"
    f"print([name for name in {HEAVY!r} if name in sys.modules], code, file=sys.stderr)"
)
WITHOUT_SERVER = (
    f"import sys\nfor name in {OF_SERVER!r}: sys.modules[name] = None\n"
    "from platelight_server.cli import main\nsys.exit(main(sys.argv[1:]))"
)


def python(code: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, env=environment(), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_heavy(command: str) -> None:
    done = python(HELP, *command.split(), "--help")
    assert (done.stderr.strip(), "usage: platelight" in done.stdout) == ("[] 0", True)


def test_version_loads_nothing_heavy() -> None:
    assert python(HELP, "--version").stderr.strip() == "[] 0"


@pytest.mark.parametrize(
    "arguments",
    ["demo", "relight RECIPE", "engines", "info PLATE", "completion bash"],
)
def test_base_install_says_in_one_sentence_what_to_install(arguments: str, tmp_path: Path) -> None:
    known = {"RECIPE": str(DEMO_SHOT / "recipe.toml"), "PLATE": str(DEMO_SHOT / "plate" / "plate.1001.exr")}
    words = [known.get(word, word) for word in arguments.split()]
    done = python(WITHOUT_SERVER, *words, cwd=tmp_path)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout, line.startswith(f"platelight {words[0]}: ")) == (1, "", True)
    assert line.endswith(" is not installed; run: pip install 'platelight[server]'")
    assert list(tmp_path.iterdir()) == []


def test_base_install_makes_recipes(tmp_path: Path) -> None:
    done = python(WITHOUT_SERVER, "init", "--plate", "p.####.exr", "--frames", "1-9", "--bare", cwd=tmp_path)
    assert (done.returncode, 'path = "p.####.exr"' in done.stdout) == (0, True), done.stderr


def test_doctor_of_a_base_install_says_what_is_missing(tmp_path: Path) -> None:
    done = python(WITHOUT_SERVER, "doctor", "--json", cwd=tmp_path)
    said = json.loads(done.stdout)
    assert (done.returncode, said["ok"], said["torch"]) == (
        1, False, "MISSING; run: pip install 'platelight[server]'",
    ), done.stderr  # fmt: skip


def test_json_events_are_all_that_stdout_holds(shot: Shot) -> None:
    done = run("relight", *flags(shot), "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert (done.returncode, done.stderr, kinds) == (0, "", ["prepared", "done", "done", "done", "done", "end"])
    assert [sorted(event) for event in events[:2]] == [["done", "event", "frame", "message", "total"]] * 2


@pytest.mark.parametrize("arguments", ["check FLAGS", "engines", "engines classic", "doctor"])
def test_json_parses_line_by_line(arguments: str, shot: Shot) -> None:
    words = [part for word in arguments.split() for part in (flags(shot) if word == "FLAGS" else [word])]
    done = here(*words, "--json", cwd=shot.folder)
    assert (done.returncode, [json.loads(line) for line in done.stdout.splitlines()] != []) == (0, True)


def test_progress_goes_to_stderr(shot: Shot) -> None:
    done = here("relight", *flags(shot))
    lines = done.stderr.splitlines()
    assert (len(lines), "fps" in done.stdout, done.stdout.startswith("4 frames rendered")) == (4, False, True)
    assert all(" of 4, " in line and " fps, " in line and line.endswith(" s left") for line in lines)


def test_quiet_says_nothing_but_the_result(shot: Shot) -> None:
    done = here("relight", *flags(shot), "--quiet")
    assert (done.stderr, done.stdout.startswith("4 frames rendered")) == ("", True)


def test_part_of_a_shot_says_nothing_of_the_frames_that_are_not_there(shot: Shot) -> None:
    assert here("init", *flags(shot), "-o", "x.toml", cwd=shot.folder).returncode == 0
    done = run("relight", "x.toml", "--frames", "1002", "--quiet", cwd=shot.folder)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("given", ["0", "-1", "two", "²"])
def test_workers_are_a_number_from_one(shot: Shot, given: str) -> None:
    done = here("relight", *flags(shot), "--workers", given)
    assert (done.returncode, "--workers: expected a number from 1" in done.stderr) == (2, True)


@pytest.mark.parametrize("device", ["foo", "cuda:99"])
def test_device_that_is_not_there_is_refused_before_work(shot: Shot, device: str) -> None:
    done = here("relight", *flags(shot), "--device", device)
    assert (done.returncode, f"got '{device}'" in done.stderr, (shot.folder / "out").exists()) == (75, True, False)
