"""The models that a matte source uses: found, compared with their hashes, their licences agreed to, and stated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..models.catalogue import CATALOGUE, card
from ..models.consent import accepted, require_consent
from ..models.record import Checked, ensure

__all__ = ["stated_models", "used"]


def used(name: str) -> Checked:
    """A model by its card's name. Raises `ModelError`, which says how to fetch it or to agree to its licence."""
    one = card(name)
    require_consent([one], accepted(CATALOGUE))
    return ensure(one)


def stated_models(models: Sequence[Checked]) -> list[dict[str, Any]]:
    """For headers."""
    return [
        {"model": one.card.name, "licence": one.card.licence, "commercial": one.card.commercial, "digest": one.digest}
        for one in models
    ]
