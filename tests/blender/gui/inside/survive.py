"""What an artist does to a Blender while a job runs: nothing is lost, nothing crashes.

Each function is one life of a Blender; `options["life"]` names it. The runner starts the second Blender of `two`, stops
and starts the server when it is wished for, and looks at what is left when a Blender has quit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .drive import Drive, Steps
from .shot import MODULE, make, part, switch_on

SLOW = {"sleep_seconds": 1.0}  # of the tests' own engine, so that a job is still running


def steps(drive: Drive) -> Steps:
    """The life that is asked for."""
    yield from LIVES[drive.options["life"]](drive)


def two(drive: Drive) -> Steps:
    """Two Blenders on one server: each has its own shot, and each shows its own frames."""
    shot = yield from begin(drive)
    job = yield from relight(drive, shot)
    meet = drive.folder / ".." / "met"
    (meet / drive.options["name"]).touch()
    yield from drive.wait("the other Blender has sent, too", lambda: len(list(meet.iterdir())) == 2)
    yield from drive.wait("both jobs are in the queue that is shown", lambda: len(part("pump").session.queue) == 2, 20)
    yield from finished(drive, job)
    shown = [node for group in groups() for node in group.nodes if node.bl_idname == "CompositorNodeImage"]
    folders = {node.image.filepath for node in shown}
    drive.holds("its nodes show its own frames", folders and all(shot.name in one for one in folders), folders)
    drive.report["job"] = job


def quits(drive: Drive) -> Steps:
    """Blender quits while its job runs; the runner looks whether that goes on."""
    shot = yield from begin(drive)
    drive.report["job"] = yield from relight(drive, shot)
    yield from drive.wait("a frame has landed", lambda: groups())
    bpy.ops.platelight.live()
    yield 0.3  # and a preview is under way


def files(drive: Drive) -> Steps:
    """Another file and a new file during a job; then the first again, which finds its job."""
    shot = yield from begin(drive)
    path, pump = bpy.data.filepath, part("pump")
    job = yield from relight(drive, shot)
    yield from drive.wait("a frame has landed", lambda: groups())
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_homefile(app_template="")
    yield 1.0
    drive.holds("a new file knows of no shot", not bpy.context.scene.platelight.shots and not part("desk").desk.plans)
    bpy.ops.platelight.add_shot(name="other")
    yield 1.0
    bpy.ops.wm.open_mainfile(filepath=path)
    yield from drive.wait("the job is followed again", lambda: job in pump.session.jobs)
    yield from finished(drive, job)


def scenes(drive: Drive) -> Steps:
    """Two scenes with a shot each; the result of either is in its own compositor, and a linked tree is refused."""
    yield from begin(drive)
    first = bpy.context.scene
    bpy.ops.scene.new(type="NEW")
    second = bpy.context.window.scene if bpy.context.window else bpy.data.scenes[-1]
    drive.holds("there are two scenes", second != first and len(bpy.data.scenes) == 2)
    window = bpy.context.window_manager.windows[0]
    window.scene = second
    yield 0.5
    other = second.platelight.shots.add()
    copy_settings(first.platelight.shots[0], other, "sh020")
    second.frame_start, second.frame_end = 1, 12
    with bpy.context.temp_override(window=window, scene=second):
        second_job = yield from relight(drive, other)
    window.scene = first
    yield 0.5
    first_job = yield from relight(drive, first.platelight.shots[0])
    yield from finished(drive, first_job)
    yield from finished(drive, second_job)
    for scene, name in ((first, "sh010"), (second, "sh020")):
        names = {node.node_tree.name for node in nodes(scene) if node.bl_idname == "CompositorNodeGroup"}
        drive.holds(f"{scene.name} shows {name} alone", names == {f"Platelight {name}"}, names)


def linked(drive: Drive) -> Steps:
    """A result's nodes linked from a library are not written to, and it is said in a sentence."""
    shot = yield from begin(drive)
    job = yield from relight(drive, shot)
    yield from finished(drive, job)
    library = Path(bpy.data.filepath).with_name("library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=str(library), copy=True)
    group = groups()[0]
    for node in [one for one in nodes(bpy.context.scene) if one.bl_idname == "CompositorNodeGroup"]:
        node.id_data.nodes.remove(node)
    bpy.data.node_groups.remove(group)
    with bpy.data.libraries.load(str(library), link=True) as (there, here):
        here.node_groups = [name for name in there.node_groups if name.startswith("Platelight ")]
    desk = part("desk").desk
    drive.holds("the group is a library's", [one.library is not None for one in groups()] == [True])
    yield from relight(drive, shot)
    yield from drive.wait("it is said that it cannot be changed here", lambda: "linked" in " ".join(desk.said.values()))


def undo(drive: Drive) -> Steps:
    """Undo and redo before, while and after frames land."""
    shot = yield from begin(drive)
    job = yield from relight(drive, shot)
    yield from drive.wait("a frame has landed", lambda: groups())
    window = bpy.context.window_manager.windows[0]
    bpy.data.objects["Light"].location.x += 1
    with bpy.context.temp_override(window=window):
        bpy.ops.ed.undo_push(message="a move")
        yield 1.5
        bpy.ops.ed.undo()
    yield 0.5
    drive.holds("undo of a move leaves the nodes", groups())
    with bpy.context.temp_override(window=window):
        bpy.ops.ed.undo()
    yield 1.5
    drive.holds("undo of the nodes leaves them away", not groups(), [one.name for one in groups()])
    with bpy.context.temp_override(window=window):
        bpy.ops.ed.redo()
    yield from drive.wait("redo brings them back", lambda: groups())
    yield from finished(drive, job)
    bpy.ops.platelight.relight()
    with bpy.context.temp_override(window=window):
        bpy.ops.ed.undo()
        yield 0.5
        bpy.ops.ed.redo()
    jobs = part("pump").session.jobs
    yield from drive.wait("a second version after an undo", lambda: [one.ended for one in jobs.values()] == [True] * 2)


def restart(drive: Drive) -> Steps:
    """The server goes and comes, during a job and while live: the job goes on, the preview follows again."""
    shot = yield from begin(drive)
    pump, desk = part("pump"), part("desk").desk
    job = yield from relight(drive, shot)
    yield from drive.wait("a frame has landed", lambda: groups())
    bpy.ops.platelight.live()
    key = desk.live
    yield from drive.wait("the first preview", lambda: desk.previews.get(key))
    yield from drive.ask("kill the server")
    count = desk.previews[key]
    shot.background_exposure += 0.5
    yield from drive.wait("it is seen that the server is gone", lambda: not pump.session.is_up, 30)
    yield from drive.ask("start the server")
    yield from drive.wait("the server is found again", lambda: pump.session.is_up, 60)
    yield from drive.wait("what was moved meanwhile is previewed", lambda: desk.previews[key] > count, 60)
    count = desk.previews[key]
    shot.background_exposure += 0.5
    yield from drive.wait("the preview follows again", lambda: desk.previews[key] > count, 60)
    yield from finished(drive, job)


def without(drive: Drive) -> Steps:
    """The extension is switched off during a job, then uninstalled; the .blend still composites."""
    shot = yield from begin(drive)
    job = yield from relight(drive, shot)
    yield from finished(drive, job)
    bpy.ops.platelight.connect()
    yield from relight(drive, shot)
    bpy.ops.preferences.addon_disable(module=MODULE)
    drive.holds("nothing of it is left", not hasattr(bpy.types.Scene, "platelight"))
    yield 1.0
    bpy.ops.wm.save_mainfile()
    bpy.ops.extensions.package_uninstall(repo_index=repository(), pkg_id="platelight")
    yield from drive.wait("it is uninstalled", lambda: not Path(drive.options["installed"]).exists(), 30)
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    yield 0.5
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 480, 270, 100
    scene.render.filepath = str(drive.folder / "composited.png")
    scene.frame_set(3)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    drive.holds("the .blend composites without it", max(image.pixels[:]) > 0.1 and tuple(image.size) == (480, 270))


def begin(drive: Drive) -> Steps:
    """The extension on, a shot made, the server there. Returns the shot."""
    switch_on()
    drive.says = part("desk").desk.said.values
    name = drive.options.get("name", "sh010")
    shot = make(Path(drive.options["shot"]), drive.folder / "work" / f"{name}.blend", 12, name=name)
    shot.engine = "test_wavy"
    for key, value in SLOW.items():
        shot.engine_options[key] = value
    yield from drive.wait("connected", lambda: part("pump").session.is_up)
    return shot


def relight(drive: Drive, shot: Any) -> Steps:
    """Sends the shot; returns the job's id."""
    before = shot.job
    bpy.ops.platelight.relight()
    yield from drive.wait("the shot is sent", lambda: shot.job not in ("", before))
    return shot.job


def finished(drive: Drive, job: str) -> Steps:
    """Waits for the job's end, and for all of its frames in the nodes."""
    session, desk = part("pump").session, part("desk").desk
    yield from drive.wait("the job ends", lambda: session.jobs[job].ended, 120)
    drive.holds("it is done", session.jobs[job].status.state == "done", session.jobs[job].status)
    yield from drive.wait("all frames are shown", lambda: desk.plans[job].shown == 12)


def groups() -> list[Any]:
    """The result groups of this file."""
    return [group for group in bpy.data.node_groups if group.name.startswith("Platelight ")]


def nodes(scene: Any) -> Any:
    """The nodes of a scene's compositor."""
    tree = part("compat").resting_compositor_tree(scene)
    return tree.nodes if tree is not None else ()


def copy_settings(source: Any, target: Any, name: str) -> None:
    """What a shot is set to, for another shot."""
    target.name = name
    for key in ("plate_kind", "plate_clip", "matte_kind", "matte_path", "background_kind", "background_image",
                "use_world", "use_lights", "engine"):  # fmt: skip
        setattr(target, key, getattr(source, key))
    for key in source.engine_options.keys():  # noqa: SIM118  (iterating gives properties, not names)
        target.engine_options[key] = source.engine_options[key]


def repository() -> int:
    """The number of the repository that extensions are installed into."""
    names = [one.module for one in bpy.context.preferences.extensions.repos]
    return names.index("user_default")


LIVES = {one.__name__: one for one in (two, quits, files, scenes, linked, undo, restart, without)}
