"""Folders of jobs, checks and previews, beside the spool:

    jobs/ID/log    what its worker said
    jobs/ID/in     what was uploaded for it: hard links to blobs
    jobs/ID/out    its result, where that is delivered by value

Made and removed in the spool's thread.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath

import msgpack

from platelight.connection import private_folder
from platelight.errors import InputError, ServerError
from platelight.messages import BLOB

from .spool import Spool, disk_error

ENTRIES_MOST = 200_000
DEPTH_MOST = 8


class JobFolders:
    """The folders beside the blobs of `spool`. `folder` is the one above them all."""

    def __init__(self, spool: Spool) -> None:
        self._spool, self.folder = spool, spool.folder / "jobs"
        private_folder(self.folder)

    def path(self, name: str) -> Path:
        """Where a job's folder lies, once it is made."""
        return self.folder / name

    def made(self, name: str, listing: str = "") -> Path:
        """A job's folder, with the files of a list of uploads in `in`. Raises `ServerError`."""
        folder = self.path(name)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if listing and not (folder / "in").is_dir():
                self._unroll(listing, folder)
        except OSError as error:
            raise disk_error(error, str(folder)) from None
        return folder

    def _unroll(self, listing: str, folder: Path) -> None:
        """Links the files of a list into `folder/in`, all or none."""
        making = folder / f".in.{os.getpid()}"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        try:
            for name, blob in listed_files(self._spool.read(listing)).items():
                target = making.joinpath(*PurePosixPath(name).parts)
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                try:
                    os.link(self._spool.path(blob), target)
                except FileNotFoundError:
                    raise ServerError(f"{name}: its content {blob} is not here; upload it first", "NOT_FOUND") from None
            making.rename(folder / "in")
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def forget(self, name: str) -> None:
        """Removes a job's folder."""
        shutil.rmtree(self.path(name), ignore_errors=True)

    def forget_others(self, kept: frozenset[str]) -> None:
        """Removes the folders of checks, previews and jobs that are no more."""
        for folder in self.folder.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def listed_files(data: bytes) -> dict[str, str]:
    """A list of uploads, name to blob. Raises `ServerError` BAD_INPUT for what is none, or names that lead out."""
    try:
        table = msgpack.unpackb(
            data, raw=False, strict_map_key=True, max_str_len=4096, max_bin_len=0, max_array_len=2,
            max_map_len=ENTRIES_MOST, max_ext_len=0,
        )  # fmt: skip
        if not isinstance(table, dict):
            raise InputError(f"expected a map, got {type(table).__name__}")
        found = {}
        for name, value in table.items():
            path = PurePosixPath(name)
            plain = name == str(path) and not path.is_absolute() and not {"..", "."} & set(path.parts)
            if not plain or not 1 <= len(path.parts) <= DEPTH_MOST or "\0" in name or "\\" in name or ":" in name:
                raise InputError(f"expected a plain relative name, got {name!r}")
            if not (isinstance(value, list) and len(value) == 2 and re.fullmatch(BLOB, str(value[0]))):
                raise InputError(f"{name}: expected a blob and its size")
            found[name] = str(value[0])
        return found
    except (ValueError, msgpack.UnpackException, RecursionError, InputError) as error:
        raise ServerError(f"list of uploaded files: {str(error)[:200]}", "BAD_INPUT") from None
