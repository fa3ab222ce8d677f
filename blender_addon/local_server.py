"""A server on this machine, started from Blender: found, started without waiting, its log kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class LocalServer:
    """The server process that this Blender has started, if it has. It outlives Blender: its jobs go on."""

    process: subprocess.Popen[bytes] | None = field(default=None)
    log: Path | None = None

    def start(self, command: Path, log: Path) -> None:
        """Starts `platelight serve`; what it says goes to `log`. Raises `OSError`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        detached = {"creationflags": 0x00000208} if sys.platform == "win32" else {"start_new_session": True}
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [str(command), "serve"], stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=clean, **detached
            )  # fmt: skip
        self.log = log

    @property
    def words(self) -> str:
        """Why it is not there any more, in the last words of its log; empty while it runs, or was not started here."""
        if self.process is None or self.process.poll() is None:
            return ""
        lines = self.log.read_text("utf-8", "replace").strip().splitlines() if self.log is not None else []
        return lines[-1] if lines else f"it ended with exit code {self.process.returncode}"


def find_command(given: str) -> Path | None:
    """The `platelight` command: as given in the preferences (also a folder with an environment), or on the path."""
    if given:
        path = Path(given).expanduser()
        places = (path, path / "bin" / "platelight", path / "Scripts" / "platelight.exe", path / "platelight")
        return next((place for place in places if place.is_file()), None)
    found = shutil.which("platelight")
    return Path(found) if found else None
