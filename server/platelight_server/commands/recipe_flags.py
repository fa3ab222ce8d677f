"""Flags that make a recipe, shared by relight, init, check and bench."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from platelight.errors import RecipeError
from platelight.frames import FrameRange, SequencePath
from platelight.recipe import (
    Background,
    CameraSource,
    EngineChoice,
    Ground,
    Matte,
    NormalSource,
    Output,
    Plate,
    Probe,
    Recipe,
    with_value,
)


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """The recipe file, or the flags that stand for one."""
    parser.add_argument("recipe", nargs="?", type=Path, help="a recipe (TOML); flags change its values")
    shot = parser.add_argument_group("shot")
    shot.add_argument("--plate", metavar="PATTERN", help="plate sequence: name.####.exr, name.%%04d.exr or its folder")
    shot.add_argument("--plate-colorspace", metavar="NAME", help="its colour space, where the header does not say")
    shot.add_argument(
        "--matte",
        metavar="PATTERN",
        help="matte sequence or still; 'plate' takes the plate's alpha, 'key' keys its screen",
    )
    shot.add_argument("--background", metavar="PATTERN", help="new background: a still, a sequence or a folder")
    shot.add_argument("--background-colorspace", metavar="NAME", help="its colour space, where the header does not say")
    shot.add_argument(
        "--frames", metavar="RANGE", help="1001-1048, 1-100x2, 1,5,9; of a recipe file: the part to render"
    )
    shot.add_argument("--name", help="name of the job and of its files")
    light = parser.add_argument_group("light")
    light.add_argument("--probe-background", metavar="PATTERN", help="lat-long HDRI of the new scene's light")
    light.add_argument("--probe-plate", metavar="PATTERN", help="lat-long HDRI of the light the plate was filmed in")
    light.add_argument("--normal", metavar="PATTERN", help="normals of the foreground, camera space")
    light.add_argument("--camera", metavar="FILE", help="solved camera: Nuke .chan or camera JSON")
    light.add_argument(
        "--ground", metavar="Y", type=float, help="height of the ground in the camera's world, for shadows"
    )
    parser.add_argument("--engine", metavar="NAME", help="which engine relights (see: platelight engines)")
    parser.add_argument("--out", metavar="DIR", help="folder of the result")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="values",
        help="any other value of the recipe, such as look.exposure=0.5; may be repeated",
    )  # fmt: skip


def recipe_from(args: argparse.Namespace) -> tuple[Recipe, Path, FrameRange | None]:
    """The recipe of the arguments, the folder its relative paths start at, and the part of the shot to render.

    Raises `RecipeError` or `FrameError`.
    """
    only = None
    if args.recipe is not None:
        recipe = Recipe.from_toml(args.recipe)
        base = args.recipe.absolute().parent
        if args.frames is not None:
            only = FrameRange.parse(args.frames)
        args = _absolute(args)  # flags are relative to where the user stands, the file's paths to the file
    else:
        recipe, base = _bare_recipe(args), Path.cwd()
    recipe = _with_flags(recipe, args)
    for assignment in args.values:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise RecipeError("--set", "KEY=VALUE", repr(assignment))
        recipe = with_value(recipe, key.strip(), text.strip())
    # Once through the document's form, so that a flag's value is held to the same rules as a file's.
    return Recipe.from_dict(recipe.to_dict()), base, only


def _bare_recipe(args: argparse.Namespace) -> Recipe:
    if args.plate is None:
        raise RecipeError("", "a recipe file, or --plate and the other flags", "neither")
    sequence = SequencePath.from_path(args.plate)
    if args.frames is not None:
        frames = FrameRange.parse(args.frames)
    elif sequence.is_still:
        raise RecipeError("--frames", "the frames of the shot", "none")
    else:
        found = sequence.scan()
        if not found:
            raise RecipeError("--plate", "frames on disk", f"none that match {args.plate}")
        frames = FrameRange.of(found)
    return Recipe(name=args.name or _name_of(sequence), frames=frames, plate=Plate(path=args.plate))


def _name_of(sequence: SequencePath) -> str:
    stem = Path(str(sequence)).name.split("#")[0].split("%")[0].split("@")[0].split("$")[0]
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in stem).strip("._-")
    return kept or "shot"


def _with_flags(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    changes: dict[str, Any] = {}
    plate = recipe.plate
    if args.plate is not None:
        plate = replace(plate, path=args.plate)
    if args.plate_colorspace is not None:
        plate = replace(plate, colorspace=args.plate_colorspace)
    changes["plate"] = plate
    if args.matte is not None:
        named = {"plate": Matte(from_plate_alpha=True), "key": Matte(key="auto")}
        changes["matte"] = named.get(args.matte) or Matte(path=args.matte)
    background = recipe.background
    if args.background is not None:
        still = SequencePath.from_path(args.background).is_still
        background = Background(still=args.background) if still else Background(sequence=args.background)
    if args.background_colorspace is not None:
        background = replace(background, colorspace=args.background_colorspace)
    changes["background"] = background
    if args.probe_background is not None:
        changes["probe_background"] = Probe(path=args.probe_background)
    if args.probe_plate is not None:
        changes["probe_plate"] = Probe(path=args.probe_plate)
    if args.normal is not None:
        changes["normal"] = NormalSource(path=args.normal)
    if args.camera is not None:
        changes["camera"] = CameraSource(path=args.camera)
    if args.ground is not None:
        changes["ground"] = Ground(point=(0.0, args.ground, 0.0))
    if args.engine is not None:
        changes["engine"] = EngineChoice(name=args.engine)
    if args.out is not None:
        changes["output"] = replace(recipe.output if recipe.output else Output(), directory=args.out)
    if args.name is not None:
        changes["name"] = args.name
    return replace(recipe, **changes)


def _absolute(args: argparse.Namespace) -> argparse.Namespace:
    """The arguments with every path that a flag gives made absolute."""
    changed = argparse.Namespace(**vars(args))
    for flag in ("plate", "matte", "background", "probe_background", "probe_plate", "normal", "camera", "out"):
        given = getattr(args, flag)
        if given is not None and (flag, given) not in (("matte", "plate"), ("matte", "key")):
            setattr(changed, flag, str(Path.cwd() / given))
    return changed
