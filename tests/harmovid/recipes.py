"""The engine's table of a recipe, quick: two steps on pictures of 32 x 48. What is looked at is the way."""

from __future__ import annotations

from typing import Any


def engine(**options: Any) -> dict[str, Any]:
    """HarmoVid with `options` over the quick ones."""
    quick = {"steps": 2, "light_steps": 1, "window_frames": 17, "lines": 32, "columns": 48}
    return {"name": "harmovid", "options": {**quick, **options}}
