"""`platelight completion`: a script that completes commands and flags in a shell."""

from __future__ import annotations

import argparse

SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of completion."""
    parser.add_argument("shell", choices=SHELLS, help='for bash: eval "$(platelight completion bash)"')


def run(args: argparse.Namespace) -> int:
    """Prints the script."""
    import shtab

    from platelight_server.cli import parser

    print(shtab.complete(parser(), shell=args.shell))
    return 0
