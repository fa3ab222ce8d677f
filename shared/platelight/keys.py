"""CURVE keys: a server's own pair, a client's own pair, the clients that a server lets in, the servers a client knows.

    HOME/keys/server.key, client.key      a pair each, readable by their user alone
    HOME/keys/clients                     one public key per line and who it is, as ssh does
    HOME/keys/servers                     one address and public key per line

Keys are written in Z85 (ZeroMQ RFC 32), forty letters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .connection import home, others_may_read, write_private
from .errors import AccessError, InputError

Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair in Z85."""

    public: str
    secret: str


def folder() -> Path:
    """Where keys lie."""
    return home() / "keys"


def new_pair() -> KeyPair:
    """A fresh pair."""
    import zmq

    public, secret = zmq.curve_keypair()
    while public.startswith(b"-"):  # a shell's command would take it for an option
        public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def own_pair(role: str, where: Path | None = None, make: bool = True) -> KeyPair:
    """The pair of `role` ("server" or "client"), made when there is none. Raises `AccessError` where others can read
    it, `InputError` where it is no pair, `OutputError` where it cannot be written."""
    path = (where or folder()) / f"{role}.key"
    if not path.exists():
        if not make:
            raise AccessError(f"{path}: no such key; make one with: platelight keys new")
        pair = new_pair()
        write_private(path, f"{pair.public}\n{pair.secret}\n")
        return pair
    others = others_may_read(path)
    if others:
        raise AccessError(f"{path}: expected a key that its user alone can read, got {others}; run: chmod 600 {path}")
    lines = path.read_text("utf-8").split()
    if len(lines) != 2 or not all(Z85.fullmatch(line) for line in lines):
        raise InputError(f"{path}: expected a public and a secret key in Z85, a line each")
    return KeyPair(*lines)


def checked_key(text: str) -> str:
    """A public key as given by a user. Raises `InputError`."""
    if not Z85.fullmatch(text):
        raise InputError(f"expected a public key of 40 letters in Z85, got {len(text)} letters")
    return text


@dataclass(frozen=True)
class Register:
    """A file of lines `FIRST SECOND`: who is let in, or which servers are known. Read again when it has changed."""

    path: Path

    def entries(self) -> dict[str, str]:
        """First to second word of each line; empty where there is no file. Raises `InputError` naming a bad line."""
        try:
            lines = self.path.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return {}
        found: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not words or line.startswith("# "):
                continue
            if len(words) != 2:
                raise InputError(f"{self.path}: line {number}: expected two words, got {len(words)}")
            found[words[0]] = words[1]
        return found

    def put(self, first: str, second: str) -> None:
        """Adds or replaces a line."""
        self._write({**self.entries(), first: second})

    def remove(self, first: str) -> None:
        """Removes a line."""
        self._write({key: value for key, value in self.entries().items() if key != first})

    def _write(self, entries: dict[str, str]) -> None:
        write_private(self.path, "".join(f"{first} {second}\n" for first, second in entries.items()))


def clients(where: Path | None = None) -> Register:
    """Public key to name, of the clients that the server lets in."""
    return Register((where or folder()) / "clients")


def servers(where: Path | None = None) -> Register:
    """Address to public key, of the servers that a client knows."""
    return Register((where or folder()) / "servers")


def allow(name: str, public: str, where: Path | None = None) -> None:
    """Lets a client in. Raises `InputError` for a name or key that cannot be one, or a name that is taken."""
    if not NAME.fullmatch(name):
        raise InputError(f"expected a name of letters, digits and ._@-, got {name!r}")
    known = clients(where)
    taken = [key for key, other in known.entries().items() if other == name and key != public]
    if taken:
        raise InputError(f"{name} has another key already; revoke it first: platelight keys revoke {name}")
    known.put(checked_key(public), name)


def revoke(name: str, where: Path | None = None) -> int:
    """Lets a client in no longer; returns how many keys that were. Running servers see it with the next message."""
    known = clients(where)
    keys = [key for key, other in known.entries().items() if name in (other, key)]
    for key in keys:
        known.remove(key)
    return len(keys)
