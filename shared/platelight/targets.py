"""Which server is meant, and with which keys: an address, a connection file, `$PLATELIGHT_SERVER`, or the local one."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .connection import SERVER_VARIABLE, Connection, connection_file, read_connection
from .errors import AccessError, InputError, UnreachableError
from .keys import checked_key, own_pair, servers

ROOTS_VARIABLE = "PLATELIGHT_ROOTS"
ADDRESS = re.compile(r"(tcp|ipc)://.+")
HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.-]+):\d{1,5}")
LOOPBACK = re.compile(r"tcp://(127\.|localhost:|\[::1\])")


@dataclass(frozen=True)
class Target:
    """A server: either a connection file, read before every connect, or an address with the server's public key."""

    file: Path | None = None
    address: str = ""
    server_key: str | None = None

    def read(self) -> Connection:
        """Address and keys as they are now.

        Raises `UnreachableError` where no server runs, `AccessError` where others can read a file or no key is known.
        """
        if self.file is not None:
            return _alive(self.file, read_connection(self.file))
        key = self.server_key
        if key is None:
            key = servers().entries().get(self.address)
        if key is None:
            if LOOPBACK.match(self.address):
                return Connection(self.address)  # as one started with --insecure-loopback; doctor tells the others
            raise AccessError(
                f"{self.address}: the server's key is not known here; run: platelight keys trust {self.address} KEY"
                " (KEY is what `platelight keys show --server-key` prints on the server's machine)"
            )
        if not key:
            return Connection(self.address)
        pair = own_pair("client")
        return Connection(self.address, checked_key(key), pair.public, pair.secret)

    @property
    def named(self) -> str:
        """For a message: the address, or the file."""
        return str(self.file) if self.file is not None else self.address

    @property
    def option(self) -> str:
        """For a message: how doctor is asked about this server."""
        return "" if self.file == connection_file() else f" --server {self.named}"


def target_of(
    server: str | Path | None = None, connection: Path | None = None, server_key: str | None = None
) -> Target:
    """The server that is meant: as given, by `$PLATELIGHT_SERVER`, or the local one. Raises `InputError`."""
    if connection is not None:
        return Target(Path(connection).absolute())
    given = server if server is not None else os.environ.get(SERVER_VARIABLE)
    if not given:
        return Target(connection_file())
    text = str(given)
    if ADDRESS.fullmatch(text):
        return Target(address=text, server_key=server_key)
    path = Path(given)
    if isinstance(given, str) and HOST_AND_PORT.fullmatch(text) and not path.exists():
        return Target(address=f"tcp://{text}", server_key=server_key)
    if "://" in text:
        raise InputError(f"expected an address such as tcp://gpu01:5577 or a connection file, got {text}")
    return Target(path.absolute())


def seen_roots(given: Mapping[str, str | Path] | None = None) -> dict[str, Path]:
    """Where this machine sees a server's roots: as given, else by `$PLATELIGHT_ROOTS` (`shows=/mnt/shows;x=/y`).

    Raises `InputError`.
    """
    if given is not None:
        return {name: Path(folder).absolute() for name, folder in given.items()}
    found = {}
    for part in filter(None, (one.strip() for one in os.environ.get(ROOTS_VARIABLE, "").split(";"))):
        name, equals, folder = part.partition("=")
        if not equals or not name or not folder:
            raise InputError(f"${ROOTS_VARIABLE}: expected NAME=DIR;NAME=DIR, got {part!r}")
        found[name] = Path(folder).absolute()
    return found


def _alive(path: Path, connection: Connection) -> Connection:
    """The connection, unless the process that wrote it is gone; its keys would open nothing any more."""
    if connection.pid and connection.host == socket.gethostname() and not _runs(connection.pid):
        raise UnreachableError(
            f"{path}: the server that wrote it (process {connection.pid}) is gone; start one with: platelight serve"
        )
    return replace(connection, version="")


def _runs(pid: int) -> bool:
    if sys.platform == "win32":  # os.kill would end the process there
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
