"""`platelight data check`: whether a dataset's files are what they were, and what it may be used for."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from platelight.errors import FrameError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of data check."""
    parser.add_argument("folder", metavar="DATASET", type=Path, help="a dataset folder")
    parser.add_argument("--json", action="store_true", help="one JSON object per clip on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints a line a clip; 65 where a file is not what was recorded."""
    from platelight_server.training.manifest import NEEDS, check_content, read_manifest

    manifest, worst = read_manifest(args.folder), 0
    for clip in manifest.clips:
        problem = ""
        try:
            check_content(args.folder, clip)
        except FrameError as error:
            problem, worst = str(error), error.exit_code
        trains = [kind for kind, roles in NEEDS.items() if set(roles) <= set(clip.roles)]
        said = {
            "clip": clip.name, "stage": clip.stage, "frames": str(clip.frames), "roles": sorted(clip.roles),
            "trains": trains, "licence": clip.licence, "commercial": clip.commercial, "problem": problem,
        }  # fmt: skip
        if args.json:
            print(json.dumps(said, ensure_ascii=False))
            continue
        use = "" if clip.commercial else " NO commercial use."
        print(f"{clip.name}: {clip.stage}, frames {clip.frames}, {', '.join(sorted(clip.roles))}")
        print(f"  for {' and '.join(trains) or 'no network: roles are missing'}; {clip.licence}.{use}")
        if problem:
            print(f"  {problem}")
    return worst
