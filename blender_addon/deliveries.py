"""What jobs deliver, shown as nodes: as seldom as an artist would not notice, and never while Blender reads them.

Whatever is changed in a node tree has Blender composite anew, 4 s at 4K. So nodes follow soon where a frame that
somebody looks at has landed, and late where none has; what is said of the frames follows always.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import bpy

from . import pump, results
from .core import FrameRange, PlatelightError
from .keys import scene_of
from .session import JobView

RESULTS_EVERY_S, RESULTS_LATE_S = 1.0, 10.0  # where a frame that is looked at has landed; where none has
JOBS_OF_BLENDER = ("RENDER", "COMPOSITE")  # threads that read what a result's update writes


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
    late_at: float = 0.0
    seen: frozenset[int] = frozenset()  # which those are
    is_away: bool = False  # the artist has undone the nodes

    def delivery(self, delivered: set[int]) -> results.Delivery:
        """What is there of it, for the nodes."""
        return results.Delivery(
            self.folder, self.name, self.frames, self.scene_first, FrameRange.of(delivered), self.colorspace
        )

    def looks_at(self, numbers: set[int]) -> bool:
        """Whether a scene of this Blender stands on one of these files."""
        return any(one.frame_current - self.scene_first + self.frames.first in numbers for one in bpy.data.scenes)


@dataclass
class Deliveries:
    """The results that are under way, by job."""

    plans: dict[str, Plan] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)  # shot -> what went wrong last

    def deliver(self) -> None:
        """Shows frames as they land, never while Blender renders or composites.

        Whatever is changed has Blender composite anew, so it is soon only where a frame that is looked at has landed.
        """
        if any(bpy.app.is_job_running(kind) for kind in JOBS_OF_BLENDER):
            return
        now, told = time.monotonic(), set()
        for job, plan in reversed(list(self.plans.items())):
            view = pump.session.jobs.get(job)
            if plan.key not in told and view is not None and self._is_new(plan, view, now):
                plan.again_at = now + RESULTS_EVERY_S
                if plan.shown < 0 or view.ended or now >= plan.late_at or plan.looks_at(view.delivered - plan.seen):
                    plan.late_at = now + RESULTS_LATE_S
                    self.show_result(plan, view.delivered)
                else:
                    results.say_landed(plan.key, plan.delivery(view.delivered))
            if plan.shown >= 0 or plan.is_away:
                told.add(plan.key)  # what an older job of the shot still delivers is not shown in place of this

    @staticmethod
    def _is_new(plan: Plan, view: JobView, now: float) -> bool:
        return not plan.is_away and now >= plan.again_at and len(view.delivered) not in (0, plan.shown)

    def show_result(self, plan: Plan, delivered: set[int]) -> None:
        """Brings the shot's node group up to date; the first time is a step that can be undone."""
        plan.shown, plan.seen = len(delivered), frozenset(delivered)
        fresh = results.find_group(plan.key) is None
        try:
            group = results.update_group(plan.key, plan.delivery(delivered))
            scene = scene_of(plan.key)
            if scene is not None:
                results.add_to_compositor(scene, group)
        except PlatelightError as error:
            self.said[plan.key] = str(error)
            return
        windows = bpy.context.window_manager.windows
        if fresh and windows and not bpy.app.background:
            with bpy.context.temp_override(window=windows[0]):
                bpy.ops.ed.undo_push(message="Platelight result")

    def show_all(self) -> None:
        """Shows everything that has been delivered, at once; for scripts."""
        for job, plan in list(self.plans.items()):
            view = pump.session.jobs.get(job)
            if view is not None and view.delivered and len(view.delivered) != plan.shown:
                self.show_result(plan, view.delivered)

    def after_undo(self) -> None:
        """After an undo or a redo: results are brought up to date, but nodes that were undone themselves stay away."""
        for plan in self.plans.values():
            if plan.shown >= 0 or plan.is_away:
                plan.is_away = results.find_group(plan.key) is None
                plan.shown, plan.again_at = -1, 0.0
