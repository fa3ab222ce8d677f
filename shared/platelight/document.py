"""Documents: frozen dataclasses from and to plain dicts and lists, by their type hints.

This module owns the strictness of the recipe: every key must be known, every value of its type and in its range, and an
error names the key's path, what was expected and what came. It knows no particular document.

`None` means absent and is never written. Whole numbers are accepted where a number is asked for; true and false never
are. NaN and infinity are refused, and so is text that UTF-8 cannot hold.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING
from fractions import Fraction
from functools import cache
from math import isfinite
from typing import Any, TypeVar

from .errors import InputError, RecipeError
from .frames import FrameRange

Document = TypeVar("Document")

INT_LARGEST = 2**63 - 1  # msgpack and TOML both hold 64-bit whole numbers
PLAIN = frozenset({float, int, str, bool})
DEPTH_MOST = 8  # of lists in a free value such as an engine option


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a field's value must keep to, and how it is described in a recipe's comments and in a panel."""

    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    pattern: str = ""
    is_path: bool = False  # text that names a file or folder, relative to the recipe's own folder

    @property
    def comment(self) -> str:
        """Description, unit, range and choices in one line."""
        notes = [self.unit] if self.unit else []
        if self.minimum is not None and self.maximum is not None:
            notes.append(f"{_plain(self.minimum)} to {_plain(self.maximum)}")
        elif self.minimum is not None:
            notes.append(f"at least {self.minimum:g}")
        if self.choices:
            notes.append(" | ".join(self.choices))
        return f"{self.description} ({'; '.join(notes)})" if notes else self.description


def entry(description: str = "", *, default: Any = MISSING, factory: Any = MISSING, **rule: Any) -> Any:
    """A dataclass field with a `Rule` (its keywords: minimum, maximum, choices, unit, pattern, is_path)."""
    metadata = {"rule": Rule(description, **rule)}
    if factory is not MISSING:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def rule_of(item: dataclasses.Field[Any]) -> Rule:
    """The rule of a field; one that keeps everything when it has none."""
    rule = item.metadata.get("rule")
    return rule if isinstance(rule, Rule) else Rule()


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def hints_of(cls: type) -> Mapping[str, Any]:
    """The resolved type hints of a dataclass, by field."""
    found: dict[str, Any] = _hints(cls)
    return found


def fields_of(cls: type) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of a dataclass that a document may hold."""
    return tuple(item for item in dataclasses.fields(cls) if item.init)


@cache
def _items(cls: type) -> dict[str, dataclasses.Field[Any]]:
    return {item.name: item for item in fields_of(cls)}


@cache
def _shape(hint: Any) -> tuple[Any, bool, Any, bool]:
    """The type behind a hint, whether None is allowed, its origin, and whether it is a document."""
    inner, may_be_absent = optional(hint)
    is_document = dataclasses.is_dataclass(inner) and isinstance(inner, type) and inner is not FrameRange
    return inner, may_be_absent, typing.get_origin(inner), is_document


def join(path: str, key: str) -> str:
    """The dotted path of `key` under `path`."""
    return f"{path}.{key}" if path else key


def optional(hint: Any) -> tuple[Any, bool]:
    """The type behind `X | None`, and whether None is allowed."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [option for option in typing.get_args(hint) if option is not type(None)]
        if len(inner) == 1:
            return inner[0], True
        raise TypeError(f"a document field cannot be {hint}")
    return hint, False


def closest(word: str, words: Iterable[str]) -> str:
    """What is known instead of an unknown word, with a did-you-mean where one is near."""
    known = list(words)
    near = difflib.get_close_matches(word, known, n=1)
    return f"one of {', '.join(known)}" + (f" (did you mean {near[0]}?)" if near else "")


def named(value: object) -> str:
    """A value with its kind in an artist's words, short enough for one line."""
    kinds = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    if isinstance(value, Mapping):
        return "a table"
    if value is None or isinstance(value, (list, tuple)):
        return "nothing" if value is None else "a list"
    shown = repr(value)
    kind = kinds.get(type(value), type(value).__name__)
    return f"{shown if len(shown) <= 80 else shown[:77] + '...'} ({kind})"


