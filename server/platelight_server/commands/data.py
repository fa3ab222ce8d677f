"""`platelight data`: makes and checks what HarmoVid's networks are trained on. An action is a module `data_ACTION`."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

# Action -> one line of help. Each is a module of `commands`, `data_` before its name, with add_arguments and run.
ACTIONS = {
    "pairs": "make training pairs of clips with mattes: jitter, relit, deflickered, given",
    "render": "render a moving foreground as light bases, one picture per lamp",
    "combine": "make a shot with its truth of a light basis and two lightings",
    "check": "compare a dataset with its hashes, and say what it holds and under which licences",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of data."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, what in ACTIONS.items():
        sub = actions.add_parser(name, help=what, description=what.capitalize() + ".")
        _module(name).add_arguments(sub)


def run(args: argparse.Namespace) -> int:
    """Does what was asked for."""
    code: int = _module(args.action).run(args)
    return code


def _module(action: str) -> Any:
    return import_module(f"platelight_server.commands.data_{action}")
