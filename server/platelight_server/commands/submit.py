"""`platelight submit`: puts a shot into a server's queue and prints the job's id."""

from __future__ import annotations

import argparse
import json
import sys

from platelight.errors import RefusedError

from .recipe_flags import add_recipe_arguments, recipe_from
from .remote import add_server_argument, connected, render, said_problems, upload_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of submit."""
    add_recipe_arguments(parser)
    add_server_argument(parser)
    parser.add_argument(
        "--priority", type=int, choices=range(101), metavar="N", default=50, help="0 to 100, higher runs first"
    )
    parser.add_argument("--key", help="submitting twice with the same key gives the same job")
    parser.add_argument("--force", action="store_true", help="render frames that are current as well")
    parser.add_argument("--upload", action="store_true", help="send the files, for a server that does not see them")
    parser.add_argument("--wait", action="store_true", help="show progress until the job has ended")
    parser.add_argument("--json", action="store_true", help="JSON on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Submits; with --wait the exit code is that of the job."""
    recipe, base, only = recipe_from(args)
    quiet = args.quiet or args.json
    with connected(args) as server:
        try:
            job = server.submit(
                recipe, base, only, args.priority, args.key, args.force, args.upload, upload_progress(quiet)
            )
        except RefusedError as error:
            raise said_problems(error) from None
        for text in job.warnings:
            print(f"warning: {text}", file=sys.stderr)
        if args.json:
            print(json.dumps({"event": "accepted", "job": job.id, "new": job.new, "warnings": list(job.warnings)}))
        else:
            print(job.id)
        if not args.wait:
            return 0
        sys.stdout.flush()
        fetch_to = base.absolute() / recipe.output.directory if args.upload else None
        return render(server, job, args.json, args.quiet, None, len(only or recipe.frames), fetch_to)
