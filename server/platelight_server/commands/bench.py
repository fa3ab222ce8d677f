"""`platelight bench`: speed, memory, start-up and quality, measured on this machine, as a table or JSON."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platelight.errors import RecipeError

KINDS = {
    "pipeline": "CPU time of a job against the bare reading and writing of its files",
    "memory": "peak memory over the length of a shot",
    "preview": "what a user waits after a change of a light, a probe, the look or the frame",
    "server": "bytes by value, answers under load, many requests, clients that do not read, each against its limit",
    "anyportal": "the stages of that engine with random weights, against the way of the public scripts",
    "training": "a step of HarmoVid's training with random weights, adapters and all weights",
    "start": "start-up of the command line and of the client",
    "deflicker": "synthetic flicker put on clips and taken off again (needs --data)",
    "quality": "scores on rendered ground truth (needs --data)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of bench."""
    listed = "; ".join(f"{name}: {what}" for name, what in KINDS.items())
    parser.add_argument("kind", choices=tuple(KINDS), help=listed)
    parser.add_argument(
        "--size", metavar="WxH", default=None, help="picture size (default: 1920x1080, for preview 3840x2160)"
    )
    parser.add_argument(
        "--frames", metavar="N[,N]", default=None, help="frames; for memory two lengths (default: 24,480)"
    )
    parser.add_argument("--folder", metavar="DIR", type=Path, help="where files are made (default: a temporary folder)")
    parser.add_argument("--data", metavar="DIR", type=Path, help="folder with gt_* shots")
    parser.add_argument("--matte", default="matte", help="which matte of a ground-truth shot (default: %(default)s)")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], dest="values", help="for quality")
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="for server: one of its measures")
    parser.add_argument("--device", default="cpu", help="for anyportal, training: a GPU measures the published sizes")
    parser.add_argument("--steps", type=int, default=None, help="for anyportal (default: 4, on a GPU 20)")
    parser.add_argument("--backbone", choices=("cogvideox-2b", "cogvideox-5b"), default="cogvideox-2b")
    parser.add_argument("--seed", type=int, default=0, help="for deflicker: which flicker (default: %(default)s)")
    parser.add_argument("--strength", type=float, default=0.35, help="for deflicker: stops RMS (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="JSON on stdout")


def run(args: argparse.Namespace) -> int:
    """Measures and prints."""
    with _folder(args.folder) as folder:
        found = _measured(args, folder)
    if args.json:
        print(json.dumps(found))
    elif args.kind == "server":
        _print_limits(found)
    elif isinstance(found, list):
        _print_rows(found)
    else:
        _print_figures(found)
    return 0


def _measured(args: argparse.Namespace, folder: Path) -> Any:
    width, height = _size(args.size or ("3840x2160" if args.kind == "preview" else "1920x1080"))
    if args.kind == "pipeline":
        from platelight_server.evaluation.bench_pipeline import measure_pipeline

        (frames,) = _lengths(args.frames or "12", 1)
        return measure_pipeline(folder, width, height, frames).as_dict()
    if args.kind == "server":
        from platelight_server.evaluation.bench_server import measure_server

        return [figure.as_dict() for figure in measure_server(folder, args.only)]
    if args.kind == "preview":
        from platelight_server.evaluation.bench_preview import measure_preview

        (frames,) = _lengths(args.frames or "24", 1)
        return [row.as_dict() for row in measure_preview(folder, width, height, frames)]
    if args.kind == "anyportal":
        from platelight_server.evaluation.bench_anyportal import measure_anyportal

        full = args.device != "cpu"
        (frames,) = _lengths(args.frames or ("49" if full else "9"), 1)
        steps = args.steps or (20 if full else 4)
        return [row.as_dict() for row in measure_anyportal(args.device, full, frames, steps, args.backbone)]
    if args.kind == "training":
        from platelight_server.evaluation.bench_training import measure_training

        full = args.device != "cpu"
        (frames,) = _lengths(args.frames or ("49" if full else "9"), 1)
        return [row.as_dict() for row in measure_training(args.device, full, frames, args.backbone, args.steps or 3)]
    from platelight_server.evaluation import bench_process

    if args.kind == "memory":
        lengths = _lengths(args.frames or "24,480", 2)
        return bench_process.measure_memory(folder, width, height, lengths).as_dict()
    if args.kind == "start":
        return bench_process.measure_start().as_dict()
    if args.kind == "deflicker" and args.data is not None:
        from platelight_server.evaluation.bench_deflicker import measure_deflicker

        if args.seed < 0:
            raise RecipeError("--seed", "0 or more", args.seed)
        if not 0 < args.strength <= 4:
            raise RecipeError("--strength", "stops above 0 and up to 4", args.strength)
        return measure_deflicker(args.data.absolute(), seed=args.seed, strength=args.strength)
    if args.data is None:
        raise RecipeError("--data", "the folder of the ground-truth shots", "none")
    from platelight_server.evaluation.bench_quality import measure_quality

    return measure_quality(args.data.absolute(), folder, args.matte, args.values)


def _lengths(text: str, count: int) -> list[int]:
    parts = text.split(",")
    if len(parts) != count or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise RecipeError("--frames", "a number of frames" if count == 1 else "two numbers, such as 24,480", repr(text))
    return [int(part) for part in parts]


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) > 15 and int(height) > 15):
        raise RecipeError("--size", "WIDTHxHEIGHT, such as 4096x2160", repr(text))
    return int(width), int(height)


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="platelight-bench-") as made:
        yield Path(made)


def _print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    texts = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    widths = [min(max(15, *map(len, column)), 34) for column in zip(*texts, strict=True)]
    for line in [[str(key) for key in rows[0]], *texts]:
        print(" ".join(f"{text[-width:]:>{width}}" for text, width in zip(line, widths, strict=True)))


def _print_limits(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        sign = "<=" if row["most"] else ">="
        limit = "" if row["limit"] is None else f"{sign} {row['limit']:g}"
        verdict = "" if row["limit"] is None else "ok" if row["ok"] else "FAILS"
        measured = f"{row['value']:.3f} {row['unit']}".strip()
        print(f"{row['measure']:<10} {row['name']:<36} {measured:>20} {limit:>9} {verdict:<5}  {row['said']}".rstrip())


def _print_figures(found: Mapping[str, Any]) -> None:
    for key, value in found.items():
        if key == "stages":
            total = sum(value.values()) or 1
            for stage, seconds in value.items():
                print(f"  {stage:<18} {seconds:10.4f} s CPU a frame, {100 * seconds / total:5.1f} %")
        elif isinstance(value, dict):
            print(f"{key:<20} " + ", ".join(f"{k}: {v}" for k, v in value.items()))
        else:
            print(f"{key:<20} {value:.4f}" if isinstance(value, float) else f"{key:<20} {value}")
