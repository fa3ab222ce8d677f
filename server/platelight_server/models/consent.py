"""Licences that somebody has to agree to. Agreeing is written into the home folder of the user who does it.

A licence that changes in the catalogue has to be agreed to again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from platelight.connection import home, write_private
from platelight.errors import ModelError

from .card import ModelCard

__all__ = ["accept", "accepted", "needs_consent", "require_consent", "statement"]


def needs_consent(card: ModelCard) -> bool:
    """Whether a model is used only when its licence was agreed to."""
    return card.terms != "free"


def require_consent(cards: Iterable[ModelCard], agreed: Collection[str]) -> None:
    """Refuses models whose licence nobody agreed to. `agreed` are names of models. Raises `ModelError`."""
    for card in cards:
        if needs_consent(card) and card.name not in agreed:
            raise ModelError(
                f"model {card.name}: {statement(card)} To use it all the same: platelight models accept {card.name}"
            )


def statement(card: ModelCard) -> str:
    """What a licence says, in a sentence or two."""
    use = {
        "free": "allows commercial use.",
        "conditional": "allows commercial use under conditions only.",
        "noncommercial": "does not allow commercial use.",
    }[card.terms]
    return " ".join(
        part for part in (f"its licence ({card.licence}, {card.licence_url}) {use}", card.conditions) if part
    )


def accepted(cards: Iterable[ModelCard]) -> frozenset[str]:
    """The names of those models whose licence, as it stands on the card, this user has agreed to."""
    noted = _noted()
    return frozenset(card.name for card in cards if noted.get(card.name) == card.licence)


def accept(card: ModelCard) -> Path:
    """Notes that this user agrees to a model's licence; returns the file that says so. Raises `OutputError`."""
    write_private(_file(), json.dumps({**_noted(), card.name: card.licence}, indent=1, sort_keys=True) + "\n")
    return _file()


def _file() -> Path:
    return home() / "accepted-licences.json"


def _noted() -> dict[str, str]:
    try:
        noted = json.loads(_file().read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{_file()}: expected a list of accepted licences, got {error}") from None
    if not isinstance(noted, dict):
        raise ModelError(f"{_file()}: expected a JSON object, got {type(noted).__name__}")
    return noted
