"""The extension's preferences: which server, where its roots lie here, how to start one on this machine."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import IntProperty, StringProperty

from .core import InputError, Target, is_loopback, seen_roots, target_of


class PlatelightPreferences(bpy.types.AddonPreferences):
    """Drawn by Blender under Preferences, Add-ons."""

    bl_idname = __package__

    server: StringProperty(
        name="Server",
        description="Address such as tcp://gpu01:5577, or a connection file; empty means the one on this machine",
    )
    server_key: StringProperty(
        name="Server's Key", description="Public key of a server on another machine; empty takes the one that is noted"
    )
    roots: StringProperty(
        name="Roots",
        description="Where this machine sees the server's media roots, such as shows=/mnt/shows;cache=/mnt/cache",
    )
    command: StringProperty(
        name="Command",
        description="The platelight command, or the folder of its environment; empty looks on the path",
        subtype="FILE_PATH",
    )
    preview_width: IntProperty(
        name="Preview Width", description="Width of previews", default=960, min=160, max=2048, subtype="PIXEL"
    )

    def draw(self, context):
        """The settings, one below the other."""
        column = self.layout.column()
        for name in ("server", "server_key", "roots", "command", "preview_width"):
            column.prop(self, name)


def preferences():
    """The preferences, or None in a Blender without them, as in tests of single modules."""
    addon = bpy.context.preferences.addons.get(__package__)
    return addon.preferences if addon is not None else None


def aimed() -> tuple[Target, dict[str, Path]]:
    """The server that is meant, and where its roots lie here. Raises `InputError` with one sentence."""
    held = preferences()
    given, key, roots = (held.server, held.server_key, held.roots) if held is not None else ("", "", "")
    target = target_of(given or None, None, key or None)
    if target.address and not is_loopback(target.address) and not bpy.app.online_access:
        raise InputError(
            f"{target.address} is another machine, and this Blender may not go online: allow it in the preferences "
            "under System, Network."
        )
    folders = {}
    for part in filter(None, (one.strip() for one in roots.split(";"))):
        name, equals, folder = part.partition("=")
        if not equals or not name or not folder:
            raise InputError(f"Roots: expected NAME=FOLDER;NAME=FOLDER, got '{part}'.")
        folders[name.strip()] = Path(bpy.path.abspath(folder.strip())).absolute()
    return target, folders or seen_roots(None)


def user_folder(name: str) -> Path:
    """A folder of the extension's own in the user's files, made where it is not there."""
    return Path(bpy.utils.extension_path_user(__package__, path=name, create=True))


def preview_width() -> int:
    """How wide previews are."""
    held = preferences()
    return held.preview_width if held is not None else 960


def register() -> None:
    """Adds the preferences."""
    bpy.utils.register_class(PlatelightPreferences)


def unregister() -> None:
    """Takes them away."""
    bpy.utils.unregister_class(PlatelightPreferences)
