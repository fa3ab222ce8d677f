"""`platelight check`: what is wrong with a recipe and what it will cost, without rendering."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from platelight.frames import FrameRange

from .recipe_flags import add_recipe_arguments, recipe_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of check."""
    add_recipe_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints problems and estimate; the exit code is that of the first error."""
    from platelight_server.check import check

    recipe, base, only = recipe_from(args)
    checked = check(recipe, base, only)
    said = described(checked)
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
    else:
        for line in lines_of(said):
            print(line)
    return checked.errors[0].exit_code if checked.errors else 0


def described(checked: Any) -> dict[str, Any]:
    """A checked job as plain JSON values."""
    said: dict[str, Any] = {
        "ok": not checked.errors,
        "errors": [{"kind": type(error).__name__, "message": str(error)} for error in checked.errors],
        "warnings": list(checked.warnings),
        "recipeHash": checked.recipe.content_hash(),
    }
    if checked.inputs is not None:
        inputs = checked.inputs
        said["inputs"] = {
            source.role: {
                "channels": list(source.channels),
                "files": len({path for path in source.files.values() if path is not None}),
                "colorspace": None if source.space is None else source.space.name,
                "colorspaceFrom": None if source.space is None else source.space.why,
            }
            for source in inputs.sources()
        }
        said["inputs"]["plate"].update(colorspace=inputs.plate_space.name, colorspaceFrom=inputs.plate_space.why)
        said["size"] = [inputs.work.width, inputs.work.height]
        said["camera"] = inputs.camera is not None
    if checked.capabilities is not None:
        said["models"] = [asdict(one) for one in checked.capabilities.licences]
    if checked.estimate is not None:
        cost = checked.estimate
        said["estimate"] = {
            "frames": cost.frames,
            "range": str(FrameRange.of(checked.wanted)) if checked.wanted else "",
            "windows": cost.windows,
            "seconds": round(cost.seconds, 1),
            "memoryBytes": cost.memory_bytes,
            "diskBytes": cost.disk_bytes,
            **({"plan": cost.plan} if cost.plan else {}),
        }
    return said


def lines_of(said: dict[str, Any]) -> list[str]:
    """The same for people: one line per finding."""
    lines = []
    for role, source in said.get("inputs", {}).items():
        color = f", {source['colorspace']} ({source['colorspaceFrom']})" if source["colorspace"] else ""
        lines.append(f"ok       {role}: {source['files']} files, {','.join(source['channels'])}{color}")
    for one in said.get("models", ()):
        allowed = "commercial use allowed" if one["commercial"] else "no commercial use without more"
        lines.append(f"model    {one['model']}: {one['licence']} ({allowed})")
    lines += [f"warning  {text}" for text in said["warnings"]]
    lines += [f"error    {error['message']}" for error in said["errors"]]
    if "estimate" in said:
        cost = said["estimate"]
        lines.append(
            f"estimate {cost['frames']} frames ({cost['range']}) at {said['size'][0]}x{said['size'][1]}, about"
            f" {cost['seconds']:.0f} s, {cost['memoryBytes'] / 2**30:.1f} GiB of memory,"
            f" {cost['diskBytes'] / 1e6:.0f} MB of disk"
        )
        if "plan" in cost:
            lines.append(f"models   {cost['plan']}")
    lines.append("ready" if said["ok"] else f"{len(said['errors'])} errors")
    return lines
