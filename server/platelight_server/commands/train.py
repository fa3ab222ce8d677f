"""`platelight train`: trains HarmoVid's networks, goes on with a run that was stopped, merges adapters."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platelight.errors import RecipeError

KINDS = ("deflicker", "harmonizer")
MERGE = "merge"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of train."""
    parser.epilog = "The same command goes on with a run that was stopped, from its newest checkpoint."
    parser.add_argument(
        "what", choices=(*KINDS, MERGE), nargs="?", default="", help="which network, or merge: adapters into their base"
    )
    parser.add_argument(
        "given", metavar="CONFIG.toml", type=Path, nargs="?", help="the run; for merge the adapter's folder"
    )
    parser.add_argument("--print-config", action="store_true", help="print a configuration with every key explained")
    parser.add_argument("--base", metavar="NAME", help="for merge: the folder of the base, or its name")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="for merge: the checkpoint to write")
    parser.add_argument("--json", action="store_true", help="one JSON object per event on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Trains to the end and prints the result's folder."""
    from platelight_server.training.config import example, read_config

    if args.print_config:
        print(example(args.what if args.what in KINDS else "").to_toml(), end="")
        return 0
    if not args.what:
        raise RecipeError("train", f"one of {', '.join((*KINDS, MERGE))}", "nothing")
    if args.given is None:
        raise RecipeError("CONFIG.toml", "a file, such as one of platelight train deflicker --print-config", "none")
    if args.what == MERGE:
        return _merge(args)
    config = read_config(args.given, args.what)
    from platelight_server.training.trainer import Trainer

    trainer = Trainer(config, _told(args))
    folder = trainer.run()
    if trainer.leads:
        print(json.dumps({"event": "result", "path": str(folder)}) if args.json else folder)
    return 0


def _merge(args: argparse.Namespace) -> int:
    if args.base is None or args.output is None:
        raise RecipeError("merge", "--base and --output", "none" if args.base is None else "no --output")
    from platelight_server.training.network import base_folder
    from platelight_server.training.result import merge

    written = merge(args.given, base_folder(args.base), args.output)
    print(json.dumps({"event": "result", "path": str(written)}) if args.json else written)
    return 0


def _told(args: argparse.Namespace) -> Any:
    def told(said: Mapping[str, Any]) -> None:
        if args.json:
            print(json.dumps(said), flush=True)
        elif not args.quiet:
            print(line(said), file=sys.stderr, flush=True)

    return told


def line(said: Mapping[str, Any]) -> str:
    """An event as a line of progress."""
    values = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in said.items()}
    return " ".join([str(values.pop("event")), *(f"{key}={value}" for key, value in values.items())])
