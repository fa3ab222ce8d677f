"""Whether a model's files are still what they were: their SHA-256, written beside them when they were first checked.

`platelight-model.json` holds sizes and hashes and no times: equal files have equal records. Where the folder is
read-only the record goes into the home folder. Published hashes, where the catalogue knows them, are what a first
record must agree with; from then on the record is what counts, and `trust` makes a new one of what is there. A file
whose size and time of change are those of the last comparison is not read again; those stamps are kept in the home
folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from platelight.connection import home, write_private
from platelight.errors import ModelError, OutputError

from .card import ModelCard
from .folders import find
from .structure import RECORD, check_structure, model_files

__all__ = ["Checked", "ensure", "sha256", "trust", "verify"]

_READERS = 4  # a fast disk gives more than one core can hash

Told = Callable[[Path], None]
_Hashes = dict[str, tuple[int, str]]  # relative path -> size, SHA-256


@dataclass(frozen=True)
class Checked:
    """A model whose files are as recorded. `digest` stands for all their contents: two equal digests, equal models."""

    card: ModelCard
    folder: Path
    digest: str
    first: bool  # the record was made now; nothing but the published hashes was there to compare with


def verify(card: ModelCard, folder: Path | None = None, told: Told = lambda path: None) -> Checked:
    """Reads and compares every file of a model; `told` is called with each. Raises `ModelError`."""
    where = find(card) if folder is None else folder
    files = check_structure(card, where)
    return _compared(card, where, _hashed(where, files, told))


def ensure(card: ModelCard, folder: Path | None = None) -> Checked:
    """The same before a model is used: files that have not been touched since they were compared are not read.

    The first use of a model hashes all of it (seconds to a minute), and makes the record. Raises `ModelError`.
    """
    where = find(card) if folder is None else folder
    if _read(card, where) is None:
        return verify(card, where)
    files, stamps = model_files(card, where), _stamps()
    known = {path: _known(path, stamps) for path in files}
    touched = [path for path in files if known[path] is None]
    hashes = _hashed(where, touched, lambda path: None) if touched else {}
    for path in files:
        one = known[path]
        if one is not None:
            hashes[path.relative_to(where).as_posix()] = (path.stat().st_size, one)
    return _compared(card, where, hashes, stamped=not touched)


def trust(card: ModelCard, folder: Path, told: Told = lambda path: None) -> Checked:
    """Takes whole files as they are, whatever was recorded or published, and records them. Raises `ModelError`."""
    hashes = _hashed(folder, check_structure(card, folder), told)
    _write(card, folder, hashes)
    return Checked(card, folder, _digest(hashes), first=True)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _compared(card: ModelCard, folder: Path, hashes: _Hashes, stamped: bool = False) -> Checked:
    recorded = _read(card, folder)
    for name, (size, found) in hashes.items():
        if recorded is None:
            _compare_published(folder / name, card.sha256.get(name, found), found)
        elif name in recorded and recorded[name] != (size, found):
            raise ModelError(
                f"{folder / name}: expected SHA-256 {recorded[name][1]} ({recorded[name][0]} bytes), as recorded in "
                f"{RECORD}, got {found} ({size} bytes); download it again, or where the change was meant: "
                f"platelight models verify --trust {card.name}"
            )
    gone = sorted(set(recorded or {}) - set(hashes))
    if gone:
        raise ModelError(f"{folder / gone[0]}: expected this file, as recorded in {RECORD}, found none")
    if recorded is None or set(hashes) - set(recorded):
        _write(card, folder, hashes)
    if not stamped:
        _stamp(folder, hashes)
    return Checked(card, folder, _digest(hashes), first=recorded is None)


def _compare_published(path: Path, published: str, found: str) -> None:
    if published != found:
        raise ModelError(f"{path}: expected the published SHA-256 {published}, got {found}; download it again")


def _digest(hashes: _Hashes) -> str:
    text = "".join(f"{name} {found}\n" for name, (_, found) in sorted(hashes.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _hashed(folder: Path, files: tuple[Path, ...] | list[Path], told: Told) -> _Hashes:
    def one(path: Path) -> tuple[str, tuple[int, str]]:
        told(path)
        return path.relative_to(folder).as_posix(), (path.stat().st_size, sha256(path))

    try:
        with ThreadPoolExecutor(_READERS) as pool:
            return dict(pool.map(one, files))
    except OSError as error:
        raise ModelError(f"{error.filename}: cannot be read: {error.strerror}") from None


def _places(card: ModelCard, folder: Path) -> tuple[Path, Path]:
    return folder / RECORD, home() / "model-records" / f"{card.name}.json"


def _read(card: ModelCard, folder: Path) -> _Hashes | None:
    path = next((path for path in _places(card, folder) if path.is_file()), None)
    if path is None:
        return None
    try:
        files = json.loads(path.read_text("utf-8"))["files"]
        return {name: (int(one["size"]), str(one["sha256"])) for name, one in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: expected a record of a model's files, got {error!r}; delete it") from None


def _write(card: ModelCard, folder: Path, hashes: _Hashes) -> None:
    files = {name: {"size": size, "sha256": found} for name, (size, found) in sorted(hashes.items())}
    record = {"model": card.name, "source": card.source, "revision": card.revision, "files": files}
    text = json.dumps(record, indent=1) + "\n"
    beside, elsewhere = _places(card, folder)
    temporary = beside.with_name(f".{RECORD}.{os.getpid()}")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(beside)
    except OSError:
        write_private(elsewhere, text)


def _stamps_file() -> Path:
    return home() / "model-stamps.json"


def _stamps() -> dict[str, list[int | str]]:
    """Absolute path -> size, time of change (ns), SHA-256. A file that cannot be read costs a comparison, no more."""
    try:
        read = json.loads(_stamps_file().read_text("utf-8"))
        return read if isinstance(read, dict) else {}
    except (OSError, ValueError):
        return {}


def _known(path: Path, stamps: dict[str, list[int | str]]) -> str | None:
    stat, noted = path.stat(), stamps.get(str(path.absolute()))
    return str(noted[2]) if noted and noted[:2] == [stat.st_size, stat.st_mtime_ns] else None


def _stamp(folder: Path, hashes: _Hashes) -> None:
    stamps = _stamps()
    for name, (_, found) in hashes.items():
        stat = (folder / name).stat()
        stamps[str((folder / name).absolute())] = [stat.st_size, stat.st_mtime_ns, found]
    try:
        write_private(_stamps_file(), json.dumps(stamps, sort_keys=True))
    except OutputError:
        return  # a home that cannot be written costs a comparison at the next use
