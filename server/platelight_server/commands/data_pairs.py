"""`platelight data pairs`: training pairs from folders of clips with mattes, by the stages of the paper."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platelight.errors import RecipeError

if TYPE_CHECKING:
    from platelight_server.training.pairs.makers import Maker

    Told = Any

STAGES = {
    "jitter": "colours and shading that jump from frame to frame; needs no model",
    "relit": "every frame relit on its own by an image model, over a new background",
    "deflickered": "the pairs of a relit dataset, made steady by a trained network",
    "given": "pairs that lie there: relit/ and background/ beside plate/ and matte/ (rendered shots)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of data pairs."""
    listed = "; ".join(f"{name}: {what}" for name, what in STAGES.items())
    parser.epilog = "The same command goes on where it stopped, and makes again what has changed."
    parser.add_argument("stage", choices=tuple(STAGES), help=listed)
    parser.add_argument(
        "--clips", metavar="DIR", type=Path, required=True, help="folders of clips; for deflickered a dataset"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="the dataset folder")
    parser.add_argument("--size", metavar="WxH", default="720x480", help="of its pictures (default: %(default)s)")
    parser.add_argument("--licence", default="", help="of clips that do not state theirs")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="torch device for models (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object per clip on stdout")
    for name, what, default in (
        ("exposure", "jitter of the whole foreground, stops", 0.3),
        ("balance", "jitter of each channel, stops", 0.12),
        ("table", "jitter of colours, stops", 0.2),
        ("shading", "jitter of shading, stops", 0.5),
    ):
        parser.add_argument(f"--{name}", type=float, default=default, help=f"{what} (default: %(default)s)")
    relit = parser.add_argument_group("relit")
    relit.add_argument("--model", default="iclight", help="image relighting model (default: %(default)s)")
    relit.add_argument(
        "--backgrounds", metavar="DIR", type=Path, help="stills and folders of sequences, with clip.toml"
    )
    relit.add_argument("--prompt", default="", help="what the model is told (default: nothing)")
    relit.add_argument("--per-frame-seed", action="store_true", help="noise of its own for every frame: flickers more")
    steady = parser.add_argument_group("deflickered")
    steady.add_argument("--checkpoint", metavar="DIR", type=Path, help="a trained deflickering network")
    steady.add_argument("--base", metavar="NAME", default="", help="its base (default: as it says)")
    parser.add_argument("--steps", type=int, default=20, help="of a model's sampler (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Makes what is missing and prints the dataset's folder."""
    from platelight_server.training.pairs.making import clips_as_sources, make_pairs
    from platelight_server.training.pairs.sources import sources_in

    if args.stage == "deflickered":
        sources, height, width = clips_as_sources(args.clips)
    else:
        width, height = _size(args.size)
        sources = sources_in(args.clips, args.licence)
    made = make_pairs(sources, _maker(args), args.out, height, width, _told(args.json))
    if args.json:
        print(json.dumps({"event": "result", "path": str(args.out), "clips": len(made.manifest.clips)}))
    else:
        print(args.out)
    return 0


def _maker(args: argparse.Namespace) -> Maker:
    from platelight.document import decode
    from platelight_server.training.pairs import makers
    from platelight_server.training.pairs.jitter import Strength

    if args.stage == "given":
        return makers.Given()
    if args.stage == "jitter":
        given = {name: getattr(args, name) for name in ("exposure", "balance", "table", "shading")}
        return makers.Jitter(args.seed, decode(Strength, given))
    if args.steps < 1:
        raise RecipeError("--steps", "at least 1", str(args.steps))
    return _relit(args) if args.stage == "relit" else _deflickered(args)


def _relit(args: argparse.Namespace) -> Maker:
    from platelight_server.training.pairs.makers import Backgrounds, Relit
    from platelight_server.training.pairs.relighting import open_relight_model

    backgrounds = Backgrounds(args.backgrounds, args.seed)
    model, cards, digests = open_relight_model(args.model, args.device)
    asked = {"prompt": args.prompt, "steps": args.steps, "seed": args.seed, "per_frame": args.per_frame_seed}
    return Relit(model, cards, digests, backgrounds, asked)


def _deflickered(args: argparse.Namespace) -> Maker:
    from platelight_server.training.pairs.deflickered import Deflickered
    from platelight_server.training.pairs.relighting import Steadier

    if args.checkpoint is None:
        wanted = "a trained network, as platelight train deflicker makes it; jitter pairs train one without any model"
        raise RecipeError("--checkpoint", wanted, "none")
    network = Steadier(args.checkpoint, args.base, args.device, args.steps, args.seed)
    return Deflickered(network, args.checkpoint, args.steps, args.seed)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) > 15 and int(height) > 15):
        raise RecipeError("--size", "WIDTHxHEIGHT, such as 720x480", repr(text))
    return int(width), int(height)


def _told(as_json: bool) -> Any:
    def told(said: Mapping[str, Any]) -> None:
        if as_json:
            print(json.dumps(said), flush=True)
            return
        kept = "is there" if said["kept"] else f"{said['frames']} frames"
        print(f"{said['clip']}: {kept} ({said['done'] + 1} of {said['of']})", file=sys.stderr, flush=True)

    return told
