"""What happens to the shots of this file: gathered, drawn, sent, previewed, delivered. Everything on the main thread.

It holds names, never references into Blender: undo and loading a file would leave those pointing at freed memory. A
shot is known by its scene's name and its own.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from . import compat, pump, results
from .core import FrameRange, InputError, JobStatus, OutputError, PlatelightError, Recipe
from .gather import Gathered, Memory, Raster, gather
from .preferences import aimed, preview_width
from .preview_image import show
from .settings import active_shot

LIVE_EVERY_S = 0.1
RESULTS_EVERY_S = 1.0
BADGES_EVERY_S = 1.0


@dataclass
class Plan:
    """What a job that was sent will deliver, and where it shows."""

    key: str
    folder: Path
    name: str
    frames: FrameRange
    scene_first: int
    colorspace: str
    shown: int = -1  # frames shown so far
    again_at: float = 0.0


@dataclass
class Drawing:
    """A shot that waits for its matte to be drawn."""

    key: str
    rasters: list[Raster]
    gathered: Gathered

    @property
    def words(self) -> str:
        """How far it is."""
        done, total = (sum(part) for part in zip(*(raster.progress for raster in self.rasters), strict=True))
        return f"drawing the matte: {done} of {total} frames"


@dataclass
class Desk:
    """The state of this Blender's shots."""

    memory: Memory = field(default_factory=Memory)
    plans: dict[str, Plan] = field(default_factory=dict)
    drawings: dict[str, Drawing] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)  # shot -> what went wrong last
    live: str = ""  # the shot whose preview follows the artist
    busy: set[str] = field(default_factory=set)  # shots that are being sent
    previews: dict[str, int] = field(default_factory=dict)  # shot -> how many previews have come
    _seen: dict[str, tuple[float, Gathered]] = field(default_factory=dict)
    _live_at: float = 0.0
    _previewed: tuple[str, int] = ("", 0)

    # ---- reading a shot

    def read(self, scene: Any, shot: Any, fresh: bool = False) -> Gathered:
        """The shot as it stands; panels get one that is at most a second old."""
        key = key_of(scene, shot)
        held = self._seen.get(key)
        if held is not None and not fresh and time.monotonic() - held[0] < BADGES_EVERY_S:
            return held[1]
        found = gather(scene, shot, bpy.context, self._version(shot), self.memory)
        self._seen[key] = (time.monotonic(), found)
        return found

    @staticmethod
    def _version(shot: Any) -> int:
        """The next version that is not there yet, whoever made those that are."""
        top = Path(bpy.path.abspath(shot.output_directory)) / shot.name
        there = results.next_version(top).name if top.is_dir() else "v001"
        return max(shot.version + 1, int(there[1:]))

    def is_stale(self, scene: Any, shot: Any) -> bool:
        """Whether the result was made of something else than what the shot is now."""
        found = self.read(scene, shot)
        return bool(shot.recipe_hash) and bool(found.hash) and found.hash != shot.recipe_hash

    # ---- sending it

    def relight(self, scene: Any, shot: Any) -> None:
        """Sends a shot; what must be drawn first is drawn by a child. Raises `InputError` with the first problem."""
        key = key_of(scene, shot)
        found = self.read(scene, shot, fresh=True)
        require(found)
        self.said.pop(key, None)
        if found.drawings:
            rasters = [Raster(order).start() for order in found.drawings]
            self.drawings[key] = Drawing(key, rasters, found)
        else:
            self._send(key, found)

    def _send(self, key: str, found: Gathered) -> None:
        assert found.recipe is not None and found.folder is not None and found.mapping is not None
        recipe, mapping = found.recipe, found.mapping
        self.busy.add(key)

        def accepted(view: Any, error: BaseException | None) -> None:
            self.busy.discard(key)
            if error is not None:
                self.said[key] = sentence(error)
                return
            self.plans[view.id] = Plan(
                key, found.folder, recipe.output_name, recipe.frames, mapping.scene(recipe.frames.first),
                blender_space(key, recipe),
            )  # fmt: skip
            self._remember(key, view.id, found)

        pump.session.submit(recipe, found.base, key, uuid.uuid4().hex, accepted)

    def _remember(self, key: str, job: str, found: Gathered) -> None:
        """Keeps in the .blend what a later Blender needs to find the job and its result again."""
        shot = shot_of(key)
        if shot is None:
            return
        shot.job, shot.version, shot.recipe_hash = job, found.version, found.hash
        shot.scene_offset = found.mapping.file_minus_scene if found.mapping is not None else 0

    def adopt(self) -> None:
        """Follows the jobs that the shots of this file were sent as, after a file was loaded or a server came back."""
        for scene in bpy.data.scenes:
            for shot in scene.platelight.shots:
                if shot.job:
                    pump.session.follow(shot.job, shot.name, key_of(scene, shot))

    # ---- the preview

    def preview(self, scene: Any, shot: Any, frame: int) -> None:
        """Shows a frame at reduced size. Raises `InputError` with the first problem."""
        key = key_of(scene, shot)
        found = self.read(scene, shot, fresh=True)
        require(found)
        assert found.recipe is not None and found.mapping is not None
        self._ask_preview(key, found.recipe, found.base, found.mapping.file(frame))

    def _ask_preview(self, key: str, recipe: Recipe, base: Path, number: int) -> None:
        def done(picture: Any, error: BaseException | None) -> None:
            if error is None:
                self.said.pop(key, None)
                show(key, picture)
                self.previews[key] = self.previews.get(key, 0) + 1
            elif getattr(error, "code", "") != "CANCELLED":
                self.said[key] = sentence(error)

        pump.session.preview(recipe, base, number, preview_width(), done)

    def turn(self) -> bool:
        """One turn of the pump: true where it wants to be turned again soon."""
        self._aim()
        self._finish_drawings()
        self._deliver()
        return self._follow_live() or bool(self.drawings or self.busy)

    def _aim(self) -> None:
        try:
            pump.session.aim(*aimed())
        except PlatelightError as error:
            pump.session.leave()
            pump.session.target = None
            pump.session.trouble = sentence(error)

    def _follow_live(self) -> bool:
        if not self.live:
            return False
        now = time.monotonic()
        if now < self._live_at:
            return True
        self._live_at = now + LIVE_EVERY_S
        scene, shot = scene_of(self.live), shot_of(self.live)
        if scene is None or shot is None:
            self.live = ""
            return False
        found = gather(scene, shot, bpy.context, self._version(shot), self.memory)
        if found.recipe is None or found.mapping is None or found.drawings:
            self.said[self.live] = found.problems[0].text if found.problems else "The matte is not drawn yet: relight."
            return True
        wish = (found.recipe.to_json(), scene.frame_current)
        if wish != self._previewed:
            self._previewed = wish
            number = min(
                max(found.mapping.file(scene.frame_current), found.recipe.frames.first), found.recipe.frames.last
            )
            self._ask_preview(self.live, found.recipe, found.base, number)
        return True

    def _finish_drawings(self) -> None:
        for key, drawing in list(self.drawings.items()):
            states = {raster.poll() for raster in drawing.rasters}
            if states <= {"done"}:
                del self.drawings[key]
                self._send(key, drawing.gathered)
            elif "failed" in states or "cancelled" in states:
                del self.drawings[key]
                self.said[key] = next(
                    (raster.text for raster in drawing.rasters if raster.text), "The matte was not drawn."
                )

    # ---- results

    def _deliver(self) -> None:
        """Shows frames as they land, at most once a second and never while Blender renders."""
        if bpy.app.is_job_running("RENDER"):
            return
        now = time.monotonic()
        for job, plan in list(self.plans.items()):
            view = pump.session.jobs.get(job)
            if view is None or not view.delivered or now < plan.again_at or len(view.delivered) == plan.shown:
                continue
            plan.again_at, plan.shown = now + RESULTS_EVERY_S, len(view.delivered)
            self.show_result(plan, view.delivered)
            return  # one a turn: each may read a frame from disk

    def show_result(self, plan: Plan, delivered: set[int]) -> None:
        """Brings the shot's node group up to date, as a step that can be undone."""
        try:
            group = results.update_group(
                plan.key,
                results.Delivery(
                    plan.folder, plan.name, plan.frames, plan.scene_first, FrameRange.of(delivered), plan.colorspace
                ),
            )
            scene = scene_of(plan.key)
            if scene is not None:
                results.add_to_compositor(scene, group)
        except PlatelightError as error:
            self.said[plan.key] = sentence(error)
            return
        windows = bpy.context.window_manager.windows
        if windows and not bpy.app.background:
            with bpy.context.temp_override(window=windows[0]):
                bpy.ops.ed.undo_push(message="Platelight result")

    def show_all(self) -> None:
        """Shows everything that has been delivered, at once; for scripts."""
        for job, plan in list(self.plans.items()):
            view = pump.session.jobs.get(job)
            if view is not None and view.delivered and len(view.delivered) != plan.shown:
                plan.shown = len(view.delivered)
                self.show_result(plan, view.delivered)

    def forget_preview(self) -> None:
        """The next preview is asked for whatever was shown before."""
        self._previewed = ("", 0)

    def forget_file(self) -> None:
        """Another file was loaded: nothing that was read of the last one counts."""
        self.memory.forget()
        self._seen.clear()
        self.plans.clear()
        self.drawings.clear()
        self.said.clear()
        self.live, self._previewed = "", ("", 0)


