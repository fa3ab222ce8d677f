"""`platelight doctor`: machine, installation and server, a line each, and what to do about what is missing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path

from platelight import __version__
from platelight.errors import PlatelightError

from .remote import add_server_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of doctor."""
    add_server_argument(parser)
    parser.add_argument("--path", metavar="FILE", type=Path, help="can the server see this file?")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints the findings; 1 where something needed is missing."""
    found = {
        "platelight": f"{__version__}, Python {platform.python_version()} at {sys.prefix}",
        "machine": _machine(),
        "memory": _memory(),
        "disk": f"{shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB free in {Path.cwd()}",
        "torch": _torch(),
        "pictures": _versions("OpenEXR", "OpenImageIO", "opencv-python-headless"),
        "colour": _colour(),
        "models": _versions("diffusers", "transformers", "accelerate", needed=False),
        "engines": _engines(),
        "network": "not used: nothing is fetched at run time",
        "server": _server(args.server, args.path),
    }
    bad = [key for key, text in found.items() if "MISSING" in text or text.startswith("error")]
    if args.json:
        print(json.dumps({"ok": not bad, **found}, ensure_ascii=False))
    else:
        for key, text in found.items():
            print(f"{key:<11} {text}")
    return 1 if bad else 0


def _server(server: str | None, path: Path | None) -> str:
    from .diagnosis import diagnose

    finding = diagnose(server, path)
    return f"error: {finding.text}" if finding.kind == "error" else finding.text


def _machine() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.system()} {platform.machine()}, {usable} cores"


def _memory() -> str:
    try:
        from platelight_server.check import available_memory

        free = available_memory()
    except ModuleNotFoundError:
        return "unknown until the server extra is installed"
    return "unknown on this system" if free is None else f"{free / 2**30:.1f} GiB available"


def _torch() -> str:
    try:
        import torch
    except ModuleNotFoundError:
        return "MISSING; run: pip install 'platelight[server]'"
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return f"{torch.__version__}, GPU: {names}"
    return f"{torch.__version__}, CPU only; the classic engine needs no GPU"


def _versions(*names: str, needed: bool = True) -> str:
    said = []
    for name in names:
        try:
            said.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            extra = "server" if needed else "models"
            said.append(f"{name} {'MISSING' if needed else 'not installed'} (pip install 'platelight[{extra}]')")
    return ", ".join(said)


def _colour() -> str:
    try:
        from platelight_server.color.config import active_config

        config = active_config()
    except ModuleNotFoundError:
        return "OpenColorIO MISSING; run: pip install 'platelight[server]'"
    except PlatelightError as error:
        return f"error: {error}"
    whose = "from $OCIO" if config.from_user else "ours, $OCIO is not set"
    return f"OpenColorIO {metadata.version('opencolorio')}, config {config.source} ({whose})"


def _engines() -> str:
    try:
        from platelight_server.engines.registry import engine_class, engine_names

        return ", ".join(f"{name} {engine_class(name).capabilities.version}" for name in engine_names())
    except ModuleNotFoundError as error:
        return f"MISSING: {error.name}; run: pip install 'platelight[server]'"
