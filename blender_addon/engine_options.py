"""The engines and their options as the server describes them, and what a shot has set of them.

An option is a table: name, kind (float, int, bool, choice, text, floats), default, description, choices, minimum,
maximum, unit, parts. A shot holds only what differs from the default: the server may change its mind about those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import pump
from .core import InputError

Table = Mapping[str, Any]
POINT = ("frame", "x", "y")  # parts that make an option a place in the plate
POINT_START = {"x": 0.5, "y": 0.5, "size": 0.03}  # the picture's middle, and a small square


def engine_of(shot: Any) -> Table | None:
    """The shot's engine, where the server that is connected has it."""
    return next((one for one in pump.session.engines if one.get("name") == shot.engine), None)


def options_of_engine(shot: Any) -> Sequence[Table]:
    """The options of the shot's engine."""
    engine = engine_of(shot)
    return engine.get("options", ()) if engine is not None else ()


def option_of(shot: Any, name: str) -> Table:
    """An option by its name. Raises `InputError`."""
    found = next((one for one in options_of_engine(shot) if one.get("name") == name), None)
    if found is None:
        known = ", ".join(str(one.get("name")) for one in options_of_engine(shot))
        why = f"it has {known}" if known else "no server has described it yet"
        raise InputError(f"The engine {shot.engine} has no option {name}: {why}.")
    return found


def label_of(option: Table) -> str:
    """An option's name for people."""
    return str(option.get("name", "")).removesuffix("_m").removesuffix("_stops").replace("_", " ").capitalize()


def is_point(option: Table) -> bool:
    """Whether the option is a place in the plate, which can be picked."""
    return tuple(option.get("parts", ()))[:3] == POINT


def value_of(shot: Any, option: Table) -> Any:
    """What holds: what the shot has set, else the default."""
    return shot.engine_options.get(option["name"], option.get("default"))


def set_value(shot: Any, option: Table, value: Any) -> None:
    """Sets an option as a custom property with the limits that the server told, which panels keep to."""
    name, held = option["name"], shot.engine_options
    held[name] = value
    told: dict[str, Any] = {"description": str(option.get("description", "")).removesuffix(".")}
    if option.get("kind") in ("int", "float"):
        told |= {end: option[f"{end}imum"] for end in ("min", "max") if option.get(f"{end}imum") is not None}
    held.id_properties_ui(name).update(**told)


def start_value(option: Table, frame: int) -> Any:
    """What an option begins with when it is set: its default; `frame`, and the middle of the picture, for a place."""
    default = option.get("default")
    if option.get("kind") != "floats" or default:
        return default
    parts = {**POINT_START, "frame": float(frame)}
    least = option.get("minimum") or 0.0
    return [float(parts.get(part, least)) for part in option.get("parts", ())] or [least]


def parsed(option: Table, text: str) -> Any:
    """An option's value from text, as a script gives it. Raises `InputError`."""
    kind, choices = option.get("kind"), tuple(option.get("choices", ()))
    try:
        if kind == "bool":
            return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
        if kind == "floats":
            return [float(part) for part in text.split(",")]
        value = {"int": int, "float": float}.get(str(kind), str)(text)
    except (ValueError, KeyError):
        value = None
    if value is None or (choices and value not in choices):
        expected = f"one of {', '.join(choices)}" if choices else str(kind)
        raise InputError(f"{option['name']}: expected {expected}, got {text!r}.")
    return value
