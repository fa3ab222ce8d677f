"""`platelight logs`: what a job's worker wrote."""

from __future__ import annotations

import argparse
import json
import sys
import time
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING

from platelight.errors import NotFoundError
from platelight.messages import FINAL_STATES

from .remote import add_server_argument, connected, find_job

if TYPE_CHECKING:
    from platelight.client import Job

LOOK_EVERY_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of logs."""
    parser.add_argument("job", help="its id, or the first letters of it")
    add_server_argument(parser)
    parser.add_argument("--follow", action="store_true", help="go on until the job has ended")
    parser.add_argument("--json", action="store_true", help="one JSON object per line on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints the log."""
    with connected(args) as server:
        job = find_job(server, args.job)
        decoder, rest, offset = getincrementaldecoder("utf-8")("replace"), "", 0
        while True:
            over = not args.follow or job.status().state in FINAL_STATES  # asked before: nothing comes after the end
            data = _from(job, offset)
            offset += len(data)
            *lines, rest = (rest + decoder.decode(data)).split("\n")
            _print([*lines, rest] if over and rest else lines, args.json)
            if over:
                return 0
            time.sleep(LOOK_EVERY_S)


def _from(job: Job, offset: int) -> bytes:
    try:
        return job.log_from(offset)
    except NotFoundError:  # no worker has begun it
        return b""


def _print(lines: list[str], as_json: bool) -> None:
    for line in lines:
        print(json.dumps({"line": line}, ensure_ascii=False) if as_json else line)
    sys.stdout.flush()
