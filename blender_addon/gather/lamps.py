"""The scene's lights, with their animation, constraints and drivers evaluated, as lights of the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .. import compat
from ..core import FrameRange, Light
from . import timeline
from .cameras import rows
from .findings import Findings
from .light_units import Lamp, to_light
from .mapping import FrameMapping
from .shading import Emission, emission
from .space import rec709

SPREAD_FULL = 3.14  # radians; an area light that shines less wide is taken as wide


def scene_lights(
    context: Any, scene: Any, objects: Sequence[Any], frames: FrameRange, mapping: FrameMapping, findings: Findings
) -> tuple[Light, ...]:
    """The light objects on the plate's file numbers `frames`; those that never shine are left out."""
    if not objects:
        return ()
    for one in objects:
        _tell(one, findings)
    held, read = timeline.now(context, scene, objects), Reading(objects)
    if held is not None:
        seen = [read(held)] * len(frames)
    else:
        seen = timeline.over_frames(scene, objects, [mapping.scene(number) for number in frames], read)
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


def lit_objects(scene: Any, collection: Any, findings: Findings) -> tuple[Any, ...]:
    """All lights that render, or those in `collection`, each once, by name: the order must not depend on how the scene
    was put together."""
    inside = None if collection is None else set(collection.all_objects)
    instanced, found = False, []
    for one in sorted(_rendered(scene.view_layers[0].layer_collection), key=lambda held: held.name):
        if inside is not None and one not in inside:
            continue
        if one.type == "LIGHT":
            found.append(one)
        elif one.instance_type == "COLLECTION" and one.instance_collection is not None:
            instanced |= any(held.type == "LIGHT" for held in one.instance_collection.all_objects)
    if instanced:
        findings.note("Lights inside collection instances are not sent: make the instances real where they matter.")
    return tuple(found)


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


class Reading:
    """Reads lights on one frame after another. What of a light cannot change is read on the first one and kept: nodes
    cost 30 µs per frame, the other numbers 15 µs."""

    def __init__(self, objects: Sequence[Any]) -> None:
        self._space = compat.working_primaries()
        self._is_still = [timeline.is_still(one.data) for one in objects]
        self._has_still_nodes = [not timeline.has_moving_nodes(one.data) for one in objects]
        self._lamps: dict[int, Lamp] = {}
        self._nodes: dict[int, Emission] = {}

    def __call__(self, evaluated: Sequence[Any]) -> list[Lamp]:
        """The lights as they are on a frame, in the order of the objects."""
        return [self._lamp(i, one) for i, one in enumerate(evaluated)]

    def _lamp(self, i: int, one: Any) -> Lamp:
        lamp = self._lamps.get(i)
        if lamp is None:
            lamp = self._read(i, one.data)
            if self._is_still[i]:
                self._lamps[i] = lamp
        return replace(lamp, matrix=rows(one.matrix_world), energy=0.0 if one.hide_render else lamp.energy)

    def _read(self, i: int, held: Any) -> Lamp:
        nodes, warmth = self._emission(i, held), compat.light_temperature_color(held)
        color = [max(a * b * c, 0.0) for a, b, c in zip(held.color, warmth, nodes.color, strict=True)]
        strength = max(held.energy * nodes.strength, 0.0)
        return Lamp(
            kind=held.type,
            matrix=(),
            energy=strength * 2.0 ** compat.light_exposure(held),
            color=rec709(color, self._space),
            normalized=compat.light_is_normalized(held),
            radius=held.shadow_soft_size if held.type in {"POINT", "SPOT"} else 0.0,
            angle=getattr(held, "angle", 0.0),
            shape=getattr(held, "shape", "SQUARE"),
            size=getattr(held, "size", 1.0),
            size_y=getattr(held, "size_y", 1.0),
            cone=getattr(held, "spot_size", 0.0),
            blend=getattr(held, "spot_blend", 0.0),
        )

    def _emission(self, i: int, held: Any) -> Emission:
        nodes = self._nodes.get(i)
        if nodes is None:
            nodes = emission(compat.surface_nodes(held), self._space)
            if self._has_still_nodes[i]:
                self._nodes[i] = nodes
        return nodes
