"""Uploads of many files: in a row, equal ones, from a changing disk, to a server that takes one chunk in a message."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import platelight
from platelight import messages as m
from platelight.errors import InputError
from platelight.link import Link
from platelight.uploads import upload_files
from platelight.wire import CHUNK
from tests.client.serving import Server

SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 9 * CHUNK, 10 * CHUNK + 7)


def made(folder: Path, sizes: tuple[int, ...]) -> dict[str, Path]:
    """Files of random bytes by name."""
    files = {f"{i}.bin": folder / f"{i}.bin" for i in range(len(sizes))}
    for path, size in zip(files.values(), sizes, strict=True):
        path.write_bytes(os.urandom(size))
    return files


def listened(link: Link, heard: Callable[[m.Message, object], None]) -> None:
    """Calls `heard` with every message that goes out."""
    push = link._push

    def pushing(message: m.Message, payload: object = None) -> bool:
        taken = push(message, payload)  # type: ignore[arg-type]
        if taken:
            heard(message, payload)
        return taken

    link._push = pushing  # type: ignore[method-assign,assignment]


def spooled(serving: Server, blob: str) -> bytes:
    return (serving.home / "server" / "spool" / "blobs" / blob.replace(":", "-")).read_bytes()


def overwritten(path: Path, offset: int) -> None:
    with path.open("r+b", buffering=0) as file:
        file.seek(offset)
        file.write(b"other bytes")


@pytest.mark.parametrize("together", [1, 3, 4])
def test_files_of_all_sizes_arrive_in_puts_that_the_server_takes(
    serving: Server, server: platelight.Client, tmp_path: Path, together: int
) -> None:
    files = made(tmp_path, SIZES)
    link, counts, seen = server.calls.link, [], []
    assert link.welcome is not None
    link.welcome = replace(link.welcome, together=together)
    listened(link, lambda message, payload: counts.append(len(payload)) if isinstance(message, m.Put) else None)  # type: ignore[arg-type]
    found = upload_files(link, files, link.welcome.hashes, lambda sent, total: seen.append((sent, total)))
    assert {name: spooled(serving, blob.name) for name, blob in found.items()} == {
        name: path.read_bytes() for name, path in files.items()
    }
    assert (max(counts), sum(counts)) == (together, 1 + 1 + 1 + 2 + 9 + 11)
    assert (seen[-1], sorted(seen)) == ((sum(SIZES), sum(SIZES)), seen)


def test_equal_files_are_sent_once(serving: Server, server: platelight.Client, tmp_path: Path) -> None:
    files = made(tmp_path, (5 * CHUNK, 0, 0))
    for name in ("1.bin", "2.bin"):
        files[name].write_bytes(files["0.bin"].read_bytes())
    link, counts = server.calls.link, []
    listened(link, lambda message, payload: counts.append(len(payload)) if isinstance(message, m.Put) else None)  # type: ignore[arg-type]
    found = upload_files(link, files, server.calls.welcome.hashes)
    assert (len({blob.name for blob in found.values()}), sum(counts)) == (1, 5)
    assert spooled(serving, found["2.bin"].name) == files["0.bin"].read_bytes()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda path: os.truncate(path, CHUNK), "became shorter while it was uploaded"),
        (lambda path: overwritten(path, 29 * CHUNK), "was changed while it was uploaded"),
    ],
)
def test_a_file_that_changes_meanwhile_is_named(
    server: platelight.Client, tmp_path: Path, change: Callable[[Path], object], text: str
) -> None:
    files = made(tmp_path, (30 * CHUNK,))
    link, changed = server.calls.link, []

    def heard(message: m.Message, payload: object) -> None:
        if isinstance(message, m.Put) and not changed:
            changed.append(change(files["0.bin"]))

    listened(link, heard)
    with pytest.raises(InputError, match=f"0.bin: {text}"):
        upload_files(link, files, server.calls.welcome.hashes)
    more = made(tmp_path, (3 * CHUNK,))
    assert upload_files(link, more, server.calls.welcome.hashes)["0.bin"].size == 3 * CHUNK