def decode(cls: type[Document], value: object, path: str = "", lenient: bool = False) -> Document:
    """A `cls` from a plain table; `lenient` leaves unknown keys aside. Raises RecipeError with the key's path."""
    if not isinstance(value, Mapping):
        raise RecipeError(path, "a table", named(value))
    items = _items(typing.cast(type, cls))
    for key in value:
        if key not in items and not lenient:
            raise RecipeError(join(path, str(key)), closest(str(key), items), repr(key))
    hints = hints_of(cls)
    found: dict[str, Any] = {}
    for key, item in items.items():
        if key in value:
            found[key] = decode_value(hints[key], value[key], join(path, key), rule_of(item), lenient)
        elif item.default is MISSING and item.default_factory is MISSING:
            raise RecipeError(join(path, key), f"a value: {rule_of(item).description or key}", "nothing")
    return _construct(cls, found, path)


def _construct(cls: type[Document], found: dict[str, Any], path: str) -> Document:
    """Calls the dataclass; what its own check refuses is named with the full path."""
    try:
        return cls(**found)
    except RecipeError as error:
        raise RecipeError(join(path, error.path) if error.path else path, error.expected, error.found) from None
    except InputError as error:
        raise RecipeError(path, "a usable value", str(error)) from None


def decode_value(hint: Any, value: object, path: str, rule: Rule, lenient: bool = False) -> Any:
    """A value of the type `hint` that keeps to `rule`. Raises RecipeError."""
    hint, may_be_absent, origin, is_document = _shape(hint)
    if value is None:
        if may_be_absent:
            return None
        raise RecipeError(path, "a value", "nothing")
    if is_document:
        return decode(hint, value, path, lenient)
    if origin is tuple:
        return _decode_tuple(typing.get_args(hint), value, path, rule, lenient)
    if origin is not None and origin is not typing.Literal:
        return _decode_mapping(typing.get_args(hint), value, path, rule, lenient)
    return _decode_leaf(hint, value, path, rule)


def _decode_tuple(kinds: tuple[Any, ...], value: object, path: str, rule: Rule, lenient: bool) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise RecipeError(path, "a list", named(value))
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    elif len(kinds) != len(value):
        raise RecipeError(path, f"a list of {len(kinds)}", f"{len(value)}")
    return tuple(
        decode_value(kind, one, f"{path}[{i}]", rule, lenient)
        for i, (kind, one) in enumerate(zip(kinds, value, strict=True))
    )


def _decode_mapping(kinds: tuple[Any, ...], value: object, path: str, rule: Rule, lenient: bool) -> dict[Any, Any]:
    """`Mapping[int, X]` has its keys as text in a document (TOML and JSON know no others)."""
    if not isinstance(value, Mapping):
        raise RecipeError(path, "a table", named(value))
    key_kind, value_kind = kinds
    found: dict[Any, Any] = {}
    for key, one in value.items():
        where = join(path, str(key))
        name = _decode_key(key_kind, key, where)
        if name in found:
            raise RecipeError(where, "each key once", f"{name} twice")
        free = value_kind is Any
        found[name] = _decode_free(one, where) if free else decode_value(value_kind, one, where, rule, lenient)
    return found


def _decode_key(kind: Any, key: object, path: str) -> str | int:
    if kind is int:
        if isinstance(key, str) and re.fullmatch(r"-?\d{1,9}", key, re.ASCII):
            return int(key)
        raise RecipeError(path, "a frame number as the key", repr(key))
    return _text(key, path)


def _decode_free(value: object, path: str, depth: int = 0) -> Any:
    """An engine option: text, number, true or false, or a list of these. The engine checks it further."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        return _whole(value, path)
    if isinstance(value, float):
        return _number(value, path)
    if isinstance(value, (list, tuple)) and depth < DEPTH_MOST:
        return tuple(_decode_free(one, f"{path}[{i}]", depth + 1) for i, one in enumerate(value))
    raise RecipeError(path, "text, a number, true or false, or a list of these", named(value))


def _decode_leaf(hint: Any, value: object, path: str, rule: Rule) -> Any:
    if typing.get_origin(hint) is typing.Literal:
        return _chosen(_text(value, path), typing.get_args(hint), path)
    if hint is FrameRange:
        return _decode_frames(value, path)
    if hint is Fraction:
        return _decode_fraction(value, path)
    if hint is bool:
        if isinstance(value, bool):
            return value
        raise RecipeError(path, "true or false", named(value))
    if hint is str:
        return _ruled_text(_text(value, path), path, rule)
    if hint is int:
        return _in_range(_whole(value, path), path, rule)
    if hint is float:
        return _in_range(_number(value, path), path, rule)
    raise TypeError(f"{path}: a document field cannot be {hint}")


def _decode_frames(value: object, path: str) -> FrameRange:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    try:
        return FrameRange.parse(_text(value, path))
    except RecipeError as error:
        raise RecipeError(path, error.expected, error.found) from None


def _decode_fraction(value: object, path: str) -> Fraction:
    """A rate as `24` or `"24000/1001"`; a float would be another rate than the one that is meant."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _positive(Fraction(value), path)
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}(/\d{1,9})?", value, re.ASCII) and not value.endswith("/0"):
        top, _, bottom = value.partition("/")
        if not bottom or int(bottom):
            return _positive(Fraction(int(top), int(bottom or 1)), path)
    raise RecipeError(path, 'a whole number such as 24, or a fraction such as "24000/1001"', named(value))


