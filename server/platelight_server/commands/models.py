"""`platelight models`: which models there are, where they lie, how to get them, whether their files are whole."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from platelight.errors import InputError, ModelError
from platelight_server.models.card import ModelCard
from platelight_server.models.catalogue import CATALOGUE, card
from platelight_server.models.consent import accept, accepted, needs_consent, statement
from platelight_server.models.folders import download_command, find, found_in, models_folders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of models."""
    parser.add_argument("--json", action="store_true", help="one JSON array on stdout")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, what in (
        ("where", "print the folder of a model, or how to get it"),
        ("verify", "check the files of models against their hashes"),
        ("accept", "agree to a model's licence"),
        ("convert", "make safetensors of a checkpoint that was published as a pickle"),
    ):
        sub = actions.add_parser(name, help=what, description=what.capitalize() + ".")
        sub.add_argument("--json", action="store_true", help="JSON on stdout")
        if name in ("where", "accept"):
            sub.add_argument("name", help="a model, such as cogvideox-2b")
        if name == "verify":
            sub.add_argument("name", nargs="*", help="models (default: all that are here)")
            sub.add_argument("--trust", action="store_true", help="take the files of the named models as they are now")
        if name == "convert":
            sub.add_argument("file", type=Path, help="a .pth, .pt, .bin or .ckpt file")
            sub.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to (default: beside it)")


def run(args: argparse.Namespace) -> int:
    """Lists, or does what was asked for; 65 where a model is missing or damaged."""
    actions = {"where": _where, "verify": _verify, "accept": _accept, "convert": _convert}
    return actions[args.action](args) if args.action else _list(args)


def _list(args: argparse.Namespace) -> int:
    agreed = accepted(CATALOGUE)
    described = [_described(one, agreed) for one in CATALOGUE]
    if args.json:
        print(json.dumps(described, ensure_ascii=False))
        return 0
    for one, said in zip(CATALOGUE, described, strict=True):
        print(f"{one.name}: {one.purpose}")
        print(f"  {one.stage}, used by {', '.join(one.used_by)}; {_size(one)} from {one.source}")
        print(f"  {one.licence}: {_use(one, agreed)}")
        print(f"  {'found in ' + said['folder'] if said['folder'] else 'not here'}")
        if one.unverified:
            print(f"  not verified at the source: {one.unverified}")
    print(f"looked in {', '.join(map(str, models_folders()))}; `platelight models where NAME` says how to get one")
    return 0


def _described(one: ModelCard, agreed: frozenset[str]) -> dict[str, Any]:
    folder = found_in(one, models_folders())
    return {
        "name": one.name,
        "purpose": one.purpose,
        "stage": one.stage,
        "used_by": one.used_by,
        "source": one.source,
        "revision": one.revision,
        "files": one.files,
        "size_bytes": one.size_bytes,
        "licence": one.licence,
        "licence_url": one.licence_url,
        "terms": one.terms,
        "commercial": one.commercial,
        "conditions": one.conditions,
        "accepted": one.name in agreed or not needs_consent(one),
        "unverified": one.unverified,
        "folder": None if folder is None else str(folder),
        "download": download_command(one, folder or models_folders()[0] / one.name),
    }


def _where(args: argparse.Namespace) -> int:
    one = card(args.name)
    if args.json:
        said = _described(one, accepted(CATALOGUE))
        print(json.dumps({**said, "looked_in": [str(folder) for folder in models_folders()]}, ensure_ascii=False))
        return 0 if said["folder"] else ModelError.exit_code
    print(find(one))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from platelight_server.models.record import trust, verify
    from platelight_server.models.structure import check_classes

    if args.trust and not args.name:
        raise InputError("models verify --trust: expected the names of the models to trust")
    worst = 0
    for one in _chosen(args.name):
        said: dict[str, Any] = {"name": one.name, "ok": True, "problem": ""}
        try:
            folder = find(one)
            done = trust(one, folder) if args.trust else verify(one, folder)
            check_classes(folder)
            said |= {"folder": str(folder), "digest": done.digest, "first": done.first}
        except ModelError as error:
            said |= {"ok": False, "problem": str(error)}
            worst = error.exit_code
        print(json.dumps(said, ensure_ascii=False) if args.json else _verdict(said))
    return worst


def _chosen(names: Sequence[str]) -> list[ModelCard]:
    if names:
        return [card(name) for name in names]
    here = [one for one in CATALOGUE if found_in(one, models_folders())]
    if not here:
        print(f"no models in {', '.join(map(str, models_folders()))}", file=sys.stderr)
    return here


def _verdict(said: dict[str, Any]) -> str:
    if not said["ok"]:
        return f"{said['name']}: {said['problem']}"
    compared = "recorded now, nothing to compare with before" if said["first"] else "as recorded"
    return f"{said['name']}: whole, {compared} ({said['digest'][:12]}), in {said['folder']}"


def _accept(args: argparse.Namespace) -> int:
    one = card(args.name)
    if not needs_consent(one):
        said = f"{one.name}: nothing to agree to; {statement(one)}"
    else:
        said = f"{one.name}: agreed to; {statement(one)} Noted in {accept(one)}"
    print(json.dumps({"name": one.name, "accepted": True, "said": said}, ensure_ascii=False) if args.json else said)
    return 0


def _convert(args: argparse.Namespace) -> int:
    from platelight_server.models.convert import convert

    written = convert(args.file, args.output)
    print(json.dumps({"file": str(written)}) if args.json else written)
    return 0


def _size(one: ModelCard) -> str:
    return f"{one.size_bytes / 1e9:.1f} GB" if one.size_bytes >= 1e9 else f"{one.size_bytes / 1e6:.0f} MB"


def _use(one: ModelCard, agreed: frozenset[str]) -> str:
    allowed = {
        "free": "commercial use allowed",
        "conditional": "commercial use under conditions",
        "noncommercial": "NO commercial use",
    }[one.terms]
    opt_in = ("; agreed to" if one.name in agreed else "; opt-in") if needs_consent(one) else ""
    return f"{allowed}{opt_in}. {one.conditions}".rstrip(". ") + "."
