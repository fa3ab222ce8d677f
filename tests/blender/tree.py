"""The extension as an importable package `platelight_addon`, put together as the build does it.

`blender_addon/` alone is not importable: the build lays `shared/platelight` into it. Here both are copied to a folder
that goes onto `sys.path`. Where there is no `bpy`, the package's own `__init__`, which registers, is left empty.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "platelight_addon"
HAS_BPY = importlib.util.find_spec("bpy") is not None


def make_tree(folder: Path) -> Path:
    """Copies the extension and the shared package into `folder/platelight_addon`. Returns that."""
    leave = shutil.ignore_patterns("__pycache__", "*.pyc")
    package = folder / PACKAGE
    shutil.copytree(ROOT / "blender_addon", package, ignore=leave, dirs_exist_ok=True)
    shutil.copytree(ROOT / "shared" / "platelight", package / "platelight", ignore=leave, dirs_exist_ok=True)
    if not HAS_BPY or not (package / "__init__.py").exists():
        (package / "__init__.py").write_text('"""Nothing to register here."""\n', encoding="utf-8")
    return package


def put_on_path(folder: Path) -> None:
    """Makes `import platelight_addon` mean the copy in `folder`."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
