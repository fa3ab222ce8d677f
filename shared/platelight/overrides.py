"""One key of a document set from text: what `--set look.exposure_stops=0.5` means.

The text is read by the type of the field it goes to, never by how it looks, so a name stays a name when it is a number.
Only an engine's own options, whose types this side does not know, are read as TOML would.
"""

from __future__ import annotations

import copy
import tomllib
import typing
from typing import Any

from .document import closest, fields_of, held_type, hints_of, join, named, optional
from .errors import RecipeError

ENGINE_OPTIONS = ("engine", "options")


def override(cls: type, document: dict[str, Any], key: str, text: str) -> dict[str, Any]:
    """A copy of the plain `document` of a `cls` with `key` (dotted) set from `text`. Raises RecipeError."""
    changed = copy.deepcopy(document)
    names = key.split(".")
    if names[0] == ENGINE_OPTIONS[0] and len(names) > 1 and names[1] != "name":
        option = names[2:] if names[1] == ENGINE_OPTIONS[1] else names[1:]
        if len(option) != 1 or not option[0]:
            raise RecipeError(key, "engine.name or engine.OPTION", "another depth of keys")
        changed.setdefault("engine", {}).setdefault("options", {})[option[0]] = _free(text)
        return changed
    table, path = changed, ""
    for name in names[:-1]:
        name = _known(cls, name, path)
        inner = held_type(hints_of(cls)[name])
        path = join(path, name)
        if inner is None or _is_list(hints_of(cls)[name]):
            raise RecipeError(path, "a table; a list is edited in the recipe file", "a list or a single value")
        table = table.setdefault(name, {})
        cls = inner
    name = _known(cls, names[-1], path)
    if held_type(hints_of(cls)[name]) is not None:
        raise RecipeError(join(path, name), "a single key, such as look.strength", "a whole table or list")
    table[name] = _typed(hints_of(cls)[name], text, join(path, name))
    return changed


def _known(cls: type, name: str, path: str) -> str:
    """The field meant by `name`; `exposure` is short for `exposure_stops`."""
    names = [item.name for item in fields_of(cls)]
    if name in names:
        return name
    if f"{name}_stops" in names:
        return f"{name}_stops"
    raise RecipeError(join(path, name), closest(name, names), repr(name))


def _is_list(hint: Any) -> bool:
    return typing.get_origin(optional(hint)[0]) is tuple


def _typed(hint: Any, text: str, path: str) -> Any:
    """The plain value that `text` stands for in a field of this type; its range is checked by decoding."""
    hint, _ = optional(hint)
    text = text.strip()
    if hint is bool:
        if text in ("true", "false"):
            return text == "true"
        raise RecipeError(path, "true or false", named(text))
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            raise RecipeError(path, "a whole number" if hint is int else "a number", named(text)) from None
    if _is_list(hint):
        words = typing.get_args(hint)[0] is str and not text.startswith("[")
        if words:
            return [word.strip() for word in text.split(",")]
        return _toml_value(text if text.startswith("[") else f"[{text}]", path)
    if typing.get_origin(hint) is not None and typing.get_origin(hint) is not typing.Literal:
        return _toml_value(text, path)
    return text


def _toml_value(text: str, path: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        raise RecipeError(path, "a TOML value, such as [36.0, 24.0]", named(text)) from None


def _free(text: str) -> Any:
    """An engine option: a TOML number, true or false, list or quoted text; any other text as it stands."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    value = document["value"]
    return value if len(document) == 1 and isinstance(value, (bool, int, float, str, list)) else text
