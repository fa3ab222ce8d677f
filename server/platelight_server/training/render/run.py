"""Has Blender render a basis: starts it, tells it the job, passes on what it says. Frames that are there stay.

Blender is a program, or a Python that has the module `bpy` (4.2 or newer); it runs as a process of its own, because its
Python is seldom ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from platelight.document import encode
from platelight.errors import FrameError, MissingExtraError, OutputError, RecipeError

from ...plates.frames_out import prepare_folder, write_bytes
from .spec import DOCUMENT, Basis, Spec, job_of, lamps_of, read_basis

SAID = "platelight:"  # `inside.scene` prints its lines so; Blender prints others
INSIDE = "import sys; sys.path.insert(0, {folder!r}); from inside import scene; scene.render({job!r})"

Told = Callable[[Mapping[str, Any]], None]


def render_basis(spec: Spec, folder: Path, blender: Path, threads: int = 1, told: Told = lambda _: None) -> Basis:
    """Renders what `folder` lacks of a basis and returns its document. `told` hears of each frame.

    Raises FrameError where another basis lies there or Blender fails, MissingExtraError where it does not start,
    OutputError where the folder cannot be written.
    """
    basis = Basis(spec, lamps_of(spec))
    prepare_folder(folder)
    if (folder / DOCUMENT).exists():
        held = read_basis(folder)
        if held.spec != spec or held.lamps != basis.lamps:
            raise FrameError(
                f"{folder}: expected an empty folder or the same basis, found one with {_other(held.spec, spec)}"
            )
        basis = held
    version = ""

    def heard(line: Mapping[str, Any]) -> None:
        nonlocal basis, version
        version = str(line.get("blender", version))
        if "blender" in line:
            if basis.blender not in ("", version):
                raise FrameError(f"{folder}: expected Blender {basis.blender}, which began this basis, got {version}")
            basis = replace(basis, blender=version)
            write_bytes(folder / DOCUMENT, json.dumps(encode(basis), indent=1).encode())
        told(line)

    run_job(job_of(basis, folder.absolute(), threads), blender, heard)
    return basis


def render_directly(
    basis: Basis, folder: Path, blender: Path, weights: dict[str, list[float]], threads: int = 1
) -> None:
    """Renders the basis's frames under one lighting, without combining: what a combination is compared with.

    weights: lamp -> R, G, B; a lamp that is absent is off. The combined passes of `light.####.exr` are the answer.
    """
    prepare_folder(folder)
    every = {lamp.name: weights.get(lamp.name, [0.0, 0.0, 0.0]) for lamp in basis.lamps}
    run_job(job_of(basis, folder.absolute(), threads, every), blender, lambda _: None)


def run_job(job: Mapping[str, Any], blender: Path, heard: Told) -> None:
    """Runs one job to its end. Raises FrameError with Blender's last words."""
    with tempfile.TemporaryDirectory(prefix="platelight-render-") as temporary:
        path = Path(temporary) / "job.json"
        path.write_text(json.dumps(job), "utf-8")
        code = INSIDE.format(folder=str(Path(__file__).parent), job=str(path))
        # A Blender's Python must not find our packages, which are built for another one.
        kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "OCIO")}
        command = [str(blender), *_arguments(blender, code)]
        try:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=kept
            )
        except OSError as error:
            raise MissingExtraError(f"{blender}: expected Blender or a Python with bpy: {error.strerror}") from None
        _follow(process, blender, heard)


def _arguments(blender: Path, code: str) -> list[str]:
    if blender.name.lower().startswith("python"):
        return ["-c", code]
    return ["--background", "--factory-startup", "--python-exit-code", "1", "--python-expr", code]


def _follow(process: subprocess.Popen[str], blender: Path, heard: Told) -> None:
    last: deque[str] = deque(maxlen=4)
    done = False
    with process:
        try:
            for line in process.stdout or ():
                if line.startswith(SAID):
                    said = json.loads(line[len(SAID) :])
                    done = done or bool(said.get("done"))
                    heard(said)
                elif line.strip():
                    last.append(line.strip())
        except BaseException:
            process.kill()  # an interrupt, or a Blender of another version: its frames so far stay
            raise
    if not done:
        if any("No module named 'bpy'" in line for line in last):
            raise MissingExtraError(f"{blender}: this Python has no bpy; run: {blender} -m pip install bpy")
        if any("No space left" in line for line in last):
            raise OutputError(f"the basis cannot be written: {last[-1]}")
        raise FrameError(f"{blender}: rendering ended with {process.returncode}: {' / '.join(last) or 'no word'}")


def _other(held: Spec, asked: Spec) -> str:
    """What differs, in the words of the document."""
    before, now = encode(held), encode(asked)
    found = [f"{key} {before[key]} (asked: {now[key]})" for key in now if before.get(key) != now[key]]
    if not found:
        raise RecipeError(DOCUMENT, "the lamps of this version", "others")
    return ", ".join(found)
