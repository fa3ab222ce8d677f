"""A job's result inside Blender: version folders, one node group per shot, a strip. Plain nodes and datablocks only."""

from __future__ import annotations

from .delivery import Delivery, found_in
from .group import say_landed, update_group
from .placing import add_to_compositor, connect, label_nodes
from .status import Status, find_group, status_of
from .strip import add_strip
from .versions import claim_next_version, next_version, versions_in

__all__ = [
    "Delivery",
    "Status",
    "add_strip",
    "add_to_compositor",
    "claim_next_version",
    "connect",
    "find_group",
    "found_in",
    "label_nodes",
    "next_version",
    "say_landed",
    "status_of",
    "update_group",
    "versions_in",
]
