"""TOML out: the text of a document, with a comment above or beside each key. (Reading is the standard library's.)

Writes what `document.encode` gives: text, whole numbers, numbers, true and false, lists, tables. Keys keep their order,
except that within a table plain keys come before sub-tables, as TOML needs it. Anything else raises TypeError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LINE_LENGTH = 110  # beyond it a comment goes above its key, and a matrix onto several lines

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def toml_text(document: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """The TOML text of `document`. `comments` are by dotted path without list positions (`look.strength`)."""
    return "\n".join(_table_lines(document, (), (), comments or {})).strip("\n") + "\n"


def _table_lines(
    table: Mapping[str, Any], header: tuple[str, ...], path: tuple[str, ...], comments: Mapping[str, str]
) -> Iterator[str]:
    """`header` is the table's name as TOML needs it, `path` the same unquoted, for its comments."""
    for key, value in table.items():
        if not _is_table(value) and not _is_tables(value):
            yield from _key_lines(key, value, comments.get(".".join((*path, key)), ""))
    for key, value in table.items():
        name, where = (*header, _key(key)), (*path, key)
        if _is_table(value):
            yield from _header_lines(f"[{'.'.join(name)}]", comments.get(".".join(where), ""))
            yield from _table_lines(value, name, where, comments)
        elif _is_tables(value):
            for one in value:
                yield from _header_lines(f"[[{'.'.join(name)}]]", comments.get(".".join(where), ""))
                yield from _table_lines(one, name, where, comments)


def _header_lines(header: str, comment: str) -> Iterator[str]:
    yield ""
    yield f"{header}  # {_one_line(comment)}" if comment else header


def _key_lines(key: str, value: Any, comment: str) -> Iterator[str]:
    line = f"{_key(key)} = {_inline(value)}"
    note = f"# {_one_line(comment)}" if comment else ""
    if len(line) > LINE_LENGTH and isinstance(value, (list, tuple)) and not isinstance(value[0], str):
        line = "\n".join([f"{_key(key)} = [", *(f"    {_inline(one)}," for one in value), "]"])
    elif note and len(line) + 2 + len(note) <= LINE_LENGTH:
        line, note = f"{line}  {note}", ""
    if note:
        yield note
    yield line


def _one_line(comment: str) -> str:
    """A comment may hold no control characters but the tab."""
    return "".join(char if char.isprintable() else " " for char in comment)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if "\ud800" <= char <= "\udfff":
        raise TypeError(f"TOML cannot hold the lone surrogate {ascii(char)}")
    return f"\\u{ord(char):04X}" if char < " " or char == "\x7f" else char


def _inline(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_inline(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return "[" + ", ".join(_inline(one) for one in value) + "]"
    raise TypeError(f"TOML cannot hold {type(value).__name__}")
