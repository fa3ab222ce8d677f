"""`platelight serve`: the server. Answers at once, keeps jobs over any crash, lets nobody in who is not known."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from pathlib import Path

from platelight.connection import FILE_NAME, home
from platelight.errors import InputError
from platelight.messages import RootEntry

LISTEN = "tcp://127.0.0.1:*"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of serve."""
    parser.add_argument("--listen", metavar="ADDR", default=LISTEN, help="ZeroMQ address (default: %(default)s)")
    parser.add_argument(
        "--root", metavar="NAME=DIR[:ro]", action="append", default=[], dest="roots",
        help="a media root; nothing outside the roots is read or written (default on loopback: everything you can)",
    )  # fmt: skip
    parser.add_argument("--home", metavar="DIR", type=Path, help="keys, jobs, spool and logs (default: your own)")
    parser.add_argument("--connection-file", metavar="FILE", type=Path, help="default: HOME/connection.json")
    parser.add_argument(
        "--device", metavar="D", action="append", dest="devices", help="torch device, one worker each (default: cpu)"
    )
    parser.add_argument("--workers", metavar="N", type=int, default=0, help="frames finished at once by a worker")
    parser.add_argument(
        "--queue", metavar="N", type=int, default=10_000, help="jobs that may wait (default: %(default)s)"
    )
    parser.add_argument(
        "--spool-gb", metavar="GB", type=float, default=100.0, help="for uploads (default: %(default)s)"
    )
    parser.add_argument(
        "--stall", metavar="S", type=float, default=900.0, help="a worker that does not get on is replaced"
    )
    parser.add_argument(
        "--memory-mb", metavar="MB", type=int, default=1024, help="of the front process (default: %(default)s)"
    )
    parser.add_argument(
        "--engine-module", metavar="M", action="append", default=[], dest="engine_modules",
        help="a Python module that registers more engines",
    )  # fmt: skip
    parser.add_argument("--insecure-loopback", action="store_true", help="no CURVE; for a machine with a single user")
    parser.add_argument("--json", action="store_true", help="say on stdout how to connect, as JSON, without secrets")


def run(args: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT."""
    from platelight_server.service.front import Front, Settings, stop_on_signals

    if args.insecure_loopback and not args.listen.startswith("tcp://127."):
        raise InputError(f"--insecure-loopback: expected a loopback address, got --listen {args.listen}")
    where = args.home.absolute() if args.home else home()
    settings = Settings(
        home=where, connection_file=(args.connection_file or where / FILE_NAME).absolute(), listen=args.listen,
        roots=tuple(_root(text) for text in args.roots), devices=tuple(args.devices or ("cpu",)),
        curve=not args.insecure_loopback, most_waiting=args.queue, spool_bytes=int(args.spool_gb * 2**30),
        cores=args.workers or os.cpu_count() or 1, stall_s=args.stall, modules=tuple(args.engine_modules),
        memory_bytes=args.memory_mb << 20,
    )  # fmt: skip
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    front = Front(settings)
    stop_on_signals(settings.stop)

    def ready(connection: object) -> None:
        address, file = front.address, str(settings.connection_file)
        if args.json:
            print(json.dumps({"address": address, "connection_file": file, "epoch": front.epoch}), flush=True)
        else:
            print(f"serving on {address} ({file})", flush=True)

    front.run(ready)
    return 0


def _root(text: str) -> RootEntry:
    match = re.fullmatch(r"([a-z][a-z0-9_-]{1,31})=(.+?)(:ro)?", text)
    if match is None or match[1] == "job":
        raise InputError(f"--root: expected NAME=DIR or NAME=DIR:ro, a name of small letters, got {text!r}")
    folder = Path(match[2]).absolute()
    if not folder.is_dir():
        raise InputError(f"--root {match[1]}: expected a folder, got {folder}")
    return RootEntry(match[1], str(folder), match[3] is None)
