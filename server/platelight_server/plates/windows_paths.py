"""Which Windows paths mean something else than they say; pure text, so that it is tested on any system."""

from __future__ import annotations

import re

# The console, the printers and the serial ports answer under these names in every folder, whatever suffix follows.
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:")


def windows_problem(path: str) -> str | None:
    r"""Why Windows would not take `path` at its word, or None where it would.

    Refused: `\\?\` and `\\.\` (no rules apply behind them), `C:x` (relative to the drive's own folder), `name:stream`,
    device names, and components that end in a dot or a blank, which Windows strips.
    """
    text = path.replace("/", "\\")
    if re.match(r"\\\\[?.](\\|$)", text) or text.startswith("\\??\\"):
        return "a device path"
    drive = _DRIVE.match(text)
    rest = text[2:] if drive else text
    if drive and not rest.startswith("\\"):
        return "a path relative to a drive's current folder"
    if ":" in rest:
        return "a ':' behind the drive, which names a stream"
    for name in rest.split("\\"):
        if name in ("", ".", ".."):
            continue
        if _DEVICES.fullmatch(name):
            return f"the name of a device ({name})"
        if name[-1] in ". ":
            return f"a name that ends in a dot or a blank ({name!r})"
    return None
