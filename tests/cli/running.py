"""The command line in a process of its own, with the engines that tests register."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import tests.shots.engines  # noqa: F401  (registers the engines that tests render with)
from platelight_server.cli import main
from tests.shots.small import Shot

ROOT = Path(__file__).resolve().parents[2]
START = "import sys, tests.shots.engines; from platelight_server.cli import main; sys.exit(main(sys.argv[1:]))"


def command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", START, *arguments]


def environment(**more: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if key != "OCIO"}
    return {**clean, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::DeprecationWarning:platelight", **more}


def run(*arguments: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs `platelight ARGUMENTS` to its end."""
    return subprocess.run(
        command(arguments), cwd=cwd, env=environment(**more), capture_output=True, text=True, timeout=120, check=False
    )


def here(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The same in this process, two seconds faster: what it prints, and the exit code."""
    out, err = io.StringIO(), io.StringIO()
    back = Path.cwd()
    try:
        os.chdir(cwd or back)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os.chdir(back)
    return subprocess.CompletedProcess(list(arguments), code, out.getvalue(), err.getvalue())


class Started(subprocess.Popen[str]):
    """A process that a test which fails does not wait for."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, trace)


def start(*arguments: str, cwd: Path | None = None) -> Started:
    """Starts `platelight ARGUMENTS`."""
    return Started(
        command(arguments), cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def flags(shot: Shot, **changed: str | None) -> list[str]:
    """The flags of a shot; keyword arguments change or remove one."""
    given: dict[str, str | None] = {
        "plate": str(shot.folder / "plate" / "plate.####.exr"),
        "matte": str(shot.folder / "matte" / "matte.####.exr"),
        "background": str(shot.folder / "background.exr"),
        "frames": shot.range,
        "out": str(shot.folder / "out"),
        "name": "small",
        "engine": "test_wavy",
        **changed,
    }
    return [part for key, value in given.items() if value is not None for part in (f"--{key.replace('_', '-')}", value)]
