"""The scene's lights, with their animation, constraints and drivers evaluated, as lights of the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .. import compat
from ..core import FrameRange, Light
from . import timeline
from .cameras import rows
from .findings import Findings
from .light_units import Lamp, to_light
from .mapping import FrameMapping
from .shading import emission
from .space import rec709

SPREAD_FULL = 3.14  # radians; an area light that shines less wide is taken as wide


def scene_lights(
    context: Any, scene: Any, collection: Any, frames: FrameRange, mapping: FrameMapping, findings: Findings
) -> tuple[Light, ...]:
    """All lights that render, or those in `collection`, on the plate's file numbers `frames`."""
    objects = list(_lit(scene, collection, findings))
    if not objects:
        return ()
    for one in objects:
        _tell(one, findings)
    held = timeline.now(context, scene, objects)
    if held is not None:
        seen = [_read(held)] * len(frames)
    else:
        seen = timeline.over_frames(scene, objects, [mapping.scene(number) for number in frames], _read)
    found = []
    for i, one in enumerate(objects):
        lamps = [frame[i] for frame in seen]
        if all(lamp.energy <= 0 for lamp in lamps):
            continue
        try:
            found.append(to_light(one.name, lamps, frames, scene.unit_settings.scale_length))
        except ValueError:
            findings.note(f"The light {one.name} is left out: an axis of it is scaled to nothing.")
    return tuple(found)


def _lit(scene: Any, collection: Any, findings: Findings) -> Iterator[Any]:
    """Light objects that render, each once, by name: the order must not depend on how the scene was put together."""
    inside = None if collection is None else set(collection.all_objects)
    instanced = False
    for one in sorted(_rendered(scene.view_layers[0].layer_collection), key=lambda held: held.name):
        if inside is not None and one not in inside:
            continue
        if one.type == "LIGHT":
            yield one
        elif one.instance_type == "COLLECTION" and one.instance_collection is not None:
            instanced |= any(held.type == "LIGHT" for held in one.instance_collection.all_objects)
    if instanced:
        findings.note("Lights inside collection instances are not sent: make the instances real where they matter.")


def _rendered(layer: Any) -> set[Any]:
    """The objects below a layer collection that a render shows."""
    found: set[Any] = set()
    if not layer.collection.hide_render:
        if not layer.exclude:
            found.update(one for one in layer.collection.objects if not one.hide_render or _is_animated(one))
        for child in layer.children:
            found |= _rendered(child)
    return found


def _is_animated(one: Any) -> bool:
    return one.animation_data is not None


STANDS_IN = {"shader": "it is sent as without nodes", "color": "white stands in", "strength": "1 stands in"}


def _tell(one: Any, findings: Findings) -> None:
    """Says what of a light does not reach the recipe."""
    for what, node in emission(compat.surface_nodes(one.data), compat.working_primaries()).left_out:
        if what == "shader":
            text = f"The light {one.name} shines through the node {node}, which is no Emission"
        else:
            text = f"The {what} of the light {one.name} comes from the node {node} and has no single value"
        findings.note(f"{text}: {STANDS_IN[what]}. Give it an Emission with a plain color and strength.")
    if one.data.type == "AREA" and one.data.spread < SPREAD_FULL:
        findings.note(f"The area light {one.name} is sent as shining all around: its spread is not in a recipe.")


def _read(evaluated: Sequence[Any]) -> list[Lamp]:
    space = compat.working_primaries()
    return [_lamp(one, space) for one in evaluated]


def _lamp(one: Any, space: str) -> Lamp:
    held, warmth = one.data, compat.light_temperature_color(one.data)
    nodes = emission(compat.surface_nodes(held), space)
    color = [max(a * b * c, 0.0) for a, b, c in zip(held.color, warmth, nodes.color, strict=True)]
    strength = max(held.energy * nodes.strength, 0.0)
    energy = 0.0 if one.hide_render else strength * 2.0 ** compat.light_exposure(held)
    return Lamp(
        kind=held.type,
        matrix=rows(one.matrix_world),
        energy=energy,
        color=rec709(color, space),
        normalized=compat.light_is_normalized(held),
        radius=held.shadow_soft_size if held.type in {"POINT", "SPOT"} else 0.0,
        angle=getattr(held, "angle", 0.0),
        shape=getattr(held, "shape", "SQUARE"),
        size=getattr(held, "size", 1.0),
        size_y=getattr(held, "size_y", 1.0),
        cone=getattr(held, "spot_size", 0.0),
        blend=getattr(held, "spot_blend", 0.0),
    )
