"""The engines there are, by name. An engine is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from platelight.document import closest
from platelight.errors import RecipeError

from ..plan import Window
from .interface import Capabilities, Engine, Option
from .steadied import SteadiedEngine, steadied

_WHERE = {
    "classic": ("platelight_server.engines.classic.engine", "ClassicEngine"),
    "anyportal": ("platelight_server.engines.anyportal.engine", "AnyPortalEngine"),
    "harmovid": ("platelight_server.engines.harmovid.engine", "HarmoVidEngine"),
}


def register(name: str, module: str, attribute: str) -> None:
    """Adds an engine from outside: `module` is imported when the engine is asked for."""
    _WHERE[name] = (module, attribute)


def engine_names() -> tuple[str, ...]:
    """Names a recipe may give in `engine.name`."""
    return tuple(_WHERE)


def engine_class(name: str) -> type[Engine]:
    """The engine called `name`, with the options that all engines have (see `steadied`). Raises `RecipeError`."""
    if name not in _WHERE:
        raise RecipeError("engine.name", f"one of {', '.join(_WHERE)}", repr(name))
    module, attribute = _WHERE[name]
    return steadied(getattr(import_module(module), attribute))


def create(name: str, options: Mapping[str, Any], device: str = "cpu") -> Engine:
    """An engine for one job, its options checked and completed with defaults. Raises `RecipeError`."""
    kind = engine_class(name)
    complete = checked_options(kind.capabilities, options)
    return kind.made(complete, device) if issubclass(kind, SteadiedEngine) else kind(complete, device)


def windows_of(name: str, options: Mapping[str, Any], frames: Sequence[int]) -> tuple[Window, ...]:
    """How an engine cuts a shot; `options` as the recipe gives them. Raises `RecipeError`."""
    kind = engine_class(name)
    return kind.windows(checked_options(kind.capabilities, options), frames)


def checked_options(capabilities: Capabilities, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of an engine: those given, checked, and the defaults of the others. Raises `RecipeError`."""
    known = {option.name: option for option in capabilities.options}
    for name in options:
        if name not in known:
            listed = closest(name, known).removeprefix("one of ") if known else "none"
            raise RecipeError(
                f"engine.options.{name}", f"an option of {capabilities.name} ({listed})", "an unknown key"
            )
    return {name: _checked(option, options.get(name, option.default)) for name, option in known.items()}


def _checked(option: Option, value: Any) -> Any:
    path = f"engine.options.{option.name}"
    if value is None or (type(value) is type(option.default) and value == option.default):
        return value
    kinds: dict[str, tuple[type, ...]] = {
        "float": (int, float),
        "int": (int,),
        "bool": (bool,),
        "choice": (str,),
        "text": (str,),
        "floats": (list, tuple),
    }
    if not isinstance(value, kinds[option.kind]) or (isinstance(value, bool) and option.kind != "bool"):
        raise RecipeError(path, option.kind, repr(value))
    if option.choices and value not in option.choices:
        raise RecipeError(path, f"one of {', '.join(option.choices)}", repr(value))
    for number in _numbers(option, value):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise RecipeError(path, "a list of numbers", repr(value))
        if not (_low(option) <= number <= _high(option)):
            raise RecipeError(
                path, f"{_low(option)} to {_high(option)}{option.unit and ' ' + option.unit}", repr(number)
            )
    return value


def _numbers(option: Option, value: Any) -> list[Any]:
    if option.kind == "floats":
        return list(value)
    return [value] if option.kind in ("float", "int") else []


def _low(option: Option) -> float:
    return float("-inf") if option.minimum is None else option.minimum


def _high(option: Option) -> float:
    return float("inf") if option.maximum is None else option.maximum
