"""Names that artists give, as names that farms and deliveries take in a file name. No `bpy` here."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LENGTH_MOST = 80
_SPELLED = {"ß": "ss", "æ": "ae", "ø": "o", "đ": "d", "ł": "l", "œ": "oe", "þ": "th", "ð": "d", "ı": "i"}


def file_name(name: str) -> str:
    """A name of letters, digits, dots, dashes and underscores: accents go, the rest becomes underscores.

    A name with nothing left (one in Chinese, say) is told apart by eight digits of its hash.
    """
    spelled = "".join(_SPELLED.get(char, _SPELLED.get(char.lower(), char)) for char in name.strip())
    plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._")[:LENGTH_MOST]
    if kept and len(plain) * 2 >= len(spelled):
        return kept
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{kept}_{digest}" if kept else f"shot_{digest}"


def version_name(version: int) -> str:
    """The folder of a version: v001, v002 and so on."""
    return f"v{version:03d}"
