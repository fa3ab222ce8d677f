"""A Blender with windows in a process and a folder of its own, beside a real server; and the wishes it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.blender.gui.shots import ROOT

START = Path(__file__).resolve().parent / "inside" / "start.py"
MODULES = Path("extensions") / "user_default" / "platelight"


class NoBlender(Exception):
    """There is no Blender to run, in a sentence."""


class Blenders:
    """Starts Blenders of one kind. `home` is the server's home, `work` where everything is written."""

    def __init__(self, blender: Path, work: Path, home: Path) -> None:
        if not blender.is_file():
            raise NoBlender(f"{blender} is not there: name a Blender with --blender, or by $PLATELIGHT_BLENDER.")
        self.blender, self.work, self.home = blender, work, home

    def install(self, archive: Path, folder: Path) -> None:
        """Installs the extension as a user would from the command line. Raises CalledProcessError."""
        command = [str(self.blender), "--command", "extension", "install-file", "-r", "user_default", str(archive)]
        subprocess.run(command, env=self._environment(folder), check=True, capture_output=True, timeout=120)

    def start(self, steps: str, folder: Path, options: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        """Starts a Blender at its steps; what it prints is in `blender.log` of its folder."""
        given = json.dumps({**options, "installed": str(folder / "resources" / MODULES)})
        command = [str(self.blender), "--factory-startup", "--python", str(START), "--", steps, str(folder), given]
        with (folder / "blender.log").open("wb") as log:
            return subprocess.Popen(command, env=self._environment(folder), stdout=log, stderr=log)

    def _environment(self, folder: Path) -> dict[str, str]:
        for name in ("resources", "user"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        clean = {key: value for key, value in os.environ.items() if key != "OCIO" and not key.startswith("PYTHON")}
        own = {"HOME": folder / "user", "BLENDER_USER_RESOURCES": folder / "resources", "PLATELIGHT_HOME": self.home}
        return clean | {key: str(value) for key, value in own.items()}


def until_all_end(
    running: Mapping[Path, subprocess.Popen[bytes]], wishes: Mapping[str, Callable[[], object]], within_s: float
) -> list[dict[str, Any]]:
    """Grants what the Blenders wish until they have ended. Returns their reports; a crash or a hang is a failed one."""
    end = time.monotonic() + within_s
    while any(process.poll() is None for process in running.values()) and time.monotonic() < end:
        for folder in running:
            wish = folder / "wish"
            if wish.exists():
                asked = wish.read_text()
                wish.unlink()
                wishes[asked]()
                (folder / "granted").touch()
        time.sleep(0.05)
    return [_told(folder, process, within_s) for folder, process in running.items()]


def _told(folder: Path, process: subprocess.Popen[bytes], within_s: float) -> dict[str, Any]:
    hung = process.poll() is None
    if hung:
        process.terminate()
        process.wait(20)
    report = folder / "report.json"
    told: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {"held": []}
    if hung:
        told["failed"] = f"Blender had not ended after {within_s:g} s; the last that held: {told['held'][-1:]}"
    elif process.returncode:
        told.setdefault("failed", f"Blender ended with {process.returncode}, see {folder / 'blender.log'}")
    elif not report.exists():
        told["failed"] = f"Blender ended without a report, see {folder / 'blender.log'}"
    return told


def build(folder: Path) -> Path:
    """The extension's zip. Raises CalledProcessError."""
    command = [sys.executable, str(ROOT / "build_addon.py"), "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return next(folder.glob("platelight-*.zip"))
