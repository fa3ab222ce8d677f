"""`platelight deflicker`: steadies the light of any relit sequence against the plate that it was made from."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platelight.errors import RecipeError
from platelight.frames import FrameRange

from .interrupts import EXIT_OF_SIGNAL, Stop

if TYPE_CHECKING:
    from platelight_server.outcome import Outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of deflicker."""
    shot = parser.add_argument_group("sequences (patterns such as name.####.exr, or folders)")
    shot.add_argument("--source", metavar="PATTERN", required=True, help="the plate as filmed")
    shot.add_argument("--relit", metavar="PATTERN", required=True, help="the same frames relit, which flicker")
    shot.add_argument("--matte", metavar="PATTERN", help="where it was relit; the rest stays as it is (default: all)")
    shot.add_argument(
        "--vectors", metavar="PATTERN", help="motion vectors of the source to the frame before: a layer Vector.X,Y"
        " (Blender's, up), backward.u,v (Nuke's, up) or mv_prev.x,y (down), in pixels; default: they are found",
    )  # fmt: skip
    shot.add_argument("--out", metavar="PATTERN|DIR", required=True, help="where the result goes")
    shot.add_argument("--frames", metavar="RANGE", help="the part to write; frames around it are read all the same")
    shot.add_argument("--source-colorspace", metavar="NAME", default="auto", help="where the header does not say")
    shot.add_argument("--relit-colorspace", metavar="NAME", default="auto", help="the same; the result is in it")
    dials = parser.add_argument_group("dials")
    dials.add_argument(
        "--radius", type=int, default=6, metavar="FRAMES",
        help="frames on either side that a frame is steadied by; light that changes in fewer is taken for flicker, save"
        " steps, cuts and single frames more than 1.5 stops away (default: %(default)s)",
    )  # fmt: skip
    dials.add_argument("--strength", type=float, default=1.0, help="0 changes nothing (default: %(default)s)")
    dials.add_argument(
        "--detail", type=float, default=0.0,
        help="whose detail, finer than --lines: 0 the source's, 1 the relit picture's own (default: %(default)s)",
    )  # fmt: skip
    dials.add_argument(
        "--lines", type=int, default=540, help="the size that light is steadied at (default: %(default)s)"
    )
    dials.add_argument(
        "--missing", choices=("refuse", "hold", "black", "skip"), default="refuse",
        help="missing and damaged frames: end before work, show the nearest earlier whole frame (else the next), black,"
        " or write none; the others are steadied without them (default: %(default)s)",
    )  # fmt: skip
    dials.add_argument("--repair", action="store_true", help="NaN becomes 0 and Inf 65504, instead of an error")
    dials.add_argument("--compression", choices=("none", "rle", "zips", "zip", "piz", "dwaa"), default="zips")
    parser.add_argument("--json", action="store_true", help="one JSON object per event on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--force", action="store_true", help="write frames that are current as well")


def run(args: argparse.Namespace) -> int:
    """Deflickers. 0 when all frames are there, 3 when some failed."""
    from platelight_server.deflicker.steady import RADIUS_MOST

    for name, low, high in (("radius", 0, RADIUS_MOST), ("strength", 0, 1), ("detail", 0, 1), ("lines", 16, 4320)):
        if not low <= getattr(args, name) <= high:
            raise RecipeError(f"--{name}", f"{low} to {high}", f"{getattr(args, name):g}")
    from platelight_server.deflicker import job
    from platelight_server.deflicker.check import check
    from platelight_server.deflicker.sequence import Asked

    from .progress import looking, reporter

    asked = Asked(
        args.source, args.relit, args.out, args.matte, args.vectors,
        None if args.frames is None else FrameRange.parse(args.frames),
        args.radius, args.strength, args.detail, args.lines, args.source_colorspace, args.relit_colorspace,
        args.missing, args.repair, args.compression,
    )  # fmt: skip
    with looking(len(asked.frames or ()), args.json or args.quiet):
        checked = check(asked)
    for text in checked.warnings:
        print(f"warning: {text}", file=sys.stderr)
    for error in checked.errors[1:]:
        print(f"error: {error}", file=sys.stderr)
    opened, stop = checked.raise_first(), Stop()
    with stop, reporter(len(opened.wanted), args.json, args.quiet) as report:
        outcome = job.run(opened, report, stop.asked, args.force)
    print(json.dumps(_end(outcome)) if args.json else _summed(outcome, opened.out.directory))
    if outcome.cancelled:
        return EXIT_OF_SIGNAL.get(stop.received or signal.SIGINT, 130)
    outcome.raise_failed()
    return 0


def _end(outcome: Outcome) -> dict[str, Any]:
    return {
        "event": "end", "rendered": outcome.rendered, "current": outcome.current,
        "failed": {str(frame): text for frame, text in outcome.failed.items()}, "cancelled": outcome.cancelled,
    }  # fmt: skip


def _summed(outcome: Outcome, folder: Path) -> str:
    """What was done, in a line."""
    if not outcome.rendered and not outcome.failed and not outcome.cancelled:
        return f"nothing to do: all {len(outcome.current)} frames in {folder} are current"
    stopped = "; stopped, the same command goes on from here" if outcome.cancelled else ""
    kept = f", {len(outcome.current)} were current" if outcome.current else ""
    lost = f", {len(outcome.failed)} failed" if outcome.failed else ""
    return f"{len(outcome.rendered)} frames steadied{kept}{lost}{stopped}: {folder}"
