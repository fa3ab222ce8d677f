"""Masks and compositor sockets as EXR sequences, drawn by a child Blender so that this one never waits.

`gather` names what is to be drawn (`RasterOrder`) and where; an operator starts it (`Raster`), polls, and may cancel.
Drawings lie in a folder named by what they are drawn of, so what has not changed is not drawn again, and a drawing that
was stopped goes on. Writing the library for the child takes about a millisecond for a mask; a socket before 5.0 takes
its whole scene along.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import bpy

from .. import compat
from ..core import FrameRange, SequencePath
from .content import content_digest
from .mapping import FrameMapping

State = Literal["waiting", "running", "done", "failed", "cancelled"]
NAME = "matte"
KEY_LENGTH = 16
WORKER = Path(__file__).with_name("mask_worker.py")
_RUNNING: list[Raster] = []  # what `cancel_all` ends when Blender quits or the extension is switched off


@dataclass(frozen=True)
class RasterOrder:
    """What is to be drawn. `frames` are the plate's file numbers; `name` is a mask's, a tree's or a scene's."""

    kind: Literal["mask", "socket"]
    name: str
    frames: FrameRange
    mapping: FrameMapping
    width_px: int
    height_px: int
    aspect: tuple[float, float]
    folder: Path
    scene: str = ""
    node: str = ""
    socket: str = ""

    @property
    def sequence(self) -> SequencePath:
        """Where the drawings are found."""
        return SequencePath(self.folder, f"{NAME}.", ".exr", 4)

    @property
    def missing(self) -> tuple[int, ...]:
        """File numbers that are still to be drawn."""
        return self.sequence.missing(self.frames) if self.folder.is_dir() else tuple(self.frames)


def content_key(datablock: Any, size: tuple[int, int]) -> str:
    """Names what a datablock looks like: equal keys draw equally.

    It is a hash of the library that the child would get, because a mask's shape keys are closed to Python. Anything
    else that Blender writes into it may give another key, and the mask is drawn once more than needed.
    """
    with tempfile.TemporaryDirectory(prefix="platelight-") as folder:
        path = Path(folder) / "key.blend"
        write_library(datablock, path)
        held = content_digest(path.read_bytes())
    return hashlib.sha256(held + repr((size, bpy.app.version)).encode()).hexdigest()[:KEY_LENGTH]


def write_library(datablock: Any, path: Path) -> None:
    """A .blend with one datablock and what it needs, paths made absolute; nothing of this session changes."""
    bpy.data.libraries.write(str(path), {datablock}, path_remap="ABSOLUTE", compress=False)


@dataclass(eq=False)
class Raster:
    """One drawing under way. Start it on the main thread; `poll` costs a stat and a small read."""

    order: RasterOrder
    state: State = "waiting"
    text: str = ""
    started: float = 0.0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _home: Path | None = field(default=None, repr=False)
    _total: int = 0

    def start(self) -> Raster:
        """Begins to draw what is missing; done at once where nothing is."""
        missing = self.order.missing
        self._total, self.started = len(missing), time.monotonic()
        if not missing:
            self.state = "done"
            return self
        self.order.folder.mkdir(parents=True, exist_ok=True)
        self._home = home = Path(tempfile.mkdtemp(prefix="platelight-"))
        write_library(_datablock(self.order), home / "drawn.blend")
        (home / "order.json").write_text(json.dumps(_message(self.order, missing, home)), encoding="utf-8")
        with (home / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                _command(home / "order.json"), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )  # fmt: skip
        self.state = "running"
        _RUNNING.append(self)
        return self

    @property
    def progress(self) -> tuple[int, int]:
        """Frames drawn, and frames to be drawn in all."""
        if self.state == "done":
            return self._total, self._total
        path = self._home / "done.txt" if self._home else None
        return (path.read_bytes().count(b"\n") if path and path.exists() else 0), self._total

    def poll(self) -> State:
        """Where it stands. Never blocks. When it has failed `text` says why in one sentence."""
        if self._process is None or self.state != "running" or self._process.poll() is None:
            return self.state
        left = self.order.missing
        self.state = "failed" if left else "done"
        if left:
            self.text = f"The {self.order.kind} {self.order.name} could not be drawn: {self._last_line()}"
        self._close()
        return self.state

    def cancel(self) -> None:
        """Ends it; frames that were drawn stay."""
        if self._process is not None and self.state == "running":
            self._process.kill()
            self._process.wait(5)
            self.state = "cancelled"
            self._close()

    def wait(self, timeout_s: float = 600.0) -> State:
        """Polls until it has ended, for scripts; cancels it when time is up."""
        end = time.monotonic() + timeout_s
        while self.poll() == "running":
            if time.monotonic() > end:
                self.cancel()
            time.sleep(0.02)
        return self.state

    def _last_line(self) -> str:
        with contextlib.suppress(OSError):
            log = (self._home / "log.txt").read_text("utf-8", "replace") if self._home else ""
            lines = [line.strip() for line in log.splitlines() if line.strip()]
            told = [line for line in lines if "Error" in line]
            return (told or lines or ["the child Blender ended"])[-1][:300]
        return "the child Blender ended"

    def _close(self) -> None:
        if self in _RUNNING:
            _RUNNING.remove(self)
        for part in self.order.folder.glob(".part.*"):
            with contextlib.suppress(OSError):
                part.unlink()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None


def cancel_all() -> None:
    """Ends every drawing under way: when Blender quits, and when the extension is switched off."""
    for raster in list(_RUNNING):
        raster.cancel()


atexit.register(cancel_all)


def _datablock(order: RasterOrder) -> Any:
    if order.kind == "mask":
        return bpy.data.masks[order.name]
    return bpy.data.node_groups[order.name] if compat.trees_are_datablocks() else bpy.data.scenes[order.name]


def _message(order: RasterOrder, missing: tuple[int, ...], home: Path) -> dict[str, Any]:
    """The order as the child reads it. A mask is half, a socket what the compositor computed."""
    render = bpy.data.scenes[order.scene].render if order.scene else bpy.context.scene.render
    return {
        "kind": order.kind, "name": order.name, "node": order.node, "socket": order.socket,
        "library": str(home / "drawn.blend"), "done": str(home / "done.txt"),
        "extension": str(Path(compat.__file__).parent), "working_space": compat.working_primaries(),
        "width_px": order.width_px, "height_px": order.height_px, "aspect": order.aspect,
        "depth": 16 if order.kind == "mask" else 32, "rate": (render.fps, render.fps_base),
        "frames": [(order.mapping.scene(number), str(order.sequence.path(number))) for number in missing],
    }  # fmt: skip


def _command(order: Path) -> list[str]:
    """A child Blender, or a child Python where Blender is the `bpy` module and has no program."""
    if bpy.app.binary_path and os.access(bpy.app.binary_path, os.X_OK):
        start = [bpy.app.binary_path, "--background", "--factory-startup", "--python-exit-code", "7", "--python"]
    else:
        start = [sys.executable]
    return [*start, str(WORKER), "--", str(order)]
