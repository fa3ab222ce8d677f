"""Platelight in Blender: relights a filmed plate from the compositor. This file registers the modules below."""

from __future__ import annotations

from importlib import import_module

# In the order of registration; a module here has `register()` and `unregister()`. The settings come first, because
# what follows may ask a scene for them.
MODULES = (
    "settings",
    "preferences",
    "pump",
    "operators",
    "panels",
    "handlers",
    "adoption",
)


def register() -> None:
    """Called by Blender when the extension is switched on."""
    for name in MODULES:
        import_module(f".{name}", __package__).register()


def unregister() -> None:
    """Called by Blender when the extension is switched off, and when its window is closed."""
    for name in reversed(MODULES):
        import_module(f".{name}", __package__).unregister()
