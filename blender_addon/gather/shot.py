"""A shot of the scene as a recipe: the one way in. Reads Blender on the main thread, changes nothing, opens no picture.

What keeps the shot from being sent comes back as problems, all at once and each with what to do; a recipe comes back
only where there are none. Paths in it are absolute. Its frames are the numbers in the plate's file names.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from .. import compat
from ..core import (
    LAYERS,
    Background,
    CameraSource,
    EngineChoice,
    FrameRange,
    Ground,
    Light,
    Look,
    Matte,
    Output,
    Plate,
    Probe,
    Recipe,
    RecipeError,
    fields_of,
)
from . import files, timeline
from .backgrounds import background
from .cameras import camera_file, object_camera, solved_camera
from .findings import Badge, Findings, Problem, Stopped
from .grounds import ground
from .lamps import lit_objects, scene_lights
from .mapping import FrameMapping
from .mattes import Asked, matte
from .memory import OWN_LIGHTS, Memory
from .names import file_name, version_name
from .pictures import colorspace
from .plates import Source, folder_of
from .ranges import frame_rate, plate_source, shot_frames, told_space
from .raster import RasterOrder
from .views import camera_view
from .world import hdri_probe, plate_probe, world_probe

Read = TypeVar("Read")


@dataclass(frozen=True)
class Gathered:
    """What was read of a shot.

    `recipe` is None where a problem stops it; `base` is the folder that relative paths would start at. `mapping` tells
    scene frames from file numbers, for whoever builds the result. `drawings` are to be made (`raster.Raster`) before
    the recipe is sent: a matte, view or world that it names is not there yet, or may be out of date. `folder` and
    `version` are where the result goes.
    """

    recipe: Recipe | None
    base: Path
    problems: tuple[Problem, ...]
    badges: tuple[Badge, ...]
    mapping: FrameMapping | None = None
    drawings: tuple[RasterOrder, ...] = ()
    folder: Path | None = None
    version: int = 0

    @cached_property
    def hash(self) -> str:
        """Changes when the result would: plate, matte, light, camera, settings; "" without a recipe.

        Unlike `Recipe.content_hash` it sees that another file is named, or a mask was drawn on; what is in the files
        only the server knows, and what a view or a moving world shows is `watched`.
        """
        if self.recipe is None:
            return ""
        told = replace(self.recipe, output=replace(self.recipe.output, directory="result"))
        return hashlib.sha256(told.to_json().encode()).hexdigest()

    @property
    def watched(self) -> tuple[Any, ...]:
        """The scene of a view and a world that moves, as datablocks: no name in the recipe tells of a change there."""
        found = []
        for order in self.drawings:
            with suppress(KeyError):  # it was removed or renamed since
                found += [order.datablock] if order.judged_by_child else []
        return tuple(found)


def gather(
    scene: Any, shot: Any, context: Any = None, version: int | None = None, memory: Memory | None = None
) -> Gathered:
    """Reads `shot` (a `settings.PlatelightShot`) of `scene`.

    `context` lets lights that stand still be read from what the window shows; the sequencer's scene is taken from it.
    `version` is that of the result, by default the next one. `memory` keeps what is costly between calls.
    """
    reader = _Reader(scene, shot, context, memory or Memory(), Findings(), os.environ.get("OCIO", "") != "")
    return reader.gathered((shot.version + 1) if version is None else version)


@dataclass
class _Reader:
    scene: Any
    shot: Any
    context: Any
    memory: Memory
    findings: Findings
    shared_config: bool

    def gathered(self, version: int) -> Gathered:
        home = folder_of(self.shot.id_data)
        folder = self._try(lambda: self._folder(version))
        plate = self._try(lambda: plate_source(self.scene, self.shot, self.context, self.findings))
        frames = self._try(lambda: shot_frames(self.scene, self.shot, plate, self.findings)) if plate else None
        self._badge("plate", plate is not None and frames is not None, told_space(plate) if plate else "")
        if plate is None or frames is None:
            return self._answer(None, Path(home or "."), plate)
        beside = folder.parent if folder else Path(home or ".")  # versions of a result share the drawn mattes
        asked = Asked(self.scene, self.shot, plate, frames, beside, self.memory, self.findings)
        seen = Findings()  # a view needs the camera, whose problems are told after those of pictures
        camera = self._try(lambda: self._camera(plate, frames, seen))
        matte, behind, orders = self._pictures(asked, camera)
        before = self._count()
        self.findings.problems.extend(seen.problems)
        error = f"{camera.error_px:.2f} px" if camera and camera.error_px is not None else ""
        self._input("camera", self.shot.camera_kind != "NONE", before, error)
        parts = _Parts(matte, behind, camera, *self._space(asked, orders))
        recipe = None if self.findings.stopped else self._try(lambda: self._recipe(plate, frames, folder, parts))
        drawings = tuple(orders) if recipe else ()
        return self._answer(recipe, Path(home) if home else asked.output, plate, drawings, folder, version)

    def _answer(
        self, recipe: Recipe | None, base: Path, plate: Source | None, drawings: tuple[RasterOrder, ...] = (),
        folder: Path | None = None, version: int = 0,
    ) -> Gathered:  # fmt: skip
        found, mapping = self.findings, plate.mapping if plate else None
        return Gathered(recipe, base, tuple(found.problems), tuple(found.badges), mapping, drawings, folder, version)

    def _try(self, read: Callable[[], Read]) -> Read | None:
        """What `read` gives, or None where it told a problem: the other inputs are still looked at."""
        try:
            return read()
        except Stopped:
            return None
        except RecipeError as error:
            self.findings.problem(f"The shot cannot be sent: {error}.")
            return None

    def _folder(self, version: int) -> Path:
        top = files.absolute(
            self.shot.output_directory, folder_of(self.shot.id_data), "result", self.findings, "output_directory"
        )
        return top / file_name(self.shot.name) / version_name(version)

    def _pictures(
        self, asked: Asked, camera: CameraSource | None
    ) -> tuple[Matte | None, Background, list[RasterOrder]]:
        kind, before = self.shot.matte_kind, self._count()
        held, drawn = self._try(lambda: matte(asked)) or (None, None)
        self._input("matte", kind != "NONE", before, kind.replace("_", " ").lower())
        kind, before = self.shot.background_kind, self._count()
        if kind == "CAMERA_VIEW":
            behind, viewed = self._try(lambda: camera_view(asked, camera)) or (Background(), None)
        else:
            behind, viewed = self._try(lambda: background(asked, self.shared_config, camera)) or Background(), None
        self._input("background", kind != "KEEP", before, kind.replace("_", " ").lower())
        return held, behind, [order for order in (drawn, viewed) if order is not None]

    def _space(
        self, asked: Asked, orders: list[RasterOrder]
    ) -> tuple[tuple[Light, ...], Probe | None, Probe | None, Ground | None]:
        shot, findings, plate, frames = self.shot, self.findings, asked.plate, asked.frames
        before, lights = self._count(), ()
        if shot.use_lights:
            lights = self._try(lambda: self._lights(frames, plate.mapping)) or ()
        probe, rendered = self._try(lambda: self._probe(asked)) or (None, None)
        orders.extend([rendered] if rendered else [])
        world = "" if probe is None else "HDRI" if probe.path is not None and rendered is None else "world"
        lit = ", ".join(filter(None, (f"{len(lights)} light{'s' if len(lights) > 1 else ''}" if lights else "", world)))
        self._input("light", bool(lit), before, lit)
        filmed = self._try(lambda: plate_probe(shot, findings))
        before = self._count()
        scene_frame = plate.mapping.scene(frames.first)
        plane = self._try(lambda: ground(self.context, self.scene, shot, scene_frame, findings))
        self._input("ground", shot.ground_kind != "NONE", before)
        return lights, probe, filmed, plane

    def _camera(self, plate: Source, frames: FrameRange, findings: Findings) -> CameraSource | None:
        shot, scene = self.shot, self.scene
        if shot.camera_kind == "SOLVE":
            clip = shot.camera_clip or (shot.plate_clip if shot.plate_kind == "CLIP" else None)
            if clip is None:
                raise findings.stop(
                    "The camera is a solve, and no clip is chosen: choose the tracked one.", "camera_clip"
                )
            return solved_camera(scene, clip, plate, frames, shot.camera_points, findings)
        if shot.camera_kind == "OBJECT":
            if shot.camera_object is None:
                raise findings.stop("The camera is an object, and none is chosen: choose one.", "camera_object")
            key = ("camera", scene.name, shot.camera_object.name, plate.mapping, frames, plate.size_px)
            return self.memory.recall(
                key, lambda: object_camera(self.context, scene, shot.camera_object, plate, frames, findings)
            )
        return camera_file(shot, findings) if shot.camera_kind == "FILE" else None

    def _lights(self, frames: FrameRange, mapping: FrameMapping) -> tuple[Light, ...]:
        scene, render = self.scene, self.scene.render
        objects = lit_objects(scene, self.shot.lights_collection, self.findings)
        # Lights that nothing else moves need not be read again because something else has changed.
        kind = OWN_LIGHTS if all(timeline.is_alone(one) for one in objects) else "lights"
        asked = (frames, mapping, scene.unit_settings.scale_length, render.frame_map_old, render.frame_map_new)
        key = (kind, scene.name, tuple(one.name_full for one in objects), *asked, compat.working_primaries())

        def read() -> tuple[tuple[Light, ...], tuple[Problem, ...]]:
            inner = Findings()
            lights = scene_lights(self.context, scene, objects, frames, mapping, inner)
            return lights, tuple(inner.problems)

        lights, problems = self.memory.recall(key, read)
        self.findings.problems.extend(one for one in problems if one not in self.findings.problems)
        return lights

    def _probe(self, asked: Asked) -> tuple[Probe | None, RasterOrder | None]:
        if self.shot.background_kind == "HDRI":
            return hdri_probe(asked, self.shared_config), None
        return world_probe(asked, self.shared_config) if self.shot.use_world else (None, None)

    def _recipe(self, plate: Source, frames: FrameRange, folder: Path | None, parts: _Parts) -> Recipe:
        shot, render = self.shot, self.scene.render
        name, said = colorspace(plate.colorspace, plate.header, self.shared_config)
        if said:
            self.findings.note(f"The plate: {said}.")
        return Recipe(
            name=file_name(shot.name),
            frames=frames,
            plate=Plate(str(plate.sequence), name, missing=shot.missing),
            rate=frame_rate(render.fps, render.fps_base),
            matte=parts.matte,
            background=parts.background,
            probe_background=parts.probe,
            probe_plate=parts.filmed,
            lights=parts.lights,
            camera=parts.camera,
            ground=parts.ground,
            look=Look(**{item.name: getattr(shot.look, item.name) for item in fields_of(Look)}),
            engine=EngineChoice(shot.engine, options_of(shot.engine_options)),
            output=Output(
                str(folder),
                layers=tuple(layer for layer in LAYERS if layer in shot.output_layers),
                compression=shot.output_compression,
                depth=shot.output_depth,
            ),
        )

    def _count(self) -> int:
        return sum(problem.level == "stop" for problem in self.findings.problems)

    def _input(self, name: str, wanted: bool, before: int, text: str = "") -> None:
        """The badge of an input that may be left out: missing where reading it told a problem."""
        if self._count() > before:
            self.findings.badge(name, "missing")
        else:
            self.findings.badge(name, "ok" if wanted else "off", text if wanted else "")

    def _badge(self, name: str, there: bool, text: str) -> None:
        self.findings.badge(name, "ok" if there else "missing", text if there else "")


@dataclass(frozen=True)
class _Parts:
    matte: Matte | None
    background: Background
    camera: CameraSource | None
    lights: tuple[Light, ...]
    probe: Probe | None
    filmed: Probe | None
    ground: Ground | None


def options_of(group: Any) -> dict[str, Any]:
    """An engine's options from custom properties: numbers, text, true or false, and lists of them."""
    found: dict[str, Any] = {}
    for key in sorted(group.keys()):
        value = group[key]
        found[key] = tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value
    return found
