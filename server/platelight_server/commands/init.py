"""`platelight init`: a recipe from flags, with every key explained."""

from __future__ import annotations

import argparse
from pathlib import Path

from platelight.errors import OutputError

from .recipe_flags import add_recipe_arguments, recipe_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of init."""
    add_recipe_arguments(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write the recipe here; its paths become relative"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument("--bare", action="store_true", help="leave the explanations out")


def run(args: argparse.Namespace) -> int:
    """Prints the recipe, or writes it."""
    recipe, base, _ = recipe_from(args)
    if args.output is None:
        print(recipe.to_toml(comments=not args.bare), end="")
        return 0
    if args.output.exists() and not args.force:
        raise OutputError(f"{args.output}: exists already; choose another name or add --force")
    text = recipe.resolved(base).relative_to(args.output.absolute().parent).to_toml(comments=not args.bare)
    try:
        args.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{args.output}: cannot be written: {error.strerror}") from None
    print(args.output)
    return 0
