"""`platelight demo`: the main job on a small shot that comes along, through a server of its own.

Needs no input, weights, GPU or network, and leaves neither a process nor a key behind.
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

from platelight.recipe import Recipe

SHOT = Path(__file__).resolve().parents[1] / "demo_shot"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of demo."""
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("demo_out"), help="folder of the result (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per event on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Renders the shot, makes a contact sheet and says what to try next."""
    from platelight.client import connect
    from platelight_server.check import check
    from platelight_server.evaluation.contact_sheet import sheet_png
    from platelight_server.plates.frames_out import write_bytes

    from .own_server import own_server
    from .relight import render_on

    recipe = Recipe.from_toml(SHOT / "recipe.toml")
    recipe = replace(recipe, output=replace(recipe.output, directory=str(args.out.absolute())))
    with own_server() as connection_file, connect(connection_file=connection_file, program="platelight demo") as server:
        code = render_on(server, recipe, SHOT, None, args.json, args.quiet, False)
    if code:
        return code
    sheet = args.out / "demo.contact.png"
    write_bytes(sheet, sheet_png(check(recipe, SHOT)))
    if not args.json:
        print("\n".join(_next(args.out, sheet)))
    return code


def _next(out: Path, sheet: Path) -> list[str]:
    shot, folder = shlex.quote(str(SHOT)), shlex.quote(str(out))
    return [
        f"contact sheet: {sheet}",
        f"layers:        {out / 'demo.1001.exr'} (composite, background, relit, alpha)",
        f"               {out / 'demo.aux.1001.exr'} (foreground, gain, fill, ...)",
        "",
        "try next:",
        f"  platelight info {folder}/demo.1001.exr",
        f"  platelight relight {shot}/recipe.toml --out {folder}_brighter --set look.exposure=0.5",
        "  platelight relight --plate 'plates/sh.####.exr' --matte 'mattes/sh.####.exr' \\",
        "      --background bg.exr --out out/ --name sh010",
    ]
