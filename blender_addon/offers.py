"""What this scene has for an input that is missing: each offer says in words what taking it would do.

Reads Blender and headers on disk, changes nothing; `operators.fixes` takes an offer, the panel draws it as a button.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from . import compat
from .desk import desk
from .gather.nodes import Opaque
from .gather.pictures import read_names
from .gather.shading import Surroundings, surroundings

INPUTS = ("plate", "matte", "background", "camera")


@dataclass(frozen=True)
class Offer:
    """One way out. `key` names it to a script, `label` is the button's, `values` are the shot's settings.

    `enough` says that it may be taken without a choice, where it is the only such one.
    """

    key: str
    label: str
    values: Mapping[str, Any] = field(default_factory=dict)
    enough: bool = True


FILE = "FILE"
SOLVE = "SOLVE_TAB"


def offers(name: str, scene: Any, shot: Any) -> list[Offer]:
    """What can be taken for one of `INPUTS`, the best first; what is set already is left out."""
    return [offer for offer in _OF[name](scene, shot) if not _is_set(shot, offer)]


def at_once(name: str, found: list[Offer]) -> Offer | None:
    """The offer that is taken without asking: the only one, or for a camera the best one."""
    enough = [offer for offer in found if offer.enough]
    return enough[0] if enough and (name == "camera" or len(enough) == 1) else None


def has_splines(mask: Any) -> bool:
    """Whether a mask has anything that is rendered."""
    layers = [layer for layer in mask.layers if not layer.hide_render]
    return any(len(spline.points) > 1 for layer in layers for spline in layer.splines)


def plate_file(scene: Any, shot: Any) -> Path | None:
    """The file that the shot's plate begins with, where one is named."""
    if shot.plate_kind == "STRIP":
        strip = next((one for one in compat.strips_of(scene) if one.name == shot.plate_strip), None)
        if strip is None or strip.type != "IMAGE":
            return None
        return Path(bpy.path.abspath(strip.directory, library=scene.library)) / strip.elements[0].filename
    block = shot.plate_clip if shot.plate_kind == "CLIP" else shot.plate_image
    return Path(bpy.path.abspath(block.filepath, library=block.library)) if block is not None else None


def _is_set(shot: Any, offer: Offer) -> bool:
    return bool(offer.values) and all(getattr(shot, name) == value for name, value in offer.values.items())


def _plates(scene: Any, shot: Any) -> Iterator[Offer]:
    for clip in bpy.data.movieclips:
        if clip.source == "SEQUENCE":
            yield Offer(f"CLIP:{clip.name}", f"Use Clip {clip.name}", {"plate_kind": "CLIP", "plate_clip": clip})
    for image in bpy.data.images:
        if image.source == "SEQUENCE":
            values = {"plate_kind": "IMAGE", "plate_image": image}
            yield Offer(f"IMAGE:{image.name}", f"Use Image {image.name}", values)
    for strip in compat.strips_of(scene):
        if strip.type == "IMAGE":
            values = {"plate_kind": "STRIP", "plate_strip": strip.name}
            yield Offer(f"STRIP:{strip.name}", f"Use Strip {strip.name}", values)
    yield Offer(FILE, "Open Plate...", enough=False)


def _mattes(scene: Any, shot: Any) -> Iterator[Offer]:
    for mask in bpy.data.masks:
        if has_splines(mask):
            yield Offer(f"MASK:{mask.name}", f"Use Mask {mask.name}", {"matte_kind": "MASK", "matte_mask": mask})
    channels, cryptomattes = _plate_names(scene, shot)
    if "A" in channels:
        yield Offer("ALPHA", "Use the Plate's Alpha", {"matte_kind": "PLATE_ALPHA"})
    for layer in cryptomattes:
        values = {"matte_kind": "CRYPTOMATTE", "matte_path": str(plate_file(scene, shot)), "matte_crypto_layer": layer}
        yield Offer(f"PLATE_CRYPTOMATTE:{layer}", f"Use the Plate's {layer}", values)
    tree = compat.compositor_tree(scene)
    for node in tree.nodes if tree else ():
        if node.bl_idname == "CompositorNodeCryptomatteV2" and node.source == "IMAGE" and node.image is not None:
            values = {"matte_kind": "CRYPTOMATTE", "matte_node": node.name}
            yield Offer(f"CRYPTOMATTE:{node.name}", f"Use Node {node.name}", values)
    yield Offer("KEY", "Key the Plate's Screen", {"matte_kind": "KEY"}, enough=False)
    yield Offer(FILE, "Open Matte...", enough=False)


