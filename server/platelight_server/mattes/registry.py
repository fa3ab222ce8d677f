"""The matte sources there are, as data: what each needs from the user, and which models, with their licences.

A new source is a class in a module of its own and a line here. Nothing heavy is loaded until one is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from platelight.errors import InputError

from ..models.card import ModelCard
from ..models.catalogue import CATALOGUE
from .interface import Asked, MatteSource

__all__ = ["METHODS", "Method", "create", "method"]


@dataclass(frozen=True)
class Method:
    """`models` are the cards that it runs on, its default first; `detectors` those it finds a text with."""

    name: str
    purpose: str
    needs: str
    made_by: str  # module:class
    models: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    takes_prompts: bool = False

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """Models with licences and where they come from."""
        return tuple(one for one in CATALOGUE if one.name in (*self.models, *self.detectors))


METHODS = (
    Method("key", "keys a green, blue or other screen; no weights", "a screen behind the subject", "keyed:KeyedMattes"),
    Method(
        "sam2",
        "follows a subject forwards and backwards from the frame that it is shown on",
        "a point, a box or a text",
        "sam2:Sam2Mattes",
        ("sam2.1-hiera-large", "sam2.1-hiera-small"),
        ("owlv2-base",),
        takes_prompts=True,
    ),
    Method(
        "birefnet",
        "finds what stands out, each frame for itself",
        "a subject that stands out",
        "birefnet:BiRefNetMattes",
        ("birefnet",),
    ),
)


def method(name: str) -> Method:
    """A source by name. Raises `InputError` naming those there are."""
    for one in METHODS:
        if one.name == name:
            return one
    raise InputError(f"--method: expected one of {', '.join(one.name for one in METHODS)}, got {name!r}")


def create(name: str, asked: Asked) -> MatteSource:
    """A source for a shot. Raises `FrameError`, `InputError`, `ModelError` where what it needs is not there."""
    chosen = method(name)
    if asked.model is not None and asked.model not in chosen.models:
        offered = ", ".join(chosen.models) or "none"
        raise InputError(f"--model: expected one of {offered} for method {name}, got {asked.model!r}")
    if (asked.prompts or asked.text is not None) and not chosen.takes_prompts:
        raise InputError(f"--method {name}: expected no point, box or text, got one; sam2 follows these")
    if chosen.takes_prompts and not asked.prompts and asked.text is None:
        raise InputError(f"--method {name}: expected {chosen.needs} that says what the subject is, got none")
    module, _, kind = chosen.made_by.partition(":")
    made: MatteSource = getattr(import_module(f"{__package__}.{module}"), kind)(asked)
    return made
