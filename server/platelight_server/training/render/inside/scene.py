"""Builds the scene a job file asks for and renders its frames as light bases; see `..spec` for what the job says.

Three view layers see the same scene: `fg` has the set only as what light bounces off, `set` has the foreground only as
what casts shadows and bounces light, `clean` has no foreground. Every lamp and the world is a light group of its own,
and light transport is linear, so any lighting of these lamps is a sum of the groups (Debevec et al., "Acquiring the
Reflectance Field of a Human Face", SIGGRAPH 2000). Frames are written under another name first: one that is there is
whole, and is not rendered again.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import bpy

from . import figures, lamps, motions, passes, stage, tracks

SAID = "platelight:"  # what we print begins so; Blender prints too


def render(job_file: str) -> None:
    """Renders what is missing of a job. Prints a line of JSON, after `platelight:`, per frame."""
    job: dict[str, Any] = json.loads(Path(job_file).read_text("utf-8"))
    folder = Path(job["folder"])
    scene = _empty_scene(job)
    figure = figures.make(job["figure"], job["seed"])
    motions.animate(figure.rig, job["motion"], job["first"], job["frames"])
    if job["set"] == "ground":
        stage.make(job["seed"])
    camera = stage.camera(job["figure"], job["camera"], job["first"], job["frames"])
    lamps.make(job["lamps"], job["weights"])
    layers = passes.view_layers(scene, [lamp["name"] for lamp in job["lamps"]], job["samples"])
    _say(blender=bpy.app.version_string)
    if job["weights"] is None and not (folder / "probe.exr").exists():
        passes.render_probe(scene, layers, folder, job["center"], job["probe_samples"])
    passes.use_camera(scene, camera, job["width"], job["height"])
    names, frames = [lamp["name"] for lamp in job["lamps"]], range(job["first"], job["first"] + job["frames"])
    if "clean" in layers:
        # A locked camera sees the same empty set on all frames.
        for frame in frames if job["camera"] == "push" else frames[:1]:
            _frame(scene, ["clean"], names, job, frame)
    for frame in frames:
        _frame(scene, [name for name in layers if name != "clean"], names, job, frame)
    if job["weights"] is None:
        _write_json(folder / "cameras.json", tracks.cameras(scene, camera, job))
        _write_json(folder / "tracks.json", tracks.points(scene, camera, job))
    _say(done=True)


def _frame(scene: Any, layers: list[str], lamps: list[str], job: dict[str, Any], frame: int) -> None:
    folder, wanted = Path(job["folder"]), ["clean"] if layers == ["clean"] else ["light", "data"]
    targets = {name: folder / f"{name}.{frame:04d}.exr" for name in wanted}
    begun = time.time()
    if not all(target.exists() for target in targets.values()):
        scene.frame_set(frame)
        # A frame's noise depends on the job's seed and its number alone, so a resumed render is the unbroken one.
        scene.cycles.seed = (job["seed"] * 7919 + frame) % (1 << 31)
        outputs = passes.Outputs(scene, layers, lamps, job["denoise"])
        for name, written in outputs.render(folder / ".rendering").items():
            written.replace(targets[name])
    _say(frame=frame, what=wanted[0], seconds=round(time.time() - begun, 2))


def _empty_scene(job: dict[str, Any]) -> Any:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.threads_mode, scene.render.threads = "FIXED", job["threads"]
    scene.render.fps = 24
    scene.frame_start, scene.frame_end = job["first"], job["first"] + job["frames"] - 1
    scene.render.film_transparent = True
    # Kept geometry is refitted, not built anew: a frame's last bits would depend on the frames before it.
    scene.render.use_persistent_data = False
    cycles = scene.cycles
    cycles.device = "CPU"
    # What is not linear in the light, or looks at its level, is off.
    cycles.use_adaptive_sampling = cycles.use_denoising = cycles.use_light_tree = False
    cycles.sample_clamp_direct = cycles.sample_clamp_indirect = cycles.light_sampling_threshold = 0.0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 4, 3, 2
    for name in ("foreground", "set"):
        scene.collection.children.link(bpy.data.collections.new(name))
    return scene


def _write_json(path: Path, content: object) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content), "utf-8")
    temporary.replace(path)


def _say(**values: object) -> None:
    print(SAID + json.dumps(values), flush=True)
