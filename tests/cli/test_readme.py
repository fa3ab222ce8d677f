"""Every command of the README, as written there: what it promises is what happens."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from platelight import errors
from platelight_server import cli
from platelight_server.commands.relight import EXIT_OF_SIGNAL
from platelight_server.plates import delivery
from tests.cli.running import ROOT, environment, here
from tests.client.serving import Server
from tests.job.rendering import frames_in
from tests.shots import small

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the README's shell is that of Unix")
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:<!-- (\S+) -->\n)?```sh\n(.*?)```", README, re.DOTALL)
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
RELIGHT = next(text for _, text in BLOCKS if text.startswith("platelight relight"))
QUICK = {"PYTHONWARNINGS": "error::DeprecationWarning:platelight"}


def of_block(name: str) -> str:
    return next(text for marker, text in BLOCKS if marker == name)


@pytest.fixture(scope="module")
def path_with_platelight(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A $PATH on which `platelight` is this checkout's, as in an environment that has it installed."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "platelight"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m platelight_server.cli "$@"\n')
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def shell(text: str, cwd: Path, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", text], cwd=cwd, env=environment(PATH=path, **QUICK), capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory, path_with_platelight: str
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The last step of the README's first command, run in an empty folder."""
    folder = tmp_path_factory.mktemp("demo")
    done = shell(of_block("ci:demo").strip().rpartition("&&")[2], folder, path_with_platelight)
    return folder / "demo_out", done


@pytest.fixture(scope="module")
def own_shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the files which the README's examples name, small."""
    folder = tmp_path_factory.mktemp("own")
    made = small.make_shot(folder / "made", 24, 48, 32)
    for role, name in (("plate", "plates"), ("matte", "mattes")):
        (folder / name).mkdir()
        for frame in made.frames:
            (made.folder / role / f"{role}.{frame}.exr").rename(folder / name / f"sh.{frame}.exr")
    (made.folder / "background.exr").rename(folder / "bg.exr")
    shutil.rmtree(made.folder)
    small.write(folder / "env.exr", abs(small.plate_pixels(3, 64, 32)), "RGB", small.REC709)
    (folder / "cam.chan").write_text("".join(f"{frame} 0 1.5 4 0 0 0 30\n" for frame in made.frames))
    return folder


@pytest.fixture(scope="module")
def relit(own_shot: Path, path_with_platelight: str) -> subprocess.CompletedProcess[str]:
    """The README's own-shot command."""
    return shell(RELIGHT, own_shot, path_with_platelight)


def test_every_block_of_the_readme_is_run() -> None:
    others = [text for marker, text in BLOCKS if marker not in ("ci:demo", "ci:tests", "server") and text != RELIGHT]
    assert (others, README.count("```"), len(BLOCKS), len(EXAMPLES)) == ([], 2 * (len(BLOCKS) + 1), 4, 1)


def test_ci_runs_the_block_of_the_tests() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert ("ci:tests" in script, "python -m pytest -q" in of_block("ci:tests")) == (True, True)


def test_both_commands_install_what_the_distribution_offers() -> None:
    extras = set(",".join(re.findall(r"pip install -e '\.\[(.*?)\]'", README)).split(","))
    offered = (ROOT / "pyproject.toml").read_text()
    assert [name for name in sorted(extras) if f"\n{name} = [" not in offered] == []


