"""`platelight keys`: who may use a server, and which servers this user knows. CURVE keys, written as forty letters."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from platelight.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of keys."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, what in (
        ("show", "print your public key, which a server's owner allows"),
        ("new", "make your key pair"),
        ("list", "list who is let in and which servers are known"),
        ("allow", "let a client into the server of this home"),
        ("revoke", "let a client in no longer"),
        ("trust", "note the public key of a server elsewhere"),
    ):
        sub = actions.add_parser(name, help=what, description=what.capitalize() + ".")
        sub.add_argument("--home", metavar="DIR", type=Path, help="whose keys (default: your own)")
        sub.add_argument("--json", action="store_true", help="one JSON object on stdout")
        if name in ("show", "new"):
            sub.add_argument(
                "--server-key", action="store_true", help="the key of the server of this home, instead of yours"
            )
        if name == "allow":
            sub.add_argument("name", help="what to call the client, such as anna@ws12")
            sub.add_argument("key", help="its public key")
        if name == "revoke":
            sub.add_argument("name", help="its name, or its public key")
        if name == "trust":
            sub.add_argument("address", help="such as tcp://gpu01:5577")
            sub.add_argument("key", help="the server's public key")


def run(args: argparse.Namespace) -> int:
    """Does it and says what was done."""
    from platelight import keys

    where = args.home / "keys" if args.home else keys.folder()
    said, line = _ACTIONS[args.action](args, where)
    print(json.dumps(said, ensure_ascii=False) if args.json else line)
    return 0


def _show(args: argparse.Namespace, where: Path) -> tuple[Any, str]:
    from platelight import keys

    role = "server" if args.server_key else "client"
    public = keys.own_pair(role, where).public
    return {"role": role, "key": public}, public


def _new(args: argparse.Namespace, where: Path) -> tuple[Any, str]:
    role = "server" if args.server_key else "client"
    if (where / f"{role}.key").exists():
        raise InputError(
            f"{where / f'{role}.key'}: exists; whoever knows it would have to learn the new one."
            " Remove it first if you mean it, or print it with: platelight keys show"
        )
    return _show(args, where)


def _list(args: argparse.Namespace, where: Path) -> tuple[Any, str]:
    from platelight import keys

    clients, servers = keys.clients(where).entries(), keys.servers(where).entries()
    said = {
        "clients": [{"name": name, "key": key} for key, name in clients.items()],
        "servers": [{"address": address, "key": key} for address, key in servers.items()],
    }
    lines = [f"client  {name}  {key}" for key, name in clients.items()]
    lines += [f"server  {address}  {key}" for address, key in servers.items()]
    if not lines:
        print("no clients are let in but those of this user, and no servers are known", file=sys.stderr)
    return said, "\n".join(lines)


def _allow(args: argparse.Namespace, where: Path) -> tuple[Any, str]:
    from platelight import keys

    keys.allow(args.name, args.key, where)
    return {"allowed": args.name}, f"{args.name} is let in"


def _revoke(args: argparse.Namespace, where: Path) -> tuple[Any, str]:
    from platelight import keys

    count = keys.revoke(args.name, where)
    if not count:
        raise InputError(f"{args.name}: no such client; see: platelight keys list")
    return {"revoked": args.name}, f"{args.name} is let in no longer"


def _trust(args: argparse.Namespace, where: Path) -> tuple[Any, str]:
    from platelight import keys
    from platelight.targets import target_of

    address = target_of(args.address).address
    if not address:
        raise InputError(f"expected an address such as tcp://gpu01:5577, got {args.address}")
    keys.servers(where).put(address, keys.checked_key(args.key))
    return {"trusted": address}, f"{address} is known"


_ACTIONS = {"show": _show, "new": _new, "list": _list, "allow": _allow, "revoke": _revoke, "trust": _trust}