def _positive(value: Fraction, path: str) -> Fraction:
    if value > 0 and value.numerator <= INT_LARGEST:
        return value
    raise RecipeError(path, "a fraction above 0", str(value))


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise RecipeError(path, "text", named(value))
    if "\0" in value or (not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value)):
        raise RecipeError(path, "text that UTF-8 can hold, without NUL", ascii(value))
    return value


def _ruled_text(value: str, path: str, rule: Rule) -> str:
    if rule.choices:
        return str(_chosen(value, rule.choices, path))
    if rule.pattern and not re.fullmatch(rule.pattern, value):
        raise RecipeError(path, f"text that matches {rule.pattern}", repr(value))
    if rule.is_path and not value:
        raise RecipeError(path, "a path", "empty text")
    return value


def _chosen(value: str, choices: tuple[Any, ...], path: str) -> Any:
    if value in choices:
        return value
    raise RecipeError(path, closest(value, choices), repr(value))


def _whole(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise RecipeError(path, "a whole number", named(value))
    if abs(value) > INT_LARGEST:
        raise RecipeError(path, "a whole number of at most 64 bits", "a larger one")
    return value


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecipeError(path, "a number", named(value))
    if isinstance(value, int):
        _whole(value, path)
    if not isfinite(value):
        raise RecipeError(path, "a finite number", str(value))
    return float(value)


def _in_range(value: Any, path: str, rule: Rule) -> Any:
    below = rule.minimum is not None and value < rule.minimum
    above = rule.maximum is not None and value > rule.maximum
    if not below and not above:
        return value
    unit = f" {rule.unit}" if rule.unit else ""
    if rule.minimum is not None and rule.maximum is not None:
        raise RecipeError(path, f"{_plain(rule.minimum)} to {_plain(rule.maximum)}{unit}", _plain(value))
    bound = f"at least {rule.minimum:g}" if below else f"at most {rule.maximum:g}"
    raise RecipeError(path, f"{bound}{unit}", _plain(value))


def _plain(value: float) -> str:
    """A number as an artist writes it: 4294967295, not 4.29e+09."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def encode(value: object, sparse: bool = False) -> Any:
    """Plain dicts, lists, text and numbers from a document; the inverse of `decode`. What is None is left out, and with
    `sparse` what has its default value."""
    if type(value) in PLAIN:  # most of what a long shot holds: each of the questions below costs
        return value
    if isinstance(value, FrameRange):
        return str(value)
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: encode(held, sparse)
            for item in fields_of(type(value))
            if not _is_absent(item, held := getattr(value, item.name)) and not (sparse and held == item.default)
        }
    if isinstance(value, (list, tuple)):
        return [encode(one, sparse) for one in value]
    if isinstance(value, Mapping):
        return {str(key): encode(one, sparse) for key, one in value.items()}
    return value


def _is_absent(item: dataclasses.Field[Any], held: object) -> bool:
    """None, and empty lists and tables that are empty by default."""
    if held is None:
        return True
    if held or not isinstance(held, (tuple, Mapping)):
        return False
    default = item.default_factory() if item.default_factory is not MISSING else item.default
    return default is not None and default is not MISSING and not default


def comments_of(cls: type, path: str = "") -> dict[str, str]:
    """The comment of every key of a document, by dotted path; list positions are left out of paths."""
    found: dict[str, str] = {}
    for item in fields_of(cls):
        where = join(path, item.name)
        found[where] = rule_of(item).comment
        inner = held_type(hints_of(cls)[item.name])
        if inner is not None:
            found.update(comments_of(inner, where))
    return found


def held_type(hint: Any) -> type | None:
    """The document that a field holds, alone, optional or in a list; None for other fields."""
    hint, _ = optional(hint)
    if typing.get_origin(hint) is tuple:
        hint = typing.get_args(hint)[0]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and hint is not FrameRange:
        return hint
    return None
