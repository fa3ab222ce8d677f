"""Jobs of this file's shots that this Blender has not sent itself: found again on the server, and their frames shown.

A job is a shot's by its id in the .blend, or because its result goes into a version folder of the shot. So a job is
found after the server was gone, after Blender was (even where the .blend was not saved behind it), and from another
Blender that has the same .blend open. The newest version counts; what is older than the shot's own is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import pump, results
from .core import FrameRange, JobStatus, Listed, PlatelightError
from .desk import Plan, blender_space, desk, key_of
from .gather.names import file_name
from .results.versions import version_of


class Adoption:
    """What has been looked through already."""

    def __init__(self) -> None:
        self._listed_for = 0  # the connection for which all jobs were asked

    def forget(self) -> None:
        """Another file was loaded: everything is looked through again."""
        self.__init__()

    def turn(self) -> bool:
        """Looks at what the server lists, where that is new, and has the frames of adopted jobs shown."""
        session = pump.session
        if not session.is_up:
            return False
        if self._listed_for != session.connections:
            self._listed_for = session.connections
            session.list_jobs((), self._take)
        if session.heard:
            heard, session.heard = session.heard, {}
            adopt(tuple(heard.values()))
        plan_adopted()
        return False

    def _take(self, listed: Listed | None, error: BaseException | None) -> None:
        if listed is not None:
            adopt(listed.jobs)


def adopt(jobs: tuple[JobStatus, ...]) -> None:
    """Follows those of the jobs that are a newer version of a shot of this file."""
    folders = [(status, folder) for status in jobs if (folder := local_folder(status.folder)) is not None]
    for scene, shot in _shots():
        top = result_folder(shot)
        mine = [(version_of(folder) or 0, status.created, status) for status, folder in folders if folder.parent == top]
        version, _, status = max(mine, key=lambda one: one[:2], default=(0, 0.0, None))
        if status is None or version <= shot.version or key_of(scene, shot) in desk.busy:
            continue
        shot.job, shot.version, shot.recipe_hash = status.job, version, ""
        mapping = desk.read(scene, shot).mapping
        shot.scene_offset = mapping.file_minus_scene if mapping is not None else 0
        pump.session.follow(status.job, shot.name, key_of(scene, shot))


def plan_adopted() -> None:
    """Has the desk show what the shots' jobs deliver, where it does not know of them yet."""
    for scene, shot in _shots():
        view = pump.session.jobs.get(shot.job) if shot.job and shot.job not in desk.plans else None
        if view is None or view.status is None:
            continue
        folder = local_folder(view.status.folder)
        if folder is None:
            continue
        key, frames = key_of(scene, shot), FrameRange.parse(view.status.frames)
        space = blender_space(key, desk.read(scene, shot).recipe)
        plan = Plan(key, folder, view.status.name, frames, frames.first - shot.scene_offset, space)
        if _is_shown(key, plan):
            plan.shown = len(frames)
        desk.plans[shot.job] = plan


def local_folder(place: str) -> Path | None:
    """Where this machine sees a place of the server's; None where it does not."""
    calls = pump.session.calls
    try:
        return calls.roots.path(place) if calls is not None and place else None
    except PlatelightError:
        return None


def result_folder(shot: Any) -> Path | None:
    """The folder with all versions of a shot's result; None in a .blend that was never saved."""
    text = shot.output_directory
    if text.startswith("//") and not bpy.data.filepath:
        return None
    return Path(os.path.normpath(bpy.path.abspath(text))) / file_name(shot.name)


def _is_shown(key: str, plan: Plan) -> bool:
    """Whether the .blend's own nodes show all of it already: then nothing is touched, not even a node put away."""
    group = results.find_group(key)
    if group is None:
        return False
    status = results.status_of(group)
    return not status.missing and status.title == f"{plan.name} {plan.folder.name}"


def _shots() -> Iterator[tuple[Any, Any]]:
    """The shots of this file's own scenes: those of linked ones cannot be written to."""
    for scene in bpy.data.scenes:
        if scene.library is None:
            for shot in scene.platelight.shots:
                yield scene, shot


adoption = Adoption()


@persistent
def _file_loaded(*_: object) -> None:
    adoption.forget()


def register() -> None:
    """Begins to look."""
    bpy.app.handlers.load_post.append(_file_loaded)
    pump.ticked.append(adoption.turn)


def unregister() -> None:
    """Ends it."""
    pump.ticked.remove(adoption.turn)
    bpy.app.handlers.load_post.remove(_file_loaded)
    adoption.forget()