def _plate_names(scene: Any, shot: Any) -> tuple[frozenset[str], tuple[str, ...]]:
    path = plate_file(scene, shot)
    if path is None:
        return frozenset(), ()
    return desk.memory.recall(("names in header", str(path)), lambda: read_names(path))


def _backgrounds(scene: Any, shot: Any) -> Iterator[Offer]:
    hdri = _world_hdri(scene.world)
    for clip in bpy.data.movieclips:
        if clip.source == "SEQUENCE" and clip != shot.plate_clip:
            values = {"background_kind": "CLIP", "background_clip": clip}
            yield Offer(f"CLIP:{clip.name}", f"Use Clip {clip.name}", values)
    for image in bpy.data.images:
        if image.source == "SEQUENCE" and image not in (shot.plate_image, hdri):
            values = {"background_kind": "SEQUENCE", "background_image": image}
            yield Offer(f"IMAGE:{image.name}", f"Use Image {image.name}", values)
    if hdri is not None:
        values = {"background_kind": "HDRI", "background_image": hdri}
        yield Offer("WORLD", f"Light by the World's HDRI {hdri.name}", values, enough=False)
    if shot.camera_kind in {"SOLVE", "OBJECT"}:
        yield Offer("VIEW", "Render This Scene Behind", {"background_kind": "CAMERA_VIEW"}, enough=False)
    if shot.background_kind == "STILL" and shot.camera_kind != "NONE":
        yield Offer("CARRY", "Move the Still with the Camera", {"background_move": "camera"}, enough=False)
    yield Offer("KEEP", "Keep the Plate's", {"background_kind": "KEEP"}, enough=False)
    yield Offer(FILE, "Open Background...", enough=False)


def _world_hdri(world: Any) -> Any:
    """The image that surrounds the scene, or None where the world is none or only a render can tell."""
    tree = compat.surface_nodes(world) if world is not None else None
    if tree is None:
        return None
    try:
        held = surroundings(tree, compat.working_primaries())
    except Opaque:
        return None
    return held.image if isinstance(held, Surroundings) else None


def _cameras(scene: Any, shot: Any) -> Iterator[Offer]:
    own = shot.plate_clip if shot.plate_kind == "CLIP" else shot.camera_clip
    for clip in sorted(bpy.data.movieclips, key=lambda one: one != own):
        solve = clip.tracking.reconstruction
        if solve.is_valid:
            values = {"camera_kind": "SOLVE", "camera_clip": None if clip == shot.plate_clip else clip}
            yield Offer(f"SOLVE:{clip.name}", f"Use Solve of {clip.name}, {solve.average_error:.2f} px", values)
    cameras = [one for one in scene.objects if one.type == "CAMERA" and one.data.type == "PERSP"]
    for camera in sorted(cameras, key=lambda one: one != scene.camera):
        values = {"camera_kind": "OBJECT", "camera_object": camera}
        yield Offer(f"OBJECT:{camera.name}", f"Use Camera {camera.name}", values, enough=camera == scene.camera)
    if own is not None:
        yield Offer(SOLVE, f"Solve {own.name}...")
    yield Offer("NONE", "No Camera", {"camera_kind": "NONE"}, enough=False)
    yield Offer(FILE, "Open Camera File...", enough=False)


_OF: Mapping[str, Callable[[Any, Any], Iterator[Offer]]] = {
    "plate": _plates,
    "matte": _mattes,
    "background": _backgrounds,
    "camera": _cameras,
}
