"""`platelight relight`: checks a recipe and renders it, with progress, and ends with the proof."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

from platelight.errors import ResourceError

from .recipe_flags import add_recipe_arguments, recipe_from

if TYPE_CHECKING:
    from platelight_server.check import Checked
    from platelight_server.job import Outcome

EXIT_OF_SIGNAL = {signal.SIGINT: 130, signal.SIGTERM: 143}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of relight."""
    add_recipe_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per event on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--force", action="store_true", help="render frames that are current as well")
    parser.add_argument("--device", default="cpu", help="torch device of the engine (default: cpu)")
    parser.add_argument(
        "--workers", type=_count, metavar="N", help="frames finished at once (default: the number of cores)"
    )


def run(args: argparse.Namespace) -> int:
    """Renders. 0 when all frames are there, 3 when some failed."""
    from platelight_server.check import check

    from .progress import looking

    recipe, base, only = recipe_from(args)
    _check_device(args.device)
    with looking(len(only or recipe.frames), args.json or args.quiet):
        checked = check(recipe, base, only, args.workers)
    for text in checked.warnings:
        print(f"warning: {text}", file=sys.stderr)
    for error in checked.errors[1:]:
        print(f"error: {error}", file=sys.stderr)
    checked.raise_first()
    return render(checked, args.json, args.quiet, args.force, args.device, args.workers)


def render(checked: Checked, as_json: bool, quiet: bool, force: bool, device: str, workers: int | None) -> int:
    """Renders a checked job with progress and signals; returns the exit code."""
    from platelight_server import job
    from platelight_server.evaluation.proof import write_proof

    from .progress import reporter

    stop = _Stop()
    with stop, reporter(len(checked.wanted), as_json, quiet) as report:
        outcome = job.run(checked, report, stop.asked, device, workers, force)
    proof = write_proof(checked, outcome)
    _summary(checked, outcome, proof, as_json)
    if outcome.cancelled:
        return EXIT_OF_SIGNAL.get(stop.received or signal.SIGINT, 130)
    outcome.raise_failed()
    return 0


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return int(text)


def _check_device(name: str) -> None:
    """Raises `ResourceError` where torch cannot put an array there: before the shot is read, not in the middle."""
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ResourceError(
            f"--device: expected a torch device of this machine, such as cpu or cuda, got {name!r}: {reason}"
        ) from None


def _summary(checked: Checked, outcome: Outcome, proof: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"event": "end", "proof": proof}, ensure_ascii=False))
        return
    folder = checked.recipe.output.directory
    if not outcome.rendered and not outcome.failed and not outcome.cancelled:
        print(f"nothing to do: all {len(outcome.current)} frames in {folder} are current")
        return
    kept = f", {len(outcome.current)} were current" if outcome.current else ""
    stopped = "; stopped, the same command goes on from here" if outcome.cancelled else ""
    print(f"{len(outcome.rendered)} frames rendered{kept}{stopped}: {folder}")
    for line in proof["said"]:
        print(line)


class _Stop:
    """The first interrupt or termination asks the job to stop after the frames being written; a second one ends it."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def asked(self) -> bool:
        """True once a signal has come."""
        return self.received is not None

    def __enter__(self) -> _Stop:
        if threading.current_thread() is threading.main_thread():
            for number in EXIT_OF_SIGNAL:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        print("stopping after the frames that are being written; once more to stop at once", file=sys.stderr)
