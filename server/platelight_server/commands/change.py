"""What `cancel`, `pause`, `resume` and `retry` have in common: several jobs, one wish, and what became of them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from platelight.errors import ServerError, UnreachableError

from .remote import add_server_argument, connected, find_job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of all four."""
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="a job's id, or the first letters of it")
    add_server_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per job on stdout")


def runner(action: str) -> Callable[[argparse.Namespace], int]:
    """The `run` of a command: does it to each job; the exit code is that of the first job that refuses."""

    def run(args: argparse.Namespace) -> int:
        code = 0
        with connected(args) as server:
            for text in args.jobs:
                try:
                    job = find_job(server, text)
                    status = getattr(job, action)()
                except UnreachableError:
                    raise
                except ServerError as error:
                    print(f"platelight {action}: {error}", file=sys.stderr)
                    code = code or error.exit_code
                    continue
                wish = f" ({status.wish} is under way)" if status.wish else ""
                if args.json:
                    print(json.dumps({"job": job.id, "state": status.state, "wish": status.wish}))
                else:
                    print(f"{job.id}  {status.state}{wish}")
        return code

    return run
