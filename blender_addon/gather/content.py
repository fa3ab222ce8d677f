"""A .blend as a hash that does not change from one writing to the next. No `bpy` here.

Up to 4.5 a .blend holds the addresses that its parts had in memory (24-byte block heads: code, length, address, type,
count), and some that lie just beside them. Those are left out; from 5.0 on addresses are numbered and nothing is.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Sequence

HEAD = struct.Struct("<4siQii")
OLD_HEADER = b"BLENDER-v"  # 64-bit, little-endian, before 5.0
HEADER_BYTES = 12
NEAR = 1 << 16  # bytes from a known address in which a word is taken for an address too
NO_CONTENT = {b"GLOB", b"REND", b"TEST", b"DNA1", b"ENDB"}


def content_digest(data: bytes) -> bytes:
    """SHA-256 over what a .blend's blocks hold, or over all of it where it holds no addresses."""
    if not data.startswith(OLD_HEADER):
        return hashlib.sha256(data).digest()
    blocks = _blocks(data)
    known = sorted({address for _, address, _ in blocks})
    digest = hashlib.sha256()
    for head, _, held in blocks:
        digest.update(head)
        digest.update(_without_addresses(held, known))
    return digest.digest()


def _blocks(data: bytes) -> list[tuple[bytes, int, bytes]]:
    """Code, type and count as bytes, the address, and the content of each block that is content."""
    found, at = [], HEADER_BYTES
    while at + HEAD.size <= len(data):
        code, length, address, kind, count = HEAD.unpack_from(data, at)
        at += HEAD.size
        if length < 0 or code == b"ENDB":
            break
        if code not in NO_CONTENT:
            found.append((struct.pack("<4sii", code, kind, count), address, data[at : at + length]))
        at += length
    return found


def _without_addresses(held: bytes, known: Sequence[int]) -> bytes:
    words = list(struct.unpack_from(f"<{len(held) // 8}Q", held))
    return (
        struct.pack(f"<{len(words)}Q", *(0 if _is_near(word, known) else word for word in words))
        + held[len(words) * 8 :]
    )


def _is_near(word: int, known: Sequence[int]) -> bool:
    at = bisect_left(known, word - NEAR)
    return at < len(known) and known[at] <= word + NEAR and word != 0