def test_links_of_the_readme_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_demo_leaves_frames_a_contact_sheet_and_a_proof(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = demo
    assert (done.returncode, len(frames_in(folder))) == (0, 24), done.stderr
    for name in ("demo.contact.png", "demo.proof.png"):
        with Image.open(folder / name) as sheet:
            sheet.load()
    assert json.loads((folder / "demo.proof.json").read_text())["framesOnDisk"] == 12


def test_demo_names_files_that_are_there(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = demo
    named = re.findall(r"demo_out/\S+", done.stdout)
    assert (len(named) >= 4, [name for name in named if not (folder.parent / name).exists()]) == (True, [])


def test_demo_suggests_commands_that_work(
    demo: tuple[Path, subprocess.CompletedProcess[str]], path_with_platelight: str
) -> None:
    folder, done = demo
    suggested = [line.strip() for line in done.stdout.partition("try next:")[2].splitlines() if line.strip()]
    info, brighter, *own = suggested
    assert "current        yes" in shell(info, folder.parent, path_with_platelight).stdout
    words = shlex.split(brighter)[1:]
    answer = here(*words, "--frames", "1001", cwd=folder.parent)
    assert (answer.returncode, (folder.parent / "demo_out_brighter" / "demo.1001.exr").is_file()) == (0, True)
    assert shlex.split(" ".join(own).replace("\\ ", ""))[1:] == [
        word for word in shlex.split(RELIGHT.replace("\\\n", ""))[1:] if word not in ("--frames", "1001-1024")
    ]  # fmt: skip


def test_second_demo_does_nothing(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = demo
    again = here("demo", cwd=folder.parent)
    assert (again.returncode, "nothing to do: all 12 frames" in again.stdout) == (0, True)


def test_layers_are_those_of_the_table(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = demo
    rows = {name: text for name, text in re.findall(r"^\| `(NAME\S+)`.*?\| (.*?) \|$", README, re.MULTILINE)}
    main, aux = (set(re.findall(r"`([a-z]+)`", rows[f"NAME.{part}####.exr"])) for part in ("", "aux."))
    assert (main | {"composite"}, aux) == (set(delivery.MAIN_LAYERS), set(delivery.AUX_LAYERS) - {"model"})
    said = json.loads(here("info", str(folder / "demo.1001.exr"), "--json").stdout)
    assert set(said["layers"]) == {"", *main}


def test_own_shot_is_relit_by_the_command_as_written(own_shot: Path, relit: subprocess.CompletedProcess[str]) -> None:
    written = sorted(path.name for path in (own_shot / "out").iterdir() if not path.name.startswith("."))
    frames = [f"sh010.{part}{frame}.exr" for part in ("", "aux.") for frame in range(1001, 1025)]
    assert (relit.returncode, written) == (0, sorted([*frames, "sh010.proof.json", "sh010.proof.png"])), relit.stderr


def test_second_run_as_written_does_nothing(own_shot: Path, relit: subprocess.CompletedProcess[str]) -> None:
    again = here(*shlex.split(RELIGHT.replace("\\\n", ""))[1:], cwd=own_shot)
    assert (again.returncode, "nothing to do: all 24 frames" in again.stdout) == (0, True), again.stderr


def test_flags_named_in_the_text_are_taken(own_shot: Path) -> None:
    """With all of them at once, on a shot that has the files they name."""
    flags = [shlex.split(code) for code in re.findall(r"`(--(?:probe|camera|ground|set)[^`]*)`", README)]
    names = {words[0] for words in flags}
    assert names == {"--probe-background", "--probe-plate", "--camera", "--ground", "--set"}
    words = shlex.split(RELIGHT.replace("\\\n", ""))[2:]
    done = here("check", *words, *(word for given in flags for word in given), cwd=own_shot)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "ready"), done.stdout + done.stderr


def test_init_check_relight_is_a_round_and_a_part_has_the_bytes_of_the_whole(
    own_shot: Path, relit: subprocess.CompletedProcess[str]
) -> None:
    words = shlex.split(RELIGHT.replace("\\\n", ""))[2:]
    words[words.index("--out") + 1] = "part"
    made = here("init", *words, "-o", "RECIPE.toml", cwd=own_shot)
    checked = here("check", "RECIPE.toml", cwd=own_shot)
    part = re.findall(r"`relight (RECIPE\.toml --frames \S+)`", README)[0].split()
    done = here("relight", *part, cwd=own_shot)
    assert [made.returncode, checked.returncode, done.returncode] == [0, 0, 0]
    whole, some = frames_in(own_shot / "out"), frames_in(own_shot / "part")
    assert (len(some), some) == (12, {name: whole[name] for name in some})


def test_exit_codes_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE)
    listed = {int(code) for row in rows for code in row.split(",")}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.PlatelightError)}
    ends = {0, cli.EXIT_UNEXPECTED, cli.EXIT_USAGE, cli.EXIT_INTERRUPTED, *EXIT_OF_SIGNAL.values()}
    documented = {int(code) for code in re.findall(r"(?:^|· )(\d+) ", (cli.__doc__ or "").partition("codes: ")[2])}
    assert listed == codes | ends == documented | {143}


def test_completion_line_defines_a_completion_in_bash(tmp_path: Path, path_with_platelight: str) -> None:
    line = re.findall(r"`(eval [^`]*)`", README)[0]
    asked = shell(f"set -e; {line}; complete -p platelight", tmp_path, path_with_platelight)
    assert (asked.returncode, "platelight" in asked.stdout) == (0, True), asked.stderr


@pytest.mark.parametrize("name", ["bash", "zsh", "tcsh"])
def test_completion_script_is_the_shells(name: str, tmp_path: Path) -> None:
    script = here("completion", name)
    assert (script.returncode, "--probe-background" in script.stdout or name == "tcsh") == (0, True)
    (tmp_path / "script").write_text(script.stdout)
    if shutil.which(name) and name != "tcsh":
        assert subprocess.run([name, "-n", tmp_path / "script"], check=False).returncode == 0


def test_engines_and_doctor_answer() -> None:
    engines = json.loads(here("engines", "--json").stdout)
    machine = here("doctor", "--json")
    assert ("classic" in [one["name"] for one in engines], machine.returncode) == (True, 0), machine.stdout
    assert len(here("doctor").stdout.splitlines()) == 11


@pytest.fixture
def with_recipe(serving: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that holds `shot.toml`, and a server that `connect()` finds."""
    monkeypatch.setenv("PLATELIGHT_HOME", str(serving.home))
    shot = small.make_shot(tmp_path / "shot")
    (shot.folder / "shot.toml").write_text(shot.recipe().relative_to(shot.folder).to_toml())
    return shot.folder


def test_commands_of_the_server_work_as_written(with_recipe: Path, path_with_platelight: str) -> None:
    done = shell(of_block("server"), with_recipe, path_with_platelight)
    assert (done.returncode, done.stdout.startswith("4 frames rendered: ")) == (0, True), done.stderr


def test_python_example_works_as_written(with_recipe: Path) -> None:
    (code,) = EXAMPLES
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=with_recipe, env=environment(), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, "done 1004" in done.stdout, len(frames_in(with_recipe / "out"))) == (0, True, 8), (
        done.stderr
    )
    assert len(code.strip().splitlines()) <= 10


def test_commands_named_in_the_text_are_there() -> None:
    named = set(re.findall(r"`platelight ([a-z]+)", README)) | {
        name for name in re.findall(r"`([a-z]+)`", README.partition("do what they say")[0].rpartition("\n\n")[2])
    }
    assert named - set(cli.COMMANDS) == set()
