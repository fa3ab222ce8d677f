"""What a result's group is known by and says about itself, kept on the group, so that it is saved with the .blend."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
from bpy.types import NodeTree

_SHOT, _STATUS = "platelight_shot", "platelight_status"


@dataclass(frozen=True)
class Status:
    """What a group shows: its name and version, what is missing in words, and sentences for the artist."""

    title: str
    missing: str
    notes: tuple[str, ...]


def mark(group: NodeTree, shot_key: str) -> None:
    """Makes a group the shot's."""
    group[_SHOT] = shot_key


def groups_of(shot_key: str) -> list[NodeTree]:
    """All groups of the shot, those of this file before linked ones; more than one where the artist made a copy."""
    found = [group for group in bpy.data.node_groups if group.get(_SHOT) == shot_key]
    return sorted(found, key=lambda group: (group.library is not None, group.name))


def find_group(shot_key: str) -> NodeTree | None:
    """The shot's group, one of this file before one that is linked."""
    return next(iter(groups_of(shot_key)), None)


def status_of(group: NodeTree) -> Status:
    """What the last update found."""
    said = group.get(_STATUS)
    if said is None:
        return Status(group.name, "", ())
    return Status(said["title"], said["missing"], tuple(line for line in said["notes"].splitlines() if line))


def set_status(group: NodeTree, status: Status) -> None:
    """Keeps it on the group."""
    group[_STATUS] = {"title": status.title, "missing": status.missing, "notes": "\n".join(status.notes)}
