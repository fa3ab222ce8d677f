"""Settings whose description, range and default are the recipe's own, so that panel and command line say the same."""

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty

from .core import Look, fields_of, rule_of

INT_MOST = 2**31 - 1


def dial(owner, name, start=None):
    """A property for a field of the recipe: its description, range, choices and default are the recipe's.

    `start` is what one begins with that a recipe may leave out.
    """
    item = next(item for item in fields_of(owner) if item.name == name)
    rule = rule_of(item)
    default = item.default if start is None else start
    label = name.removesuffix("_stops").removesuffix("_m").replace("_", " ").capitalize()
    text = rule.description[:1].upper() + rule.description[1:] + (f", {rule.unit}" if rule.unit else "")
    if rule.choices:
        choices = tuple(
            (choice, choice.upper() if len(choice) < 5 else choice.capitalize(), "") for choice in rule.choices
        )
        return EnumProperty(name=label, description=text, items=choices, default=default)
    limits = {key: value for key, value in (("min", rule.minimum), ("max", rule.maximum)) if value is not None}
    if isinstance(default, int):
        whole = {key: int(min(value, INT_MOST)) for key, value in limits.items()}
        return IntProperty(name=label, description=text, default=default, **whole)
    return FloatProperty(name=label, description=text, default=default, precision=3, **limits)


class PlatelightLook(bpy.types.PropertyGroup):
    """The dials; each is a field of the recipe's `look`."""

    __annotations__ = {item.name: dial(Look, item.name) for item in fields_of(Look)}


class PlatelightEngineOptions(bpy.types.PropertyGroup):
    """The engine's own options as custom properties: `options["detail"] = 0.5`. The server says which there are."""
