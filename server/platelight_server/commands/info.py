"""`platelight info FILE.exr`: what a file holds, which colour it is in, and whether a result is current."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from platelight.errors import FrameError, PlatelightError
from platelight.frames import FrameRange
from platelight.recipe import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of info."""
    parser.add_argument("file", type=Path, help="an EXR or another picture")
    parser.add_argument(
        "--base", type=Path, help="folder that the recipe's relative paths start at (default: as last rendered)"
    )
    parser.add_argument("--recipe", action="store_true", help="print the recipe of a result as TOML, nothing else")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints what is known about the file."""
    from platelight_server.plates import header, picture_io

    info = picture_io.read_info(args.file)
    stated = header.read_stated(info.header)
    if args.recipe:
        print(_recipe(stated, args.file).to_toml(), end="")
        return 0
    said = _described(args, info, stated)
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
        return 0
    for key, value in said.items():
        if value == "":
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{name or 'top level'} ({' '.join(inner)})" for name, inner in value.items())
        print(f"{key:<14} {value}")
    return 0


def _described(args: argparse.Namespace, info: Any, stated: dict[str, str]) -> dict[str, Any]:
    from platelight_server.plates.channels import layers

    said: dict[str, Any] = {
        "file": str(args.file),
        "size": f"data {info.data}, display {info.display}, pixel aspect {info.pixel_aspect:g}",
        "compression": str(info.header.get("compression", "")).rpartition(".")[2].removesuffix("_COMPRESSION").lower(),
        "layers": layers(info),
        "color": _color(args.file, info),
    }
    if not stated:
        return said
    licences = json.loads(stated.get("licences", "[]"))
    said.update(
        {
            "platelight": stated.get("version", "?"),
            "engine": f"{stated.get('engine', '?')} {stated.get('engineVersion', '')}".strip(),
            "licences": ", ".join(f"{one['model']}: {one['licence']}" for one in licences) or "no model",
            "notes": stated.get("notes", "{}"),
            "recipe": stated.get("recipeHash", "?"),
            "proof": stated.get("proof", "?"),
            "current": _current(args, stated),
        }
    )
    return said


def _color(path: Path, info: Any) -> str:
    from platelight_server.plates.inputs import space_of

    try:
        space = space_of(info, "auto", "file")
    except PlatelightError:
        return "unknown: the header does not say"
    return f"{space.name} ({space.why})"


def _recipe(stated: dict[str, str], path: Path) -> Recipe:
    if "recipe" not in stated:
        raise FrameError(f"{path}: expected a result of Platelight, its header holds no recipe")
    recipe = Recipe.from_json(stated["recipe"])
    return replace(recipe, output=replace(recipe.output, directory=str(path.absolute().parent)))


def _current(args: argparse.Namespace, stated: dict[str, str]) -> str:
    """Whether rendering the recipe now would give this very frame."""
    from platelight_server.check import check
    from platelight_server.fingerprint import frame_hashes
    from platelight_server.plates.facts import FactIndex

    frame = int(stated.get("frame", "0"))
    try:
        recipe = _recipe(stated, args.file)
        index = FactIndex(FactIndex.place(args.file.absolute().parent, recipe.output_name))
        checked = check(recipe, args.base or index.base or Path.cwd(), FrameRange.of([frame]))
        checked.raise_first()
        expected = frame_hashes(checked)[frame]
    except PlatelightError as error:
        return f"unknown: {error}"
    return "yes" if expected == stated.get("frameHash") else "no: its recipe, inputs or engine have changed since"
