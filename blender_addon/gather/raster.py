"""Masks, compositor sockets, worlds and views as EXR sequences, made by a child Blender: this one never waits.

`gather` names what is to be drawn (`RasterOrder`) and where; an operator starts it (`Raster`), polls, and may cancel.
Drawings lie in a folder named by what they are drawn of, so what has not changed is not drawn again, and a drawing that
was stopped goes on. What moves cannot be named so, for a .blend holds it as it is on the current frame: there the
child tells whether it has changed. Writing the library for the child takes about a millisecond for a mask; a view, and
a socket before 5.0, take their whole scene along.
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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import bpy

from .. import compat
from ..core import CameraFrame, FrameRange, SequencePath
from .content import content_digest
from .mapping import FrameMapping
from .space import solved_pose

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Kind = Literal["mask", "socket", "world", "view"]
NAMES: Mapping[Kind, str] = {"mask": "matte", "socket": "matte", "world": "probe", "view": "view"}
KEY_LENGTH = 16
NEED_NO_SCREEN = {"CYCLES"}
STAMP = "made_of.txt"  # beside what a child rendered: what it was rendered of
DRAWER, RENDERER = Path(__file__).with_name("mask_worker.py"), Path(__file__).with_name("render_worker.py")
# On Windows: no console, and less urgent than the interface. Elsewhere the child is nice by itself.
QUIET = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
_RUNNING: list[Raster] = []  # what `cancel_all` ends when Blender quits or the extension is switched off


@dataclass(frozen=True)
class RasterOrder:
    """What is to be made. `frames` are the plate's file numbers; `name` is a mask's, a tree's, a world's or a scene's.

    A view is seen through the object `camera`, or through the frames of a solve. `judged_by_child` says that files
    that are there may have been made of something else: only the child can tell.
    """

    kind: Kind
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
    percentage: int = 100
    judged_by_child: bool = False
    camera: str = ""
    solved: tuple[CameraFrame, ...] = ()

    @property
    def sequence(self) -> SequencePath:
        """Where the drawings are found."""
        return SequencePath(self.folder, f"{NAMES[self.kind]}.", ".exr", 4)

    @property
    def missing(self) -> tuple[int, ...]:
        """File numbers that are still to be drawn."""
        return self.sequence.missing(self.frames) if self.folder.is_dir() else tuple(self.frames)

    @property
    def datablock(self) -> Any:
        """What it is made of."""
        if self.kind in {"mask", "world", "view"}:
            return {"mask": bpy.data.masks, "world": bpy.data.worlds, "view": bpy.data.scenes}[self.kind][self.name]
        return bpy.data.node_groups[self.name] if compat.trees_are_datablocks() else bpy.data.scenes[self.name]

    def forget(self) -> None:
        """Has a view or a world rendered again, whatever is there. Drawings are named by what they are drawn of."""
        if self.kind in {"world", "view"}:
            for path in self.folder.glob("*.exr"):
                path.unlink()


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
        """Begins to make what is missing; done at once where nothing is."""
        missing = tuple(self.order.frames) if self.order.judged_by_child else self.order.missing
        self._total, self.started = len(missing), time.monotonic()
        if not missing:
            self.state = "done"
            return self
        self.order.folder.mkdir(parents=True, exist_ok=True)
        self._home = home = Path(tempfile.mkdtemp(prefix="platelight-"))
        write_library(self.order.datablock, home / "drawn.blend")
        (home / "order.json").write_text(json.dumps(_message(self.order, missing, home)), encoding="utf-8")
        with (home / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                _command(self.order, home / "order.json"), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, creationflags=QUIET,
            )  # fmt: skip
        self.state = "running"
        _RUNNING.append(self)
        return self

    @property
    def progress(self) -> tuple[int, int]:
        """Frames drawn, and frames to be drawn in all."""
        return (self._total if self.state == "done" else self._told()), self._total

    def _told(self) -> int:
        path = self._home / "done.txt" if self._home else None
        return path.read_bytes().count(b"\n") if path and path.exists() else 0

    def poll(self) -> State:
        """Where it stands. Never blocks. When it has failed `text` says why in one sentence."""
        if self._process is None or self.state != "running" or self._process.poll() is None:
            return self.state
        failed = self._told() < self._total or bool(self.order.missing)
        self.state = "failed" if failed else "done"
        if failed:
            self.text = f"{_named(self.order)}: {self._last_line()}"
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


def _named(order: RasterOrder) -> str:
    if order.kind != "view":
        return f"The {order.kind} {order.name} could not be {'rendered' if order.kind == 'world' else 'drawn'}"
    text = f"The view of the scene {order.name} could not be rendered"
    if bpy.data.scenes[order.name].render.engine not in NEED_NO_SCREEN:
        text += " (its engine needs a graphics driver, which a Blender without a window may lack: take Cycles)"
    return text


def _message(order: RasterOrder, missing: tuple[int, ...], home: Path) -> dict[str, Any]:
    """The order as the child reads it. Masks and views are half, a socket what the compositor computed, and the sun in
    a world is brighter than a half can tell."""
    render = bpy.data.scenes[order.scene].render if order.scene else bpy.context.scene.render
    return {
        "kind": order.kind, "name": order.name, "node": order.node, "socket": order.socket,
        "library": str(home / "drawn.blend"), "done": str(home / "done.txt"),
        "extension": str(Path(compat.__file__).parent), "working_space": compat.working_primaries(),
        "width_px": order.width_px, "height_px": order.height_px, "aspect": order.aspect,
        "depth": 16 if order.kind in {"mask", "view"} else 32, "rate": (render.fps, render.fps_base),
        "percentage": order.percentage, "camera": order.camera, "stamp": str(order.folder / STAMP),
        "solved": [(order.mapping.scene(one.frame), *solved_pose(one, _unit_m(order))) for one in order.solved],
        "frames": [(order.mapping.scene(number), str(order.sequence.path(number))) for number in missing],
    }  # fmt: skip


def _unit_m(order: RasterOrder) -> float:
    return bpy.data.scenes[order.scene].unit_settings.scale_length if order.scene else 1.0


def _command(order: RasterOrder, message: Path) -> list[str]:
    """A child Blender, or a child Python where Blender is the `bpy` module and has no program.

    A view is rendered as the artist would, with their add-ons and devices; the others need nothing of these.
    """
    worker = DRAWER if order.kind in {"mask", "socket"} else RENDERER
    if bpy.app.binary_path and os.access(bpy.app.binary_path, os.X_OK):
        bare = [] if order.kind == "view" else ["--factory-startup"]
        start = [bpy.app.binary_path, "--background", *bare, "--python-exit-code", "7", "--python"]
    else:
        start = [sys.executable]
    return [*start, str(worker), "--", str(message)]
