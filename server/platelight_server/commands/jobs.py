"""`platelight jobs`: the queue and the history of a server, newest first."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from platelight.messages import STATES

from .remote import add_server_argument, connected

if TYPE_CHECKING:
    from platelight.messages import JobStatus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of jobs."""
    add_server_argument(parser)
    parser.add_argument("--state", action="append", choices=STATES, default=[], help="only these; may be repeated")
    parser.add_argument("--limit", type=int, metavar="N", default=50, help="at most so many (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints a table."""
    with connected(args) as server:
        jobs = server.jobs(tuple(args.state), args.limit)
    if args.json:
        from platelight.document import encode

        print(json.dumps([encode(one) for one in jobs], ensure_ascii=False))
    elif jobs:
        print("\n".join(table(jobs)))
    else:
        print("no jobs", file=sys.stderr)
    return 0


def table(jobs: Sequence[JobStatus]) -> list[str]:
    """A heading and a line for each job."""
    rows = [("JOB", "STATE", "NAME", "FRAMES", "DONE", "PRIORITY", "AGE", "CLIENT", "")]
    rows += [
        (
            one.job, f"{one.state} ({one.wish})" if one.wish else one.state, one.name, one.frames,
            f"{one.done}/{one.total}", str(one.priority), age(time.time() - one.created), one.client, one.text,
        )
        for one in jobs
    ]  # fmt: skip
    widths = [min(max(len(row[i]) for row in rows), 40) for i in range(8)]
    return ["  ".join([*(f"{row[i]:<{widths[i]}}" for i in range(8)), row[8]]).rstrip() for row in rows]


def age(seconds: float) -> str:
    """A time span in its largest unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
