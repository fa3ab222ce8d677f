"""`platelight data render`: a moving foreground as light bases, by Blender; any lighting is then a sum of them."""

from __future__ import annotations

import argparse
import json
import sys
import typing
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from platelight.document import decode, hints_of, rule_of

from ..training.render.spec import Spec


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of data render: Blender, and a flag per field of a basis's document."""
    parser.add_argument("folder", metavar="BASIS", type=Path, help="folder of the basis; what is rendered there stays")
    parser.add_argument(
        "--blender", metavar="PATH", type=Path, required=True,
        help="a Blender (4.2 or newer), or a Python that has the module bpy",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, help="for rendering, 0 for all (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object per rendered frame on stdout")
    hints = hints_of(Spec)
    for item in fields(Spec):
        hint, what = hints[item.name], rule_of(item).comment
        flag = "--" + item.name.replace("_", "-")
        if hint is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=item.default, help=what)
            continue
        choices = typing.get_args(hint) or None
        kind = str if choices else hint
        parser.add_argument(
            flag,
            dest=item.name,
            type=kind,
            choices=choices,
            default=item.default,
            help=f"{what} (default: {item.default})",
        )


def run(args: argparse.Namespace) -> int:
    """Renders what is missing."""
    from ..training.render.run import render_basis

    spec = decode(Spec, {item.name: getattr(args, item.name) for item in fields(Spec)})

    def told(line: Mapping[str, Any]) -> None:
        if "frame" not in line:
            return
        if args.json:
            print(json.dumps(line), flush=True)
        else:
            what = "empty set" if line["what"] == "clean" else "frame"
            print(f"{what} {line['frame']}: {line['seconds']} s", file=sys.stderr, flush=True)

    basis = render_basis(spec, args.folder, args.blender, args.threads, told)
    if not args.json:
        print(f"{args.folder}: {spec.frames} frames, {len(basis.lamps)} lamps, Blender {basis.blender}")
    return 0
