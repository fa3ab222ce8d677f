"""Where a local server is found: the home folder of this user, and the connection file that a running server writes.

The connection file holds the address, the server's public key and a key pair for clients of this machine. It can be
read by its user only: who can read it may use the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from .document import decode, encode, entry
from .errors import AccessError, InputError, OutputError, UnreachableError

HOME_VARIABLE = "PLATELIGHT_HOME"
SERVER_VARIABLE = "PLATELIGHT_SERVER"
FILE_NAME = "connection.json"


@dataclass(frozen=True)
class Connection:
    """How to reach a server. Keys are CURVE keys in Z85; without `server_key` the connection is not encrypted."""

    address: str = entry("ZeroMQ address, such as tcp://127.0.0.1:40001")
    server_key: str = entry("the server's public key", default="")
    public_key: str = entry("the client's", default="")
    secret_key: str = entry("the client's", default="")
    epoch: str = entry("of the server's start", default="")
    pid: int = entry("process of the server", default=0)
    host: str = entry("machine of the server", default="")
    version: str = entry("version of the server", default="")


def home() -> Path:
    """The folder of this user's keys, connection file and jobs: `$PLATELIGHT_HOME`, or the system's usual place."""
    given = os.environ.get(HOME_VARIABLE)
    if given:
        return Path(given).absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "platelight"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "platelight"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "platelight"


def connection_file() -> Path:
    """Where a local server says how to reach it."""
    return home() / FILE_NAME


def read_connection(path: Path) -> Connection:
    """A connection file. Raises `UnreachableError` where there is none, `AccessError` where others can read it."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UnreachableError(f"{path}: no server is running here; start one with: platelight serve") from None
    except OSError as error:
        raise AccessError(f"{path}: cannot be read: {error.strerror}", "IO") from None
    others = others_may_read(path)
    if others:
        raise AccessError(f"{path}: expected a file that its user alone can read, got {others}; run: chmod 600", "IO")
    try:
        return decode(Connection, json.loads(text), lenient=True)
    except (ValueError, InputError) as error:
        raise UnreachableError(f"{path}: expected a connection file, got {error}") from None


def write_connection(path: Path, connection: Connection) -> None:
    """Writes a connection file, whole or not at all, readable by its user alone. Raises `OutputError`."""
    write_private(path, json.dumps(encode(connection), indent=1))


def write_private(path: Path, text: str) -> None:
    """Writes a file that its user alone can read, whole or not at all, in a folder that its user alone can enter.

    Raises `OutputError`. On Windows the user's own profile folder gives the protection.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        private_folder(path.parent)
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None


def private_folder(folder: Path) -> None:
    """Makes a folder that its user alone can enter, where it does not exist yet."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def others_may_read(path: Path) -> str:
    """The mode of a file that others than its user can read or write, as text; empty where it is private."""
    if os.name == "nt":
        return ""
    mode = path.stat().st_mode & 0o777
    return f"mode {mode:04o}" if mode & 0o077 else ""
