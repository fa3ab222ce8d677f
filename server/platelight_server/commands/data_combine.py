"""`platelight data combine`: a light basis under two lightings, as a shot with its ground truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

LIGHTING = "a preset, random:SEED, a lat-long .exr or .hdr, or a .toml with a lighting"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of data combine."""
    parser.add_argument("basis", metavar="BASIS", type=Path, nargs="?", help="a folder made by data render")
    parser.add_argument("out", metavar="SHOT", type=Path, nargs="?", help="folder of the shot, such as set/gt_name")
    parser.add_argument("--a", metavar="LIGHTING", default="studio", help=f"of the plate: {LIGHTING} (default: studio)")
    parser.add_argument("--b", metavar="LIGHTING", default="dusk", help="of the truth, likewise (default: dusk)")
    parser.add_argument(
        "--compression", choices=("dwaa", "zip"), default="dwaa", help="of pictures (default: %(default)s, lossy)"
    )
    parser.add_argument("--list", action="store_true", help="list the presets")


def run(args: argparse.Namespace) -> int:
    """Writes the shot."""
    from platelight.errors import RecipeError

    from ..training.render.lighting import PRESETS, read_lighting

    if args.list:
        for name, preset in PRESETS.items():
            print(f"{name:10} {len(preset.suns)} suns, {len(preset.keys)} keys{', moves' if preset.moves else ''}")
        return 0
    if args.basis is None or args.out is None:
        raise RecipeError("BASIS SHOT", "two folders", "fewer")
    from ..training.render.basis import BasisFolder
    from ..training.render.combine import write_shot

    lightings = read_lighting(args.a), read_lighting(args.b)
    folder = BasisFolder(args.basis)
    write_shot(
        folder,
        *lightings,
        args.out,
        args.compression,
        lambda frame: print(f"frame {frame}", file=sys.stderr, flush=True),
    )
    print(f"{args.out}: {len(folder.frames)} frames, {args.a} -> {args.b}")
    return 0
