"""`platelight evaluate`: measures a result against a truth, or against what it has to keep of plate and background."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from platelight.errors import RecipeError

if TYPE_CHECKING:
    from platelight_server.evaluation.metrics.measuring import Report
    from platelight_server.evaluation.metrics.metric import Setting

PARTS = {
    "truth": "the clip as it should be",
    "plate": "the filmed plate",
    "matte": "the matte of the foreground",
    "background": "the background without the foreground; a still will do",
    "foreground": "the plate's foreground, premultiplied (default: the plate by the matte)",
    "truth-foreground": "the truth's foreground, premultiplied, for a layer relit in the result",
    "motion": "motion vectors: where each pixel was in the frame before, in pixels, y down (default: optical flow)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of evaluate."""
    parser.add_argument("--result", metavar="PATTERN", help="what is measured: name.####.exr, or a job's folder")
    for part, what in PARTS.items():
        parser.add_argument(f"--{part}", metavar="PATTERN", help=what)
    parser.add_argument("--shot", metavar="DIR", type=Path, help="a folder with shot.json that has all but the result")
    parser.add_argument("--frames", metavar="RANGE", help="such as 1001-1024 (default: all of the truth or the plate)")
    parser.add_argument("--only", metavar="METRIC", action="append", help="one metric; may be repeated")
    parser.add_argument("--joins", metavar="RANGE", help="frames at which windows of the engine begin, for seam_mEV")
    parser.add_argument("--prompt", default="", help="what the new place is, for frame_accuracy")
    parser.add_argument("--source-prompt", default="", help="what the old place is, for frame_accuracy")
    parser.add_argument(
        "--motion-channels", metavar="X,Y", default="mv_prev.x,mv_prev.y", help="(default: %(default)s)"
    )
    parser.add_argument("--colorspace", default="auto", help="of files that do not say theirs (default: refuse them)")
    parser.add_argument("--device", default="cpu", help="where networks run (default: %(default)s)")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write a page of frames and curves: *.html or *.png")
    parser.add_argument(
        "--list", action="store_true", help="list the metrics: formula, region, source, what is missing"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(args: argparse.Namespace) -> int:
    """Measures and prints; 0 also where a gate is not kept, which the output says."""
    from platelight.frames import FrameRange
    from platelight_server.evaluation.metrics.metric import Setting

    joins = tuple(FrameRange.parse(args.joins)) if args.joins else ()
    setting = Setting(joins, args.prompt, args.source_prompt, args.device)
    if args.list:
        return _list(setting, args.json)
    if args.out is not None:
        from platelight_server.evaluation.metrics.sheet import require_suffix

        require_suffix(args.out)  # before minutes are spent
    report = _measured(args, setting)
    if args.json:
        print(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        _print(report)
    return 0


def _measured(args: argparse.Namespace, setting: Setting) -> Report:
    from platelight_server.evaluation.metrics.measuring import measure
    from platelight_server.evaluation.metrics.sources import of_shot, open_clip

    if not args.result:
        raise RecipeError("--result", "the frames to measure, such as out/name.####.exr", "none")
    name, parts, frames = of_shot(args.shot) if args.shot else ("", {}, None)
    given = {part.replace("-", "_"): getattr(args, part.replace("-", "_")) for part in PARTS}
    parts |= {part: text for part, text in given.items() if text}
    channels = args.motion_channels.split(",")
    if len(channels) != 2:
        raise RecipeError("--motion-channels", "two names, such as mv_prev.x,mv_prev.y", repr(args.motion_channels))
    clip = open_clip(args.result, parts, args.frames or frames, name, args.colorspace, (channels[0], channels[1]))
    report = measure(clip, setting, args.only, _silent if args.quiet or args.json else _told)
    if args.out is not None:
        from platelight_server.evaluation.metrics.sheet import sheet_of, write

        write(args.out, sheet_of(report, clip))
        print(f"report: {args.out}", file=sys.stderr)
    return report


def _print(report: Report) -> None:
    from platelight_server.evaluation.metrics.measuring import compared
    from platelight_server.evaluation.metrics.registry import METRICS

    print(f"{report.name}: {len(report.frames)} frames, {report.frames[0]}-{report.frames[-1]}")
    print(f"{'metric':<22}" + "".join(f"{row:>12}" for row in report.rows) + "   better     region")
    for name in report.rows["result"]:
        values = [row.get(name) for row in report.rows.values()]
        cells = "".join(f"{'-' if value is None else f'{value:.3f}':>12}" for value in values)
        metric = METRICS[name]
        print(f"{name:<22}{cells}   {metric.better:<10} {metric.region}{f', {metric.unit}' if metric.unit else ''}")
    if "paste" in report.rows:
        for word, names in compared(report.rows).items():
            print(f"{word} than a plain paste: {', '.join(names) or 'nothing'}")
    if report.failed:
        print(f"gates that are not kept: {', '.join(report.failed)}")
    if report.nonfinite:
        print(f"{report.nonfinite} values of the result are not finite")
    for name, reason in report.skipped.items():
        print(f"skipped {name}: {reason}")


def _list(setting: Setting, as_json: bool) -> int:
    from platelight_server.evaluation.metrics.registry import LEFT_OUT, described

    metrics = described(setting)
    if as_json:
        print(json.dumps({"metrics": metrics, "left_out": LEFT_OUT}, ensure_ascii=False))
        return 0
    for one in metrics:
        networks = [f"model {name}" for name in one["models"]]
        needs = ", ".join([*one["needs"], *networks, *filter(None, [one["package"]])])
        unit = f", {one['unit']}" if one["unit"] else ""
        print(f"{one['name']}{unit}: {one['better']} is better")
        print(f"  {one['formula']}")
        print(f"  over: {one['region']}; needs: {needs or 'the result alone'}; from: {one['source']}")
        if one["missing"]:
            print(f"  missing now: {one['missing']}")
    for name, reason in LEFT_OUT.items():
        print(f"left out: {name}: {reason}")
    return 0


def _told(done: int, of: int) -> None:
    if done == of or done % 8 == 0:
        print(f"measured {done} of {of}", file=sys.stderr)


def _silent(done: int, of: int) -> None:
    pass
