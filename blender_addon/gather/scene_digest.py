"""What datablocks say, as a hash: equal hashes render equally. For this Blender and for a child.

A .blend as bytes will not do: it holds addresses, selections and leftovers. So Blender's own description of its data
(RNA) is walked: every property that can be set, bulk data such as vertices by `foreach_get`, size and time of files.
Not seen: weights of vertices, pixels painted and not saved, and what is inside caches of simulations.
"""

import hashlib
import warnings
from pathlib import Path

import bpy
import numpy as np

BULK = 64  # items of a collection from which it is read at once
# Interface, evaluated or costly; `platelight` are this extension's own settings.
SKIPPED = {
    "rna_type", "name_full", "session_uid", "users", "original", "tag", "preview", "asset_data", "pixels", "dimensions",
    "frame_current", "frame_subframe", "frame_float", "cursor", "tool_settings", "platelight", "sequence_editor",
    "node_tree_compositor", "compositing_node_group", "loop_triangles", "loop_triangle_polygons", "vertex_normals",
    "polygon_normals", "corner_normals", "keying_sets", "keying_sets_all", "override_library", "library", "depsgraph",
    "visible_objects", "visible_bases", "selected_objects", "location_preview", "bind_data", "packed_file", "display",
    "library_weak_reference", "use_extra_user", "use_fake_user", "id_data", "view_center", "ui_items",
}  # fmt: skip
STARTS = ("select", "active", "is_", "bl_", "show_expanded", "show_only", "show_in_edit", "hide_select", "warning_")
NOT_SHOWN = {
    "all_ids",
    "window_managers",
    "screens",
    "workspaces",
    "brushes",
    "palettes",
    "texts",
    "libraries",
    "paint_curves",
}


def held():
    """All datablocks of this Blender, as (kind, name)."""
    return {(kind, one.name_full) for kind, one in _all()}


def digest_since(before):
    """The hash of all datablocks but those that were there `before`."""
    return digest([one for kind, one in _all() if (kind, one.name_full) not in before])


def digest(blocks):
    """The hash of datablocks as they are on the current frame, in any order. Of others they name, only the names."""
    found = hashlib.sha256()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of properties that will go, which are properties still
        for one in sorted(blocks, key=lambda one: (one.id_type, one.name_full)):
            found.update(f"\n{one.id_type} {one.name_full}".encode())
            _tell(one, found, set())
            _tell_file(one, found)
    return found.hexdigest()


def _all():
    for prop in bpy.data.bl_rna.properties:
        if prop.type == "COLLECTION" and prop.identifier not in NOT_SHOWN:
            for one in getattr(bpy.data, prop.identifier):
                yield prop.identifier, one


def _tell_file(one, found):
    path = Path(bpy.path.abspath(getattr(one, "filepath", "") or ""))
    if path.is_file():
        state = path.stat()
        found.update(f"{state.st_size} {state.st_mtime_ns}".encode())


def _tell(struct, found, seen):
    """Every property of a struct; a datablock in it is told by its name, unless it is a part of its owner."""
    address = struct.as_pointer(), struct.bl_rna.identifier
    if address in seen:
        return
    seen.add(address)
    for prop in struct.bl_rna.properties:
        name = prop.identifier
        if name in SKIPPED or name.startswith(STARTS):
            continue
        if prop.type == "POINTER":
            _tell_pointer(name, getattr(struct, name), found, seen)
        elif prop.type == "COLLECTION":
            _tell_items(name, getattr(struct, name), found, seen)
        elif not prop.is_readonly:
            value = getattr(struct, name)
            if getattr(prop, "is_array", False):
                value = np.array(value).tolist()
            elif isinstance(value, set):
                value = sorted(value)
            found.update(f"{name}={value!r};".encode())


def _tell_pointer(name, value, found, seen):
    if isinstance(value, bpy.types.ID) and not value.is_embedded_data:
        found.update(f"{name}->{value.name_full};".encode())
    elif value is not None:
        found.update(f"{name}:".encode())
        _tell(value, found, seen)


def _tell_items(name, items, found, seen):
    count = len(items)
    found.update(f"{name}[{count}]".encode())
    if count >= BULK and _tell_bulk(items, found):
        return
    for one in items:
        _tell_pointer(name, one, found, seen)


def _tell_bulk(items, found):
    """Numbers of all items at once; False where that cannot be, and they are walked."""
    if isinstance(items[0], bpy.types.ID):
        return False
    numbers = [
        prop
        for prop in items[0].bl_rna.properties
        if prop.type in {"FLOAT", "INT", "BOOLEAN"} and not prop.is_readonly and not prop.identifier.startswith(STARTS)
    ]
    for prop in numbers:
        kind = {"FLOAT": np.float32, "INT": np.int32, "BOOLEAN": bool}[prop.type]
        values = np.empty(len(items) * max(prop.array_length, 1), kind)
        try:
            items.foreach_get(prop.identifier, values)
        except RuntimeError:  # a property that is computed, of another length than it says
            return False
        found.update(prop.identifier.encode() + values.tobytes())
    return bool(numbers)
