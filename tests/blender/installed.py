"""Installs the extension's zip into this Python's own Blender, in a folder of its own, and says what holds.

Run by `build_addon.py --check` as `PYTHON -I installed.py ZIP`. Prints one JSON line: what was tried -> problems.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

MODULE = "bl_ext.user_default.platelight"


def main() -> None:
    archive = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="platelight-install-") as home:
        os.environ["BLENDER_USER_RESOURCES"] = home  # read when bpy is imported
        import bpy

        said = {"blender": [f"Blender {bpy.app.version_string}, Python {sys.version.split()[0]}"]}
        said["validated"] = _validated(archive, Path(bpy.utils.resource_path("LOCAL")))
        said["installed, found in its own folder, with its own wheels"] = _installed(archive, Path(home))
        print(json.dumps(said), flush=True)


def _validated(archive: Path, resources: Path) -> list[str]:
    """Blender's own validator, with Blender's own list of tags."""
    scripts = resources / "scripts"
    program = scripts / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
    tags = scripts / "modules" / "_bpy_internal" / "extensions" / "tags.py"
    known = runpy.run_path(str(tags))
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "tags.json"
        listed.write_text(json.dumps({"add-on": sorted(known["addons"]), "theme": sorted(known["themes"])}))
        command = [sys.executable, program, "validate", f"--valid-tags={listed}", archive]
        done = subprocess.run(command, capture_output=True, text=True)
    return [] if done.returncode == 0 else (done.stdout + done.stderr).strip().splitlines()[-8:]


def _installed(archive: Path, home: Path) -> list[str]:
    import addon_utils
    import bpy

    # Blender puts the wheels' folder behind this Python's own packages, which may hold a zmq too. The wheels are meant.
    wheels = home / "extensions" / ".local" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    wheels.mkdir(parents=True)
    sys.path.insert(0, str(wheels))
    addon_utils.enable("bl_pkg")
    bpy.ops.extensions.package_install_files(filepath=str(archive), repo="user_default", enable_on_install=True)
    problems = []
    if MODULE not in sys.modules:
        return [f"{MODULE} was not imported; addons: {sorted(bpy.context.preferences.addons.keys())}"]
    for name in (MODULE, f"{MODULE}.platelight", f"{MODULE}.platelight.client", f"{MODULE}.results", "zmq", "msgpack"):
        where = Path(importlib.import_module(name).__file__ or "").resolve()
        if home.resolve() not in where.parents:
            problems.append(f"{name} came from {where}, not from the installed extension")
    if "platelight" in sys.modules:
        problems.append("a global module 'platelight' was imported")
    problems += _wheels_work()
    if bpy.ops.preferences.addon_disable(module=MODULE) != {"FINISHED"}:
        problems.append("could not be switched off")
    if hasattr(bpy.types.Scene, "platelight"):
        problems.append("switched off, it left its settings registered")
    return problems


def _wheels_work() -> list[str]:
    import msgpack
    import zmq

    packed = msgpack.unpackb(msgpack.packb({"a": [1, 2.5, b"x"]}))
    compiled = getattr(msgpack, "Packer", None).__module__
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
    problems = [] if packed == {"a": [1, 2.5, b"x"]} and port and zmq.has("curve") else ["zmq or msgpack does not work"]
    return problems + ([] if compiled == "msgpack._cmsgpack" else [f"msgpack is not compiled: {compiled}"])


if __name__ == "__main__":
    main()
