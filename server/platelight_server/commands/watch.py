"""`platelight watch`: a job's progress, or the whole queue as it changes. It only looks: the job goes on without it."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from platelight.messages import FINAL_STATES

from .remote import add_server_argument, connected, find_job, render

if TYPE_CHECKING:
    from platelight.client import Client
    from platelight.messages import JobStatus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of watch."""
    parser.add_argument("job", nargs="?", help="its id, or the first letters of it; without: every job that changes")
    add_server_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per event, or per status, on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress, only how it ends")


def run(args: argparse.Namespace) -> int:
    """Watches until the job has ended, with its exit code; the queue until it is interrupted."""
    with connected(args) as server:
        if args.job is None:
            return _queue(server, args.json)
        job = find_job(server, args.job)
        return render(server, job, args.json, args.quiet, None, job.status().total)


def _queue(server: Client, as_json: bool) -> int:
    seen: dict[str, str] = {}
    for status in server.watch():
        line = _line(status)
        if seen.get(status.job) != line:
            seen[status.job] = line
            print(_json(status) if as_json else line, flush=True)
        if status.state in FINAL_STATES:
            seen.pop(status.job)
    return 0


def _json(status: JobStatus) -> str:
    from platelight.document import encode

    return json.dumps(encode(status), ensure_ascii=False)


def _line(status: JobStatus) -> str:
    left = f", {status.seconds_left:.0f} s left" if status.seconds_left and status.state == "running" else ""
    stage = f", {status.stage} {status.step}/{status.steps}" if status.stage and status.state == "running" else ""
    text = f": {status.text}" if status.text else ""
    return f"{status.job}  {status.name}  {status.state}  {status.done}/{status.total}{stage}{left}{text}"
