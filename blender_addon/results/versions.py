"""Version folders of a shot's results: `v001`, `v002` ... beside each other, never written into twice.

Knows folders alone. It deletes nothing and reuses no number, not even that of an empty folder.
"""

from __future__ import annotations

import re
from pathlib import Path

_VERSION = re.compile(r"v(\d{3,})", re.ASCII)


def version_of(folder: Path) -> int | None:
    """The number in the name of a version folder, or `None` where the name is another."""
    match = _VERSION.fullmatch(folder.name)
    return int(match[1]) if match else None


def versions_in(results: Path) -> tuple[Path, ...]:
    """The version folders in a shot's folder of results, oldest first; none where that folder is not there yet."""
    if not results.is_dir():
        return ()
    found = [entry for entry in results.iterdir() if version_of(entry) is not None]
    return tuple(sorted(found, key=lambda entry: version_of(entry) or 0))


def next_version(results: Path) -> Path:
    """The folder that the next result goes into, one above the highest number there is; it is not made."""
    existing = versions_in(results)
    highest = version_of(existing[-1]) if existing else None
    return results / f"v{(highest or 0) + 1:03d}"


def claim_next_version(results: Path) -> Path:
    """Makes the next version folder and returns it. Two Blenders that ask at once get two folders.

    Raises OSError where the folder cannot be made.
    """
    while True:
        folder = next_version(results)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
