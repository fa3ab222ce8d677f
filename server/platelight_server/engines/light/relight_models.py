"""The image relighting models there are, by name, as the light stage and others use them.

A model is imported when it is asked for. It takes frames of any size, an anchor or none, and answers with pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from platelight.errors import RecipeError

if TYPE_CHECKING:
    import torch

    from platelight_server.engines.light.frames import LightFrame, LightSettings

__all__ = ["RelightFacts", "RelightModel", "register", "relight_model", "relight_models"]


@dataclass(frozen=True)
class RelightFacts:
    """What a relighting model is, as data. `cards` name its checkpoints in the catalogue: files, bytes, licences.

    `canvas` is the (height, width) it is known to work at; sides that are no multiple of `size_multiple` are padded.
    """

    name: str
    summary: str
    cards: tuple[str, ...]
    canvas: tuple[int, int]
    size_multiple: int
    uses_background: bool
    uses_prompt: bool


class RelightModel(Protocol):
    """A loaded model. Deterministic: its noise depends on the settings' seed alone."""

    facts: RelightFacts

    def harmonize(
        self,
        window: Sequence[LightFrame],
        anchor: LightFrame | None,
        prompt: str,
        negative: str,
        settings: LightSettings,
        step: Callable[[str, int, int], None],
    ) -> torch.Tensor:
        """The window relit over its backgrounds, (F, 3, h, w) float32; without an anchor frame by frame."""

    def roundtrip(self, video: torch.Tensor, highres: bool = False) -> torch.Tensor:
        """(F, 3, h, w) -> what the model's codec alone makes of it."""


_WHERE = {"iclight": ("platelight_server.engines.light.harmonize", "Harmonizer")}


def register(name: str, module: str, attribute: str) -> None:
    """Adds a model from outside: a class with `facts`, `load(folders by card, dtype, device, placed)` and the methods
    of `RelightModel`."""
    _WHERE[name] = (module, attribute)


def relight_models() -> tuple[str, ...]:
    """The names there are."""
    return tuple(_WHERE)


def relight_model(name: str) -> Any:
    """The class of the model called `name`. Raises `RecipeError`."""
    if name not in _WHERE:
        raise RecipeError("engine.options.relight_model", f"one of {', '.join(_WHERE)}", repr(name))
    module, attribute = _WHERE[name]
    return getattr(import_module(module), attribute)