desk = Desk()


def key_of(scene: Any, shot: Any) -> str:
    """What a shot is known by."""
    return f"{scene.name_full}\n{shot.name}"


def scene_of(key: str) -> Any:
    """The scene of a shot, or None."""
    return bpy.data.scenes.get(key.partition("\n")[0])


def shot_of(key: str) -> Any:
    """A shot by its key, or None where it was renamed or removed."""
    scene = scene_of(key)
    name = key.partition("\n")[2]
    return next((shot for shot in scene.platelight.shots if shot.name == name), None) if scene is not None else None


def blender_space(key: str, recipe: Recipe) -> str:
    """Blender's name of the plate's colour space: the result is in the same."""
    shot = shot_of(key)
    if recipe.plate.colorspace != "auto" or shot is None:
        return recipe.plate.colorspace
    source = {"CLIP": shot.plate_clip, "IMAGE": shot.plate_image}.get(shot.plate_kind)
    if source is None:
        strip = next((one for one in compat.strips_of(scene_of(key)) if one.name == shot.plate_strip), None)
        return strip.colorspace_settings.name if strip is not None else "Linear Rec.709"
    return source.colorspace_settings.name


def require(found: Gathered) -> None:
    """Raises `InputError` with the first problem that keeps a shot from being sent."""
    stop = next((problem for problem in found.problems if problem.level == "stop"), None)
    if stop is not None:
        raise InputError(stop.text)
    if found.recipe is None:
        raise InputError("The shot cannot be read.")


def sentence(error: BaseException) -> str:
    """An error in one sentence for the panel; what nobody foresaw is named by its kind."""
    if isinstance(error, (PlatelightError, ConnectionError, OutputError)):
        return str(error)
    return f"{type(error).__name__}: {error}"


def chosen(context: Any) -> tuple[Any, Any]:
    """The scene and the shot that panels and operators mean. Raises `InputError`."""
    shot = active_shot(context.scene)
    if shot is None:
        raise InputError("There is no shot yet: add one.")
    return context.scene, shot


def job_of(shot: Any) -> JobStatus | None:
    """The status of the job that a shot was sent as last."""
    view = pump.session.jobs.get(shot.job) if shot.job else None
    return view.status if view is not None else None
