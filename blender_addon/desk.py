"""What happens to the shots of this file: gathered, drawn, sent, previewed, delivered. Everything on the main thread.

It holds names, never references into Blender: undo and loading a file would leave those pointing at freed memory. A
shot is known by its scene's name and its own.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from . import pump, results
from .core import InputError, JobStatus, OutputError, PlatelightError, Recipe
from .deliveries import Deliveries, Plan
from .gather import Gathered, Memory, Raster, SceneWatch, gather
from .gather.names import file_name
from .keys import blender_space, key_of, scene_of, shot_of
from .preferences import aimed, preview_width
from .preview_image import show
from .settings import active_shot

LIVE_ANYWAY_S = 1.0  # so often the shot is read though Blender tells of no change: files may have changed
BADGES_EVERY_S, BADGES_CALM_S = 1.0, 5.0  # the second where Blender tells of no change
WATCH_S = 0.002  # of a turn goes into what a view's scene looks like
NOTHING_YET = Gathered(None, Path(), (), ())
MADE = {"mask": "matte", "socket": "matte", "view": "view", "world": "world's light"}


@dataclass
class Drawing:
    """A shot that waits for its matte, its view or its world to be made; then it is sent, or not."""

    key: str
    rasters: list[Raster]
    gathered: Gathered
    looks: str = ""  # of the scene and world that are rendered
    is_sent: bool = True

    @property
    def words(self) -> str:
        """How far it is."""
        done, total = (sum(part) for part in zip(*(raster.progress for raster in self.rasters), strict=True))
        kinds = {MADE[raster.order.kind]: None for raster in self.rasters}
        return f"making the {' and the '.join(kinds)}: {done} of {total} frames"


@dataclass
class Desk(Deliveries):
    """The state of this Blender's shots."""

    memory: Memory = field(default_factory=Memory)
    watch: SceneWatch = field(default_factory=SceneWatch)
    drawings: dict[str, Drawing] = field(default_factory=dict)
    live: str = ""  # the shot whose preview follows the artist
    is_reading: bool = False  # a shot: what Blender tells of changes then is our own doing
    busy: set[str] = field(default_factory=set)  # shots that are being sent
    previews: dict[str, int] = field(default_factory=dict)  # shot -> how many previews have come
    _wanted: set[str] = field(default_factory=set)  # by panels
    _seen: dict[str, tuple[float, Gathered]] = field(default_factory=dict)
    _stale: dict[str, bool] = field(default_factory=dict)  # as told last, while a view is looked at
    _changed_at: float = 0.0
    _live_at: float = 0.0
    _previewed: tuple[Recipe | None, int] = (None, 0)

    # ---- reading a shot

    def shown(self, scene: Any, shot: Any) -> Gathered:
        """The shot as it was read last, for panels; the next turn reads it where that is a second ago, or five where
        nothing has changed. A panel may not read it: what moves is put into a scene of its own for a moment."""
        key = key_of(scene, shot)
        at, found = self._seen.get(key, (0.0, NOTHING_YET))
        patience = BADGES_CALM_S if at > self._changed_at else BADGES_EVERY_S
        if found is NOTHING_YET or time.monotonic() - at >= patience:
            self._wanted.add(key)
        return found

    def read(self, scene: Any, shot: Any) -> Gathered:
        """The shot as it stands."""
        key = key_of(scene, shot)
        held = self._seen.get(key)
        if bpy.context.view_layer is not None:
            bpy.context.view_layer.update()  # has Blender tell what has changed, before it is not listened to
        self.is_reading = True
        try:
            found = gather(scene, shot, bpy.context, self._version(shot), self.memory)
        finally:
            self.is_reading = False
        if held is not None and found == held[1]:
            found = held[1]  # its hash is known
        else:
            pump.session.changed = True  # panels have something new to show
        self._seen[key] = (time.monotonic(), found)
        return found

    def changed(self) -> None:
        """Something in Blender is not what it was: what was read counts no longer, and a live preview follows."""
        self._changed_at, self._live_at = time.monotonic(), 0.0

    @staticmethod
    def _version(shot: Any) -> int:
        """The next version that is not there yet, whoever made those that are."""
        top = Path(bpy.path.abspath(shot.output_directory)) / file_name(shot.name)
        there = results.next_version(top).name if top.is_dir() else "v001"
        return max(shot.version + 1, int(there[1:]))

    def is_stale(self, scene: Any, shot: Any) -> bool:
        """Whether the result was made of something else than what the shot is now; as last, while that is found out."""
        found, key = self.shown(scene, shot), key_of(scene, shot)
        looks = [self.watch.look(one) for one in found.watched] if shot.recipe_hash and found.hash else []
        if all(looks):
            now = _made_of(found, "".join(looks))
            self._stale[key] = bool(shot.recipe_hash) and bool(now) and now != shot.recipe_hash
        return self._stale.get(key, False)

    # ---- sending it

    def relight(self, scene: Any, shot: Any) -> None:
        """Sends a shot; what must be drawn first is drawn by a child. Raises `InputError` with the first problem."""
        key = key_of(scene, shot)
        found = self.read(scene, shot)
        require(found)
        self.said.pop(key, None)
        if found.drawings:
            self._draw(key, found, "".join(self.watch.look_now(one) for one in found.watched))
        else:
            self._send(key, found)

    def render_anew(self, scene: Any, shot: Any) -> None:
        """Has the child render a shot's view and world whatever is there. Raises `InputError`."""
        key = key_of(scene, shot)
        found = self.read(scene, shot)
        require(found)
        for order in found.drawings:
            order.forget()
        self._draw(key, found, "", is_sent=False)

    def _draw(self, key: str, found: Gathered, looks: str, is_sent: bool = True) -> None:
        self.cancel_drawing(key)
        self.said.pop(key, None)
        self.drawings[key] = Drawing(key, [Raster(order).start() for order in found.drawings], found, looks, is_sent)

    def cancel_drawing(self, key: str) -> None:
        """Ends what a child makes for a shot; frames that are there stay, and nothing is sent."""
        drawing = self.drawings.pop(key, None)
        for raster in drawing.rasters if drawing is not None else ():
            raster.cancel()

    def _send(self, key: str, found: Gathered, looks: str = "") -> None:
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
            self._remember(key, view.id, found, looks)

        # The hash of a thousand frames takes 20 ms for each lamp that moves.
        pump.session.submit(recipe, found.base, key, uuid.uuid4().hex, accepted, first=lambda: found.hash)

    def _remember(self, key: str, job: str, found: Gathered, looks: str) -> None:
        """Keeps in the .blend what a later Blender needs to find the job and its result again."""
        shot = shot_of(key)
        if shot is None:
            return
        shot.job, shot.version, shot.recipe_hash = job, found.version, _made_of(found, looks)
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
        found = self.read(scene, shot)
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
        self.deliver()
        self.read_wanted()
        looks_on = self.watch.go_on(WATCH_S)
        return self._follow_live() or bool(self.busy) or looks_on

    def _aim(self) -> None:
        try:
            pump.session.aim(*aimed())
        except PlatelightError as error:
            pump.session.leave()
            pump.session.target = None
            pump.session.trouble = sentence(error)

    def read_wanted(self) -> None:
        """Reads what panels have asked for."""
        wanted, self._wanted = self._wanted, set()
        for key in wanted:
            scene, shot = scene_of(key), shot_of(key)
            if scene is not None and shot is not None:
                for one in self.read(scene, shot).watched:
                    self.watch.look(one)  # so that it is known when the shot is sent

    def _follow_live(self) -> bool:
        """Asks for the shot as it is now, once the last preview has come and where something has changed."""
        if not self.live:
            return False
        now = time.monotonic()
        if pump.session.is_previewing or now < self._live_at:
            return True
        self._live_at = now + LIVE_ANYWAY_S
        scene, shot = scene_of(self.live), shot_of(self.live)
        if scene is None or shot is None:
            self.live = ""
            return False
        found = self.read(scene, shot)
        lacking = {MADE[order.kind] for order in found.drawings if order.missing}
        if found.recipe is None or found.mapping is None or lacking:
            waits = f"The {' and the '.join(sorted(lacking))} are not made yet: relight, or render them."
            self.said[self.live] = waits if found.recipe is not None else found.problems[0].text
            return True
        frames = found.recipe.frames
        number = min(max(found.mapping.file(scene.frame_current), frames.first), frames.last)
        if (found.recipe, number) != self._previewed:
            self._previewed = (found.recipe, number)
            self._ask_preview(self.live, found.recipe, found.base, number)
        return True

    def _finish_drawings(self) -> None:
        pump.session.changed |= bool(self.drawings)
        for key, drawing in list(self.drawings.items()):
            states = {raster.poll() for raster in drawing.rasters}
            if states <= {"done"}:
                del self.drawings[key]
                if drawing.is_sent:
                    self._send(key, drawing.gathered, drawing.looks)
            elif "failed" in states or "cancelled" in states:
                del self.drawings[key]
                self.said[key] = next(
                    (raster.text for raster in drawing.rasters if raster.text), "The matte was not drawn."
                )

    def forget_preview(self) -> None:
        """The next preview is asked for whatever was shown before."""
        self._previewed, self._live_at = (None, 0), 0.0

    def forget_file(self) -> None:
        """Another file was loaded: nothing that was read of the last one counts."""
        self.memory.forget()
        self.watch.forget()
        self._seen.clear()
        self._wanted.clear()
        self._stale.clear()
        self.plans.clear()
        self.drawings.clear()
        self.said.clear()
        self.live, self._previewed = "", (None, 0)


desk = Desk()


def _made_of(found: Gathered, looks: str) -> str:
    """What a result is made of as a hash: the shot, and what is rendered for it looks like; "" without a recipe."""
    return hashlib.sha256((found.hash + looks).encode()).hexdigest() if found.hash and looks else found.hash


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
