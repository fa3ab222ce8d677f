"""The light of the new scene and of the plate's place: HDRIs as probes of the recipe."""

from __future__ import annotations

from math import degrees, log2
from typing import Any

from .. import compat
from ..core import Probe
from . import files
from .findings import Findings
from .mapping import FrameMapping
from .pictures import colorspace, read_header
from .plates import folder_of
from .shading import BLENDER_TO_RECIPE_DEG, PlainWorld, surroundings

STOPS_MOST = 20.0


def world_probe(scene: Any, shot: Any, mapping: FrameMapping, shared_config: bool, findings: Findings) -> Probe | None:
    """The world's HDRI with its mapping and strength. None, with a note, for a world that is none. Raises Stopped."""
    world = scene.world
    tree = compat.surface_nodes(world) if world else None
    if tree is None:
        findings.note(
            "The world has no HDRI, so it does not light the shot: give it an Environment Texture.", "use_world"
        )
        return None
    held = surroundings(tree)
    if held is None:
        findings.note(
            f"The nodes of the world {world.name} are more than an Environment Texture turned about Z: it does not"
            " light the shot.",
            "use_world",
        )
        return None
    if isinstance(held, PlainWorld):
        findings.note(
            f"The world {world.name} is one colour, so it does not light the shot: give it an Environment Texture.",
            "use_world",
        )
        return None
    if held.image is None:
        raise findings.stop(f"The Environment Texture of the world {world.name} has no image: open one.", "use_world")
    if held.strength <= 0:
        return None
    _tell_animation(tree, world, findings)
    return _image_probe(
        held.image, held.node, mapping, held.rotation_deg + degrees(shot.world_rotation),
        shot.world_exposure + log2(held.strength), shared_config, findings,
    )  # fmt: skip


def hdri_probe(image: Any, shot: Any, mapping: FrameMapping, shared_config: bool, findings: Findings) -> Probe:
    """An HDRI that was chosen as background, as a world would show it. Raises Stopped."""
    return _image_probe(
        image, None, mapping, BLENDER_TO_RECIPE_DEG + degrees(shot.world_rotation),
        shot.world_exposure + shot.background_exposure, shared_config, findings,
    )  # fmt: skip


def plate_probe(shot: Any, findings: Findings) -> Probe | None:
    """The HDRI of the place where the plate was filmed, if one is named. Raises Stopped."""
    if not shot.probe_plate_path:
        return None
    path = files.absolute(shot.probe_plate_path, folder_of(shot.id_data), "plate's HDRI", findings, "probe_plate_path")
    sequence = files.pattern_or_still(path, "plate's HDRI", findings, "probe_plate_path")
    return Probe(str(sequence), rotation_deg=BLENDER_TO_RECIPE_DEG)


def _image_probe(
    image: Any, node: Any, mapping: FrameMapping, rotation_deg: float, stops: float, shared_config: bool,
    findings: Findings,
) -> Probe:  # fmt: skip
    what = f"HDRI {image.name}"
    if image.packed_file is not None or image.source not in {"FILE", "SEQUENCE"}:
        raise findings.stop(f"The {what} lies in the .blend and not on disk: unpack it, or open a file.", "use_world")
    path = files.absolute(image.filepath, folder_of(image), what, findings, "use_world")
    text = str(files.require_file(path, what, findings, "use_world"))
    if image.source == "SEQUENCE":
        first = files.numbered(path, what, findings, "use_world")
        user = node.image_user if node is not None else None
        own = FrameMapping.of_image_node(user.frame_start, user.frame_offset) if user else mapping
        if own != mapping:
            raise findings.stop(
                f"The {what} is a sequence with other frame numbers than the plate: number its files as the plate's.",
                "use_world",
            )
        text = str(first.sequence)
    space, said = colorspace(image.colorspace_settings.name, read_header(path), shared_config)
    if said:
        findings.note(f"The {what}: {said}.")
    turned = (rotation_deg + 180.0) % 360.0 - 180.0
    return Probe(text, space, min(max(stops, -STOPS_MOST), STOPS_MOST), turned)


def _tell_animation(tree: Any, world: Any, findings: Findings) -> None:
    held = tree.animation_data
    if held is not None and (held.action is not None or len(held.drivers) > 0):
        findings.note(f"The world {world.name} is animated; the whole shot gets its light of the current frame.")
