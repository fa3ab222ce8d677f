"""Runs the extension in a real Blender with windows: `python -m tests.blender.gui --blender PATH [--shots DIR]`.

Needs a display; PATH may be a script that brings one (`exec xvfb-run -a blender "$@"`). Ends with 0 when everything
held, 1 when a step failed or a limit was missed, 2 when there was no Blender. `--shots` takes the pictures of the
documentation. See tests/README.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platelight.errors import PlatelightError
from tests.blender.gui import pictures, shots, table
from tests.blender.gui.running import Blenders, NoBlender, build, until_all_end
from tests.client.serving import Server

LIVES = ("quits", "files", "scenes", "linked", "undo", "restart", "without")
# The last one leaves the server checking a thousand frames of 4K, for minutes.
PARTS = ("stall", "live", "two", *LIVES, "pictures", "submit")
LARGE_FRAMES, LONG_FRAMES = 6, 1000


def main(arguments: Sequence[str]) -> int:
    """Parses, runs the parts, prints what held and the table."""
    asked = _arguments(arguments)
    named = asked.blender or os.environ.get("PLATELIGHT_BLENDER") or shutil.which("blender")
    with tempfile.TemporaryDirectory(prefix="platelight-gui-", ignore_cleanup_errors=True) as work:
        folder = Path(asked.keep or work).absolute()
        for old in ("server", *PARTS):  # a job of an earlier run would be found again
            shutil.rmtree(folder / old, ignore_errors=True)
        try:
            blenders = Blenders(Path(named or "blender").absolute(), folder, folder / "server" / "home")
        except NoBlender as error:
            print(f"not run: {error}")
            return 2
        return Run(blenders, folder, asked.place, asked.shots).parts(asked.parts)


class Run:
    """One run: a server, and a Blender per part."""

    def __init__(self, blenders: Blenders, folder: Path, place: Path | None, pictures_to: Path | None) -> None:
        self.blenders, self.folder, self.pictures_to = blenders, folder, pictures_to
        self.place = place or folder / "shots"
        (folder / "server").mkdir(parents=True)
        self.server = Server(folder / "server")
        self.archive = build(folder / "zip")

    def parts(self, names: Sequence[str]) -> int:
        """Runs these. Returns the exit code."""
        reports: dict[str, dict[str, Any]] = {}
        failed = False
        with self._serving():
            for name in names:
                for report in self.part(name):
                    reports[name] = report
                    failed |= table.said(name, report)
        return int(table.printed(reports) or failed)

    def part(self, name: str) -> list[dict[str, Any]]:
        """One part's reports; `two` has one per Blender."""
        if name == "two":
            (self.folder / "two" / "met").mkdir(parents=True, exist_ok=True)
            return self._together({"sh010": "two/first", "sh020": "two/second"})
        if name in LIVES:
            reports = self._blender("survive", name, {"life": name, "shot": str(self._demo())})
            if name == "quits" and "failed" not in reports[0]:
                reports.append({"blender": reports[0]["blender"], **self._left(reports[0]["job"])})
            return reports
        options: dict[str, Callable[[], dict[str, Any]]] = {
            "stall": lambda: {"shot": str(self._large()), "frames": LARGE_FRAMES},
            "submit": lambda: {"shot": str(self._long()), "frames": LONG_FRAMES},
            "live": lambda: {"shot": str(self._demo())},
            "pictures": lambda: {"shot": str(self._demo())},
        }
        reports = self._blender(name, name, options[name]())
        if name == "pictures" and self.pictures_to is not None and "failed" not in reports[0]:
            pictures.cropped(self.folder / name, self.pictures_to, reports[0]["pictures"])
        return reports

    # ---- what Blenders need

    def _blender(self, steps: str, name: str, options: dict[str, Any]) -> list[dict[str, Any]]:
        folder = self._ready(name)
        options = {"blend": str(folder / "work" / f"{name}.blend"), **options}
        return until_all_end({folder: self.blenders.start(steps, folder, options)}, self._wishes(), 900)

    def _together(self, names: dict[str, str]) -> list[dict[str, Any]]:
        running = {}
        for shot, name in names.items():
            folder = self._ready(name)
            running[folder] = self.blenders.start(
                "survive", folder, {"life": "two", "shot": str(self._demo()), "name": shot}
            )
        return until_all_end(running, self._wishes(), 900)

    def _ready(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True)
        self.blenders.install(self.archive, folder)
        return folder

    def _wishes(self) -> dict[str, Callable[[], object]]:
        return {"kill the server": self.server.kill, "start the server": self.server.start, "load": self._load}

    def _load(self) -> None:
        """As much work beside Blender as a job is, but none of the extension's."""
        shot = self._large()
        command = [sys.executable, "-m", "platelight_server.cli", "relight", "--name", "load", "--quiet", "--force"]
        command += ["--frames", f"{shots.FIRST}-{shots.FIRST + 2}", "--out", str(self.folder / "load")]
        for part in ("plate", "matte", "background"):
            command += [f"--{part}", str(shot / part)]
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _left(self, job: str) -> dict[str, Any]:
        """Whether a job goes on whose Blender has quit."""
        with self.server.connect() as client:
            try:
                client.job(job).result(120)
            except PlatelightError as error:
                return {"failed": f"the job of a Blender that quit did not go on: {error}"}
        return {"held": ["the job went on"]}

    @contextmanager
    def _serving(self) -> Iterator[None]:
        self.server.start()
        try:
            yield
        finally:
            self.server.stop()

    def _demo(self) -> Path:
        return shots.demo(self.place / "sh010")

    def _large(self) -> Path:
        folder = self.folder / "large"
        return folder if folder.exists() else shots.large(folder, LARGE_FRAMES)

    def _long(self) -> Path:
        return shots.long(self.folder / "long", self._large(), LONG_FRAMES)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.blender.gui", description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all but pictures)")
    parser.add_argument("--blender", type=Path, help="a Blender of 4.2 to 5.2 (default: $PLATELIGHT_BLENDER)")
    parser.add_argument("--shots", type=Path, help="take the documentation's pictures, into this folder")
    parser.add_argument("--place", type=Path, help="folder of the shot, as the pictures show it")
    parser.add_argument("--keep", type=Path, help="folder for everything that is written (default: a temporary one)")
    asked = parser.parse_args(arguments)
    unknown = [one for one in asked.parts if one not in PARTS]
    if unknown:
        parser.error(f"unknown part {', '.join(unknown)}; known are {', '.join(PARTS)}")
    asked.parts = asked.parts or [one for one in PARTS if asked.shots or one != "pictures"]
    return asked


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
