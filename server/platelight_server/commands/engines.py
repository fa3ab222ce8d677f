"""`platelight engines`: what there is to choose from, with options and licences."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of engines."""
    parser.add_argument("name", nargs="?", help="one engine, with its options")
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")


def run(args: argparse.Namespace) -> int:
    """Prints the engines' capabilities."""
    from platelight_server.engines.registry import checked_options, engine_class, engine_names

    chosen = [args.name] if args.name else list(engine_names())
    kinds = [engine_class(name) for name in chosen]
    found = [kind.capabilities_for(checked_options(kind.capabilities, {})) for kind in kinds]  # models of the defaults
    if args.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False))
        return 0
    for one in found:
        print(f"{one.name}: {one.summary}")
        print(
            f"  backgrounds: {', '.join(one.backgrounds)}; sees {one.window_frames} frames at {one.model_height} lines"
        )
        uses = [
            word
            for word, used in (("probes", one.uses_probes), ("lights", one.uses_lights), ("camera", one.uses_camera))
            if used
        ]
        print(f"  uses: {', '.join(uses) or 'plate and matte alone'}")
        for licence in one.licences:
            allowed = "commercial use allowed" if licence.commercial else "NO commercial use, opt-in"
            print(f"  model {licence.model}: {licence.licence} ({allowed})")
        if not one.licences:
            print("  models: none, no weights needed")
        for option in one.options:
            limits = f" ({', '.join(option.choices)})" if option.choices else ""
            unit = f" {option.unit}" if option.unit else ""
            default = option.default if isinstance(option.default, str) else json.dumps(option.default)
            print(f"  --set engine.{option.name}={default}{unit}{limits}: {option.description}")
    return 0
