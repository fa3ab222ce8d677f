"""The light of the new scene and of the plate's place as probes of the recipe: HDRIs, plain colours, rendered worlds.

A world's animation and drivers are evaluated on every frame of the shot. What only a render can tell (a sky, a
gradient, a picture that is mixed, bent or packed) is rendered by a child Blender, see `render_worker`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import degrees, log2
from typing import Any

from .. import compat
from ..core import FrameRange, Probe
from . import files, timeline
from .findings import Findings
from .mapping import FrameMapping
from .mattes import Asked
from .names import file_name
from .nodes import Opaque
from .pictures import colorspace, read_header
from .plates import folder_of
from .raster import KEY_LENGTH, RasterOrder
from .scene_digest import digest
from .shading import BLENDER_TO_RECIPE_DEG, PlainWorld, Surroundings, surroundings
from .space import rec709

STOPS_MOST = 20.0
RENDERED_SIZE_PX = (512, 256)
# What Blender's own startup file has. It says nothing about a shot, and as light it would be in place of what the
# background shows.
STARTUP_GREY, STARTUP_NEAR = 0.0508761, 1e-5


@dataclass(frozen=True)
class _Shown:
    """A world on one frame: an HDRI's strength and turn (degrees, the recipe's), or a colour in Rec.709."""

    strength: float = 1.0
    rotation_deg: float = 0.0
    color: tuple[float, float, float] | None = None


def world_probe(asked: Asked, shared_config: bool) -> tuple[Probe | None, RasterOrder | None]:
    """The world as a probe, and what has to be rendered for it. No probe, with a note, for a world that has no light.

    Raises Stopped.
    """
    world, findings = asked.scene.world, asked.findings
    if world is None:
        findings.note(f"The scene {asked.scene.name} has no world, so only its lights light the shot.", "use_world")
        return None, None
    try:
        held = _held(world)
        shown = _over_frames(asked, world)
    except Opaque:
        return _rendered(asked, world)
    if isinstance(held, PlainWorld):
        return _plain_probe(asked, world, shown), None
    if held.image is None:
        raise findings.stop(f"The Environment Texture of the world {world.name} has no image: open one.", "use_world")
    if held.image.packed_file is not None or held.image.source not in {"FILE", "SEQUENCE"}:
        return _rendered(asked, world)
    if all(one.strength <= 0 for one in shown):
        return None, None
    return _image_probe(asked, held.image, held.node, shown, shared_config), None


def hdri_probe(asked: Asked, shared_config: bool) -> Probe:
    """An HDRI that was chosen as background, as a world would show it. Raises Stopped."""
    image, shot, findings = asked.shot.background_image, asked.shot, asked.findings
    if image is None:
        raise findings.stop("The background is an HDRI, and none is chosen: open one.", "background_image")
    if image.packed_file is not None or image.source not in {"FILE", "SEQUENCE"}:
        raise findings.stop(
            f"The HDRI {image.name} lies in the .blend and not on disk: unpack it, or open a file.", "background_image"
        )
    shown = _Shown(2.0**shot.background_exposure, BLENDER_TO_RECIPE_DEG)
    return _image_probe(asked, image, None, [shown] * len(asked.frames), shared_config)


def plate_probe(shot: Any, findings: Findings) -> Probe | None:
    """The HDRI of the place where the plate was filmed, if one is named. Raises Stopped."""
    if not shot.probe_plate_path:
        return None
    path = files.absolute(shot.probe_plate_path, folder_of(shot.id_data), "plate's HDRI", findings, "probe_plate_path")
    sequence = files.pattern_or_still(path, "plate's HDRI", findings, "probe_plate_path")
    return Probe(str(sequence), rotation_deg=BLENDER_TO_RECIPE_DEG)


def _held(world: Any) -> Surroundings | PlainWorld:
    """What a world's nodes amount to; before 5.0 a world may be without. Raises Opaque."""
    tree = compat.surface_nodes(world)
    return PlainWorld(tuple(world.color)) if tree is None else surroundings(tree, compat.working_primaries())


def _over_frames(asked: Asked, world: Any) -> Sequence[_Shown]:
    """The world on every frame of the shot. Raises Opaque where it has no numbers on one of them."""
    if timeline.is_still(world):
        return [_shown(world)] * len(asked.frames)
    scene_frames = [asked.plate.mapping.scene(number) for number in asked.frames]
    key = ("world", asked.scene.name, world.name, tuple(scene_frames))
    seen = asked.memory.recall(key, lambda: timeline.over_frames(asked.scene, [world], scene_frames, _shown_or_none))
    if any(one is None for one in seen):
        raise Opaque(world.name)
    return [one for one in seen if one is not None]


