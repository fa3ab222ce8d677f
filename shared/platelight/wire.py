"""How a message becomes ZeroMQ frames and back: one msgpack map, and for some types a frame of raw bytes, or several.

What comes from outside is bounded before it is decoded: the number of frames, their sizes, and within the header the
length of every text, list and table. Only text keys, no extension types. Fields that have their default are left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack

from .document import decode, encode
from .errors import InputError, ProtocolError
from .messages import ID, NAMES, PAYLOAD, Message, Put

VERSION = 1
HEADER_MOST = 64 << 10
CHUNK = 1 << 20
FRAME_MOST = CHUNK + 4096  # what ZMQ_MAXMSGSIZE is set to
TOGETHER = 4  # chunks that one `put` may carry: what a message costs besides its bytes is paid once for all of them
TYPE_KEY = "t"
LIMITS: Mapping[str, Any] = {
    "raw": False,
    "strict_map_key": True,
    "use_list": True,
    "max_str_len": 4096,
    "max_bin_len": 0,
    "max_array_len": 1024,
    "max_map_len": 256,
    "max_ext_len": 0,
}

Bytes = bytes | memoryview
Payload = Bytes | tuple[Bytes, ...]


def new_id() -> str:
    """A request id that is not used twice."""
    return os.urandom(12).hex()


def encode_frames(
    message: Message, payload: Payload | None = None, names: Mapping[type[Message], str] = NAMES
) -> list[Bytes]:
    """The frames of a message; a tuple becomes a frame each. Raises `ProtocolError` where its header would be too
    large."""
    name = names[type(message)]
    header: bytes = msgpack.packb({TYPE_KEY: name, **encode(message, sparse=True)}, use_bin_type=True)
    if len(header) > HEADER_MOST:
        raise ProtocolError(f"message {name}: expected at most {HEADER_MOST} bytes, got {len(header)}")
    if isinstance(payload, tuple):
        return [header, *payload]
    return [header] if payload is None else [header, payload]


def decode_frames(
    frames: Sequence[Bytes], kinds: Mapping[str, type[Message]], with_payload: frozenset[type[Message]] = PAYLOAD
) -> tuple[Message, Bytes | None]:
    """A message of one of `kinds`, and its payload: the first chunk of a `Put`, whose others are `frames[2:]`.

    Raises `ProtocolError`; its `code` is what to answer, its `id` to whom, where that much could be read.
    """
    if not 1 <= len(frames) <= 1 + TOGETHER:
        raise ProtocolError(f"expected a header and at most {TOGETHER} payloads, got {len(frames)} frames")
    header = frames[0]
    if len(header) > HEADER_MOST:
        raise ProtocolError(f"expected a header of at most {HEADER_MOST} bytes, got {len(header)}")
    for frame in frames[1:]:
        if len(frame) > CHUNK:
            raise ProtocolError(f"expected a payload of at most {CHUNK} bytes, got {len(frame)}")
    document = _table(header)
    request = document.get("id")
    asker = request if isinstance(request, str) and re.fullmatch(ID, request) else ""
    name = document.pop(TYPE_KEY, None)
    kind = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ProtocolError(f"unknown message {str(name)[:40]!r}", "UNSUPPORTED", asker)
    payload = frames[1] if len(frames) > 1 else None
    if payload is not None and kind not in with_payload:
        raise ProtocolError(f"message {name}: expected no payload, got {len(payload)} bytes", id=asker)
    if len(frames) > 2 and kind is not Put:
        raise ProtocolError(f"message {name}: expected one payload, got {len(frames) - 1}", id=asker)
    try:
        return decode(kind, document, str(name), lenient=True), payload
    except InputError as error:
        raise ProtocolError(str(error)[:1000], id=asker) from None


def _table(header: Bytes) -> dict[str, Any]:
    try:
        document = msgpack.unpackb(header, **LIMITS)
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise ProtocolError(f"expected a msgpack map: {type(error).__name__}: {str(error)[:200]}") from None
    if not isinstance(document, dict):
        raise ProtocolError(f"expected a msgpack map, got {type(document).__name__}")
    return document
