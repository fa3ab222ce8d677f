"""`platelight fetch`: copies a job's result from the server, for jobs whose files were uploaded."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .remote import add_server_argument, connected, find_job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of fetch."""
    parser.add_argument("job", help="its id, or the first letters of it")
    parser.add_argument("names", nargs="*", metavar="NAME", help="files of the result (default: all)")
    add_server_argument(parser)
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("out"), help="folder for the files (default: %(default)s)"
    )
    parser.add_argument("--list", action="store_true", help="only list the files")
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")


def run(args: argparse.Namespace) -> int:
    """Fetches or lists, and prints the paths."""
    with connected(args) as server:
        job = find_job(server, args.job)
        if args.list:
            files = job.files()
            shown = [{"name": one.name, "size": one.size} for one in files]
            lines = [f"{one.size:>12}  {one.name}" for one in files]
        else:
            args.out.mkdir(parents=True, exist_ok=True)
            paths = [job.fetch(name, args.out) for name in args.names] if args.names else job.fetch_all(args.out)
            shown, lines = [{"path": str(path)} for path in paths], [str(path) for path in paths]
    print(json.dumps(shown, ensure_ascii=False) if args.json else "\n".join(lines))
    return 0
