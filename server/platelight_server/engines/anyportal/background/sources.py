"""Where a background can come from, as data: what it needs, which models it uses, what sizes and lengths it takes.

Licences and bytes are those of the models' cards. A new way is a value in `SOURCES` and the code behind its name.
"""

from __future__ import annotations

from dataclasses import dataclass

from platelight.errors import RecipeError
from platelight_server.models.card import ModelCard
from platelight_server.models.catalogue import card

__all__ = ["SOURCES", "BackgroundSource", "background_source"]


@dataclass(frozen=True)
class BackgroundSource:
    """One way to a background.

    `kinds` are the recipe's kinds of background that lead to it. `models` are cards that it cannot do without,
    `helpers` those that do a part of it better than what is there without weights. `canvas` (height, width) is the one
    size that it paints at, None the plate's own; `window_frames` how many frames it paints at once, None any number.
    """

    name: str
    summary: str
    kinds: tuple[str, ...]
    models: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()
    uses_camera: bool = False
    canvas: tuple[int, int] | None = None
    window_frames: int | None = None

    @property
    def cards(self) -> tuple[ModelCard, ...]:
        """The cards of all its models: licences, files and bytes."""
        return tuple(card(name) for name in (*self.models, *self.helpers))

    @property
    def commercial(self) -> bool:
        """Whether commercial use is allowed without doing anything for it, with the models it cannot do without."""
        return all(card(name).commercial for name in self.models)


SOURCES = (
    BackgroundSource("given", "the user's pictures, as they are", ("still", "sequence", "keep")),
    BackgroundSource(
        "carried-still",
        "the user's picture, moved as the solved camera shows it (background.move = 'camera')",
        ("still",),
        uses_camera=True,
    ),
    BackgroundSource(
        "das",
        "painted from a prompt or a picture, along the plate's camera motion, by Diffusion as Shader",
        ("prompt", "still"),
        models=("diffusion-as-shader", "realistic-vision-v51", "iclight-fc", "iclight-fbc"),
        helpers=("sd15-inpainting",),
        uses_camera=True,
        canvas=(480, 720),
        window_frames=49,
    ),
)


def background_source(kind: str, moved: bool = False, painted: bool = False) -> BackgroundSource:
    """The way to a background of the recipe's `kind`: `moved` with the camera, `painted` from a still.

    Raises `RecipeError` for a kind that none leads from.
    """
    name = "das" if painted or kind == "prompt" else "carried-still" if moved else "given"
    for source in SOURCES:
        if source.name == name and kind in source.kinds:
            return source
    kinds = sorted({one for source in SOURCES for one in source.kinds})
    raise RecipeError("background", f"one of {', '.join(kinds)}", kind)
