"""Runs `tests/blender` in one Blender after another: `python -m tests.blender.matrix [VERSION ...] [--all] [--quick]`.

Each version of the `bpy` module gets a virtual environment of its own below `.venv-bpy/`, made once and kept: a module
fits one Python only. Without versions the two of CI are taken, one per Python. `--quick` leaves out what renders.
Ends with 0 when all that ran passed, 1 when something failed, 2 when a Python was absent.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv-bpy"
NEEDED = ("pytest>=8", "hypothesis>=6", "OpenEXR>=3.4.14", "msgpack>=1.0", "pyzmq>=26", "psutil>=5.9")
SLOW = (
    "test_lamps.py", "test_light_nodes.py", "test_mattes.py", "test_views.py", "test_world.py", "test_world_plain.py",
    "test_world_rendered.py",
)  # fmt: skip


@dataclass(frozen=True)
class Version:
    """A Blender as a module: its release, the Python that it was built for, and the numpy that it needs."""

    bpy: str
    python: str
    numpy: str


VERSIONS = {
    one.bpy: one
    for one in (
        Version("4.2.23", "3.11", "numpy<2"),  # pip would give it numpy 2, which it was not built against
        Version("4.5.15", "3.11", "numpy<2"),
        Version("5.0.1", "3.11", "numpy<2"),
        Version("5.1.2", "3.13", "numpy>=2"),
        Version("5.2.3", "3.13", "numpy>=2"),
    )
}
IN_CI = ("5.0.1", "5.2.3")


def main(arguments: Sequence[str]) -> int:
    """Parses the command line, runs, and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.blender.matrix", description=__doc__.split("\n")[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"of {', '.join(VERSIONS)}")
    parser.add_argument("--all", action="store_true", help="all five versions")
    parser.add_argument("--quick", action="store_true", help="without the tests that render")
    asked = parser.parse_args(arguments)
    unknown = [one for one in asked.versions if one not in VERSIONS]
    if unknown:
        parser.error(f"unknown version {', '.join(unknown)}; known are {', '.join(VERSIONS)}")
    chosen = tuple(VERSIONS) if asked.all else tuple(asked.versions) or IN_CI
    results = {one: run(VERSIONS[one], asked.quick) for one in chosen}
    for one, result in results.items():
        print(f"bpy {one:7s} {result}", flush=True)
    if any(result.startswith("failed") for result in results.values()):
        return 1
    return 2 if any(result.startswith("not run") for result in results.values()) else 0


def run(version: Version, quick: bool) -> str:
    """One version's tests, made ready first where needed. Says how it went."""
    try:
        python = environment(version)
    except FileNotFoundError as error:
        return f"not run: {error}"
    except subprocess.CalledProcessError as error:
        return f"failed: pip ended with {error.returncode} ({' '.join(map(str, error.cmd))})"
    print(f"== bpy {version.bpy}, Python {version.python}", flush=True)
    left = [f"--ignore=tests/blender/{name}" for name in SLOW] if quick else []
    command = [str(python), "-W", "error::DeprecationWarning", "-m", "pytest", "-q", "tests/blender", *left]
    clean = {key: value for key, value in os.environ.items() if key not in {"OCIO", "PYTHONPATH"}}
    # The server and the command line are this Python's: Blender's has neither.
    clean.setdefault("PLATELIGHT_PYTHON", sys.executable)
    clean.setdefault("PLATELIGHT_CLI", str(Path(sys.executable).with_name("platelight")))
    code = subprocess.run(command, cwd=ROOT, env=clean, check=False).returncode
    return "passed" if code == 0 else f"failed: pytest ended with {code}"


def environment(version: Version) -> Path:
    """The Python of an environment, made if it is not there. Raises FileNotFoundError where there is no base Python."""
    folder = HOME / version.bpy
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = folder / ".ready"
    wanted = "\n".join((f"bpy=={version.bpy}", version.numpy, *NEEDED))
    if ready.exists() and ready.read_text(encoding="utf-8") == wanted:
        return python
    subprocess.run([str(base_python(version.python)), "-m", "venv", "--clear", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted.split("\n")], check=True)
    ready.write_text(wanted, encoding="utf-8")
    return python


def base_python(wanted: str) -> Path:
    """A Python of this version: this one, one on the path, or one of pyenv. Raises FileNotFoundError, in a sentence."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == wanted:
        return Path(getattr(sys, "_base_executable", sys.executable))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{wanted}"), *sorted(pyenv.glob(f"{wanted}.*/bin/python"), reverse=True)]
    for candidate in candidates:
        if candidate and _is(Path(candidate), wanted):
            return Path(candidate)
    raise FileNotFoundError(f"there is no Python {wanted} here: install it, or put python{wanted} on the path")


def _is(python: Path, wanted: str) -> bool:
    """Whether it runs and is of that version: a shim of pyenv's exists for Pythons that are not chosen."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        told = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return told.stdout.strip() == wanted


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
