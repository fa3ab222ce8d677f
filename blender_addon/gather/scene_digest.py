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
# What others of the same struct say already. A mesh's attributes have all of it but where polygons begin, at a
# thirtieth of the time; a scene's compositor (before 5.0) is no part of a view.
SKIPPED_OF = {("Scene", name) for name in ("node_tree", "use_nodes", "objects")}
SKIPPED_OF |= {("ViewLayer", "objects"), ("Collection", "all_objects")}
SKIPPED_OF |= {("Mesh", name) for name in ("vertices", "edges", "loops", "uv_layers", "color_attributes")}
SKIPPED_OF |= {("Mesh", f"uv_layer_{name}") for name in ("stencil", "clone")} | {("Mesh", "vertex_colors")}
SKIPPED_OF |= {("MeshPolygon", name) for name in ("vertices", "loop_total", "material_index", "hide", "use_smooth")}
CHOSEN = (".select_", ".uv_select_")  # attributes that are a selection
FOLLOWS = {(kind, name) for kind in ("Object", "PoseBone") for name in ("matrix_world", "matrix_local", "matrix_basis")}
FOLLOWS |= {("PoseBone", "matrix"), ("PoseBone", "matrix_channel")}
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
    telling = Telling()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of properties that will go, which are properties still
        for one in sorted(blocks, key=lambda one: (one.id_type, one.name_full)):
            telling.block(one)
    return telling.hash.hexdigest()


def digest_of_any_frame(block):
    """The hash of one datablock whatever the frame is, and the datablocks that it names, as a list.

    What a curve or a driver moves is left out (the curves are told), and so are matrices, which follow from the rest.
    """
    telling = Telling(any_frame=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        telling.block(block)
    return telling.hash.hexdigest(), telling.named


def _all():
    for prop in bpy.data.bl_rna.properties:
        if prop.type == "COLLECTION" and prop.identifier not in NOT_SHOWN:
            for one in getattr(bpy.data, prop.identifier):
                yield prop.identifier, one


class Telling:
    """Datablocks being told into a hash."""

    def __init__(self, any_frame=False):
        self.hash, self.named = hashlib.sha256(), []
        self._any_frame, self._seen, self._moved = any_frame, set(), set()

    def block(self, one):
        """All of a datablock."""
        self._say(f"\n{one.id_type} {one.name_full}")
        self._seen = set()
        self._struct(one)
        path = Path(bpy.path.abspath(getattr(one, "filepath", "") or ""))
        if path.is_file():
            state = path.stat()
            self._say(f"{state.st_size} {state.st_mtime_ns}")

    def _say(self, text):
        self.hash.update(text.encode())

    def _struct(self, struct):
        """Every property of a struct; a datablock in it is told by its name, unless it is a part of its owner."""
        kind = struct.bl_rna.identifier
        address = struct.as_pointer()
        if (address, kind) in self._seen:
            return
        self._seen.add((address, kind))
        if self._any_frame and isinstance(struct, bpy.types.ID):
            self._moved |= set(_moved(struct))
        for prop in struct.bl_rna.properties:
            name = prop.identifier
            if name in SKIPPED or name.startswith(STARTS) or (kind, name) in SKIPPED_OF:
                continue
            if name == "enabled" and isinstance(struct, bpy.types.NodeSocket):
                continue  # follows from its node, once that was drawn or loaded
            if self._any_frame and ((kind, name) in FOLLOWS or (address, name) in self._moved):
                continue
            if prop.type == "POINTER":
                self._pointer(name, getattr(struct, name))
            elif prop.type == "COLLECTION":
                self._items(name, getattr(struct, name))
            elif not prop.is_readonly:
                value = getattr(struct, name)
                if getattr(prop, "is_array", False):
                    value = np.array(value).tolist()
                elif isinstance(value, set):
                    value = sorted(value)
                self._say(f"{name}={value!r};")

    def _pointer(self, name, value):
        if isinstance(value, bpy.types.ID) and not value.is_embedded_data:
            self._say(f"{name}->{value.name_full};")
            self.named.append(value)
        elif value is not None:
            self._say(f"{name}:")
            self._struct(value)

    def _items(self, name, items):
        count = len(items)
        if name != "attributes":  # among which a selection is, or is not
            self._say(f"{name}[{count}]")
        if count >= BULK and self._bulk(items):
            return
        for one in items:
            if not (isinstance(one, bpy.types.Attribute) and one.name.startswith(CHOSEN)):
                self._pointer(name, one)

    def _bulk(self, items):
        """Numbers of all items at once; False where that cannot be, and they are walked."""
        if isinstance(items[0], bpy.types.ID):
            return False
        kind = items[0].bl_rna.identifier
        numbers = [
            prop
            for prop in items[0].bl_rna.properties
            if prop.type in {"FLOAT", "INT", "BOOLEAN"}
            and not (prop.is_readonly or prop.identifier.startswith(STARTS) or (kind, prop.identifier) in SKIPPED_OF)
        ]
        for prop in numbers:
            form = {"FLOAT": np.float32, "INT": np.int32, "BOOLEAN": bool}[prop.type]
            values = np.empty(len(items) * max(prop.array_length, 1), form)
            try:
                items.foreach_get(prop.identifier, values)
            except RuntimeError:  # a property that is computed, of another length than it says
                return False
            self.hash.update(prop.identifier.encode() + values.tobytes())
        return bool(numbers)


def _moved(owner):
    """(address, property) of all that a datablock's curves and drivers write to."""
    animation = getattr(owner, "animation_data", None)
    if animation is None:
        return
    actions = [animation.action, *(strip.action for track in animation.nla_tracks for strip in track.strips)]
    curves = [curve for action in actions if action is not None for curve in _curves(action)]
    for path in {curve.data_path for curve in (*curves, *animation.drivers)}:
        try:
            found = owner.path_resolve(path, False)
        except ValueError:  # a curve of something that is no more, or of another slot
            continue
        if hasattr(found, "data"):
            yield found.data.as_pointer(), path.rpartition(".")[2]


def _curves(action):
    """All curves of an action; 4.4 brought layers, of which 5.0 kept nothing but these."""
    if not getattr(action, "layers", ()):
        return list(getattr(action, "fcurves", ()))
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
    return [curve for bag in bags for curve in bag.fcurves]
