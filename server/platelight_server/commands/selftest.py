"""`platelight selftest`: what an engine promises, checked on the machine, models and precision that will run it."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Any

from platelight.errors import RecipeError

if TYPE_CHECKING:
    from platelight_server.engines.anyportal.consistency.selftest import Check

EXIT_FAILED = 1
RANDOM = "random"
BACKBONES = ("cogvideox-2b", "cogvideox-5b", "wan2.1-t2v-1.3b")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of selftest."""
    parser.add_argument("engine", choices=("anyportal",), help="which engine")
    parser.add_argument(
        "--backbone", choices=(RANDOM, *BACKBONES), default=RANDOM,
        help="a model that is here, or small random networks (default): they show machine and arithmetic to be sound",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16", "float16"), default="float32", help="of the networks"
    )
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints every check; 1 where one does not hold."""
    import torch

    from platelight_server.engines.anyportal.selftest import all_checks

    dtype = getattr(torch, args.precision)
    try:
        torch.zeros(1, device=args.device)
    except (RuntimeError, AssertionError) as error:
        raise RecipeError("--device", "a torch device of this machine, such as cpu or cuda", str(error)) from None
    found = all_checks(None if args.backbone == RANDOM else args.backbone, dtype, args.device)
    if args.json:
        print(json.dumps([_described(one) for one in found]))
    else:
        for one in found:
            limit = {0.0: "bit for bit", math.inf: "not zero"}.get(one.tolerance, f"within {one.tolerance:.3g}")
            print(f"{'ok   ' if one.passed else 'FAILS'} {one.name} (found {one.value:.3g}, {limit})")
    failed = sum(not one.passed for one in found)
    print(f"{len(found) - failed} of {len(found)} hold on {args.device} in {args.precision}", file=sys.stderr)
    return EXIT_FAILED if failed else 0


def _described(one: Check) -> dict[str, Any]:
    limit = None if math.isinf(one.tolerance) else one.tolerance
    return {"name": one.name, "passed": one.passed, "value": one.value, "tolerance": limit}