def _shown_or_none(evaluated: list[Any]) -> _Shown | None:
    try:
        return _shown(evaluated[0])
    except Opaque:
        return None


def _shown(world: Any) -> _Shown:
    held = _held(world)
    if isinstance(held, PlainWorld):
        red, green, blue = rec709(held.color, compat.working_primaries())
        return _Shown(color=(max(red, 0.0), max(green, 0.0), max(blue, 0.0)))
    return _Shown(held.strength, held.rotation_deg)


def _plain_probe(asked: Asked, world: Any, shown: Sequence[_Shown]) -> Probe | None:
    colors = [one.color for one in shown if one.color is not None]
    if not any(any(one) for one in colors):
        return None
    if all(abs(value - STARTUP_GREY) < STARTUP_NEAR for one in colors for value in one):
        asked.findings.note(
            f"The world {world.name} is the grey that Blender starts with, so it does not light the shot: give it a"
            " color, or an Environment Texture.",
            "use_world",
        )
        return None
    return Probe(
        color=colors[0], exposure_stops=asked.shot.world_exposure, colors=_by_frame(asked.frames, colors)
    )  # fmt: skip


def _image_probe(asked: Asked, image: Any, node: Any, shown: Sequence[_Shown], shared_config: bool) -> Probe:
    shot, findings, what = asked.shot, asked.findings, f"HDRI {image.name}"
    path = files.absolute(image.filepath, folder_of(image), what, findings, "use_world")
    text = str(files.require_file(path, what, findings, "use_world"))
    if image.source == "SEQUENCE":
        text = _sequence(asked, path, what, node)
    space, said = colorspace(image.colorspace_settings.name, read_header(path), shared_config)
    if said:
        findings.note(f"The {what}: {said}.")
    turns = [_wrapped(one.rotation_deg + degrees(shot.world_rotation)) for one in shown]
    stops = [_stops(one.strength) + shot.world_exposure for one in shown]
    stops = [min(max(one, -STOPS_MOST), STOPS_MOST) for one in stops]
    return Probe(
        text, space, stops[0], turns[0],
        exposures_stops=_by_frame(asked.frames, stops), rotations_deg=_by_frame(asked.frames, turns),
    )  # fmt: skip


def _sequence(asked: Asked, path: Any, what: str, node: Any) -> str:
    first = files.numbered(path, what, asked.findings, "use_world")
    user = node.image_user if node is not None else None
    own = FrameMapping.of_image_node(user.frame_start, user.frame_offset) if user else asked.plate.mapping
    if own != asked.plate.mapping:
        raise asked.findings.stop(
            f"The {what} is a sequence with other frame numbers than the plate: number its files as the plate's.",
            "use_world",
        )
    return str(first.sequence)


def _by_frame(frames: FrameRange, values: Sequence[Any]) -> dict[int, Any] | None:
    """Values by frame; None where one stands for all."""
    return dict(zip(frames, values, strict=True)) if any(one != values[0] for one in values) else None


def _stops(strength: float) -> float:
    return log2(strength) if strength > 0 else -2 * STOPS_MOST


def _wrapped(rotation_deg: float) -> float:
    return (rotation_deg + 180.0) % 360.0 - 180.0


def _rendered(asked: Asked, world: Any) -> tuple[Probe, RasterOrder]:
    """A world that a child renders: once where nothing of it moves, else on every frame of the shot."""
    shot, (width, height) = asked.shot, RENDERED_SIZE_PX
    moves = not timeline.is_still(world) or _shows_sequence(world)
    if moves:
        frames, mapping, key = asked.frames, asked.plate.mapping, "moving"
    else:
        frames, mapping = FrameRange.of([1]), FrameMapping(0)
        key = asked.memory.recall(("probe", world.name), lambda: _key(world))
    order = RasterOrder(
        "world", world.name, frames, mapping, width, height, (1.0, 1.0),
        asked.output / "worlds" / f"{file_name(world.name)} {key}", judged_by_child=moves,
    )  # fmt: skip
    path = order.sequence if moves else order.sequence.path(1)
    turned = _wrapped(degrees(shot.world_rotation))
    return Probe(str(path), compat.working_primaries(), shot.world_exposure, turned), order


def _key(world: Any) -> str:
    """Names what a world that stands still looks like: equal keys render equally."""
    groups = timeline.trees_of(compat.surface_nodes(world))[1:]
    return digest([world, *groups, *_images(world)])[:KEY_LENGTH]


def _shows_sequence(world: Any) -> bool:
    return any(image.source in {"SEQUENCE", "MOVIE"} for image in _images(world))


def _images(world: Any) -> set[Any]:
    trees = timeline.trees_of(compat.surface_nodes(world))
    return {node.image for tree in trees for node in tree.nodes if getattr(node, "image", None) is not None}
