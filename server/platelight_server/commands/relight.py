"""`platelight relight`: checks a recipe and renders it, here or on a server, with progress, and ends with the proof."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from platelight.errors import InputError, RefusedError, ResourceError
from platelight.frames import FrameRange
from platelight.recipe import Recipe

from .interrupts import EXIT_OF_SIGNAL, Stop
from .recipe_flags import add_recipe_arguments, recipe_from

if TYPE_CHECKING:
    from platelight.client import Client
    from platelight_server.check import Checked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of relight."""
    add_recipe_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per event on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--force", action="store_true", help="render frames that are current as well")
    parser.add_argument(
        "--server", metavar="ADDR|FILE", help="render on this server; its device and workers are its own"
    )
    parser.add_argument("--upload", action="store_true", help="with --server: send the files, and fetch the result")
    parser.add_argument("--device", default="cpu", help="torch device of the engine (default: cpu)")
    parser.add_argument(
        "--workers", type=_count, metavar="N", help="frames finished at once (default: the number of cores)"
    )


def run(args: argparse.Namespace) -> int:
    """Renders. 0 when all frames are there, 3 when some failed."""
    if args.server is not None:
        return _run_on_server(args)
    if args.upload:
        raise InputError("--upload: expected --server, to which the files are to go")
    from platelight_server.check import check

    from .progress import looking

    recipe, base, only = recipe_from(args)
    check_device(args.device)
    with looking(len(only or recipe.frames), args.json or args.quiet):
        checked = check(recipe, base, only, args.workers, device=args.device)
    for text in checked.warnings:
        print(f"warning: {text}", file=sys.stderr)
    for error in checked.errors[1:]:
        print(f"error: {error}", file=sys.stderr)
    checked.raise_first()
    return render(checked, args.json, args.quiet, args.force, args.device, args.workers)


def render(checked: Checked, as_json: bool, quiet: bool, force: bool, device: str, workers: int | None) -> int:
    """Renders a checked job with progress and signals; returns the exit code."""
    from platelight.messages import Advice
    from platelight_server import job
    from platelight_server.evaluation.proof import write_proof

    from .progress import reporter
    from .summary import Summed, summary

    stop = Stop()
    with stop, reporter(len(checked.wanted), as_json, quiet) as report:
        outcome = job.run(checked, report, stop.asked, device, workers, force)
    proof = write_proof(checked, outcome)
    advice = tuple(Advice(one["text"], tuple(one["settings"])) for one in proof["advice"])
    result = Summed(len(outcome.rendered), len(outcome.current), tuple(outcome.failed), tuple(proof["said"]), advice)
    summary(result, outcome.cancelled, checked.recipe.output.directory, proof, as_json)
    if outcome.cancelled:
        return EXIT_OF_SIGNAL.get(stop.received or signal.SIGINT, 130)
    outcome.raise_failed()
    return 0


def _run_on_server(args: argparse.Namespace) -> int:
    from .remote import connected

    recipe, base, only = recipe_from(args)
    with connected(args) as server:
        return render_on(server, recipe, base, only, args.json, args.quiet, args.force, args.upload)


def render_on(
    server: Client,
    recipe: Recipe,
    base: Path,
    only: FrameRange | None,
    as_json: bool,
    quiet: bool,
    force: bool,
    upload: bool = False,
) -> int:
    """Renders a recipe on a server as `render` does here. If this process dies, the job goes on."""
    from .progress import looking
    from .remote import render as followed
    from .remote import said_problems, upload_progress

    frames = only or recipe.frames
    with Stop() as stop:
        try:
            with looking(len(frames), as_json or quiet or upload):
                said = upload_progress(as_json or quiet)
                job = server.submit(recipe, base, only, force=force, upload=upload, progress=said)
        except RefusedError as error:
            raise said_problems(error) from None
        for text in job.warnings:
            print(f"warning: {text}", file=sys.stderr)
        fetch_to = base.absolute() / recipe.output.directory if upload else None
        return followed(server, job, as_json, quiet, stop, len(frames), fetch_to)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return int(text)


def check_device(name: str) -> None:
    """Raises `ResourceError` where torch cannot put an array there: before the shot is read, not in the middle."""
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ResourceError(
            f"--device: expected a torch device of this machine, such as cpu or cuda, got {name!r}: {reason}"
        ) from None
