"""The stages of the paper's data as makers: each turns a clip into the pictures of a dataset's clip, frame by frame.

jitter       plate, matte -> flicker: colours and shading that jump (jitter.py); no model
relit        plate, matte, background -> flicker: every frame relit on its own by an image model (paper, step 1)
deflickered  a dataset of `relit` -> relit: that foreground made steady by a trained network (paper, step 2)
given        plate, matte, relit, background as they lie there: exact pairs, such as rendered shots
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from platelight.document import encode
from platelight.errors import FrameError, InputError
from platelight_server.plates.listing import scan, sequence_at
from platelight_server.training.manifest import hash_files, hash_text
from platelight_server.training.pairs.jitter import Strength, jittered
from platelight_server.training.pairs.sources import Note, Source, note_of, read_picture

__all__ = ["Backgrounds", "Given", "Jitter", "Maker", "Relit"]

Made = Iterator[tuple[int, Mapping[str, np.ndarray]]]
FORM = 1  # raised when a maker's pictures change


class Maker(ABC):
    """One stage. `models` are the models that make its pictures, as name (licence)."""

    stage: str
    models: tuple[str, ...] = ()
    commercial = True  # whether the models' licences allow it

    @abstractmethod
    def settings(self, source: Source) -> dict[str, Any]:
        """All beside the source's own pictures that the result depends on, plain."""

    @abstractmethod
    def pictures(self, source: Source, height: int, width: int) -> Made:
        """The pictures of every frame. Raises FrameError."""

    def notes(self, source: Source) -> tuple[Note, ...]:
        """What is used of others beside the source, with its licence."""
        return ()

    def key(self, source: Source, height: int, width: int) -> str:
        """What a clip's pictures depend on."""
        return hash_text(
            [
                FORM,
                self.stage,
                source.content(),
                list(source.frames),
                height,
                width,
                source.note.colorspace,
                self.settings(source),
            ]
        )


@dataclass
class Jitter(Maker):
    """See jitter.py."""

    seed: int = 0
    strength: Strength = field(default_factory=Strength)
    stage = "jitter"

    def settings(self, source: Source) -> dict[str, Any]:
        return {"seed": self.seed, "clip": source.name, "strength": encode(self.strength)}

    def pictures(self, source: Source, height: int, width: int) -> Made:
        for frame in source.frames:
            plate, matte = (source.read(role, frame, height, width) for role in ("plate", "matte"))
            flicker = jittered(plate, matte, frame, source.name, self.seed, self.strength)
            yield frame, {"plate": plate, "matte": matte, "flicker": flicker, **_more(source, frame, height, width)}


class Given(Maker):
    """Pairs that somebody else made: every role that a clip has is taken over."""

    stage = "given"

    def settings(self, source: Source) -> dict[str, Any]:
        if not {"relit", "flicker"} & set(source.roles):
            raise FrameError(
                f"clip {source.name}: expected the folder relit/ (or comp_b/) or flicker/ of a pair, found neither"
            )
        return {}

    def pictures(self, source: Source, height: int, width: int) -> Made:
        for frame in source.frames:
            yield frame, {role: source.read(role, frame, height, width) for role in source.roles}


class Backgrounds:
    """New backgrounds: each clip's own, else one of `folder`'s stills and sequences, drawn by the clip's name."""

    def __init__(self, folder: Path | None, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._note = note_of(folder) if folder else None
        if folder and self._note is None:
            raise InputError(f"{folder}: expected clip.toml with the licence of these backgrounds, found none")
        self._there = sorted(one for one in folder.iterdir() if one.suffix != ".toml") if folder else []
        if folder and not self._there:
            raise InputError(f"{folder}: expected stills, or folders with sequences, found none")

    def describe(self, source: Source) -> dict[str, Any]:
        """What a clip gets, by contents."""
        if "background" in source.roles:
            return {"background": "own"}
        return {"background": hash_files(self._files(source))}

    def note(self, source: Source) -> tuple[Note, ...]:
        """The licence of what a clip gets, unless it is its own."""
        return () if "background" in source.roles or self._note is None else (self._note,)

    def read(self, source: Source, frame: int, height: int, width: int) -> np.ndarray:
        """(3, h, w) linear Rec.709. A sequence that is too short runs back and forth, so it never jumps."""
        if "background" in source.roles:
            return source.read("background", frame, height, width)
        files = self._files(source)
        at = source.frames.index(frame) % max(1, 2 * len(files) - 2)
        path = files[min(at, 2 * len(files) - 2 - at)] if len(files) > 1 else files[0]
        assert self._note is not None
        return read_picture(path, False, self._note.colorspace, height, width)

    def _files(self, source: Source) -> list[Path]:
        if not self._there:
            raise FrameError(
                f"clip {source.name}: expected a background: the folder background/ in it, or --backgrounds"
            )
        drawn = int(hash_text([self._seed, "background", source.name])[:8], 16) % len(self._there)
        chosen = self._there[drawn]
        found: Sequence[Path] = list(scan(sequence_at(str(chosen))).values()) if chosen.is_dir() else [chosen]
        if not found:
            raise FrameError(f"{chosen}: expected a sequence of pictures, found none")
        return list(found)


def _more(source: Source, frame: int, height: int, width: int) -> dict[str, np.ndarray]:
    """A clean plate goes along where there is one."""
    return {"clean": source.read("clean", frame, height, width)} if "clean" in source.roles else {}


class Relit(Maker):
    """Every frame on its own through an image relighting model: expressive light that flickers.

    As in the paper the model is shown the binary mask. It has one seed for a clip; `per_frame` draws one a frame, which
    flickers more.
    """

    stage = "relit"

    def __init__(
        self,
        model: Any,
        cards: Sequence[Any],
        digests: Sequence[str],
        backgrounds: Backgrounds,
        settings: Mapping[str, Any],
    ) -> None:
        self._model, self._backgrounds, self._asked = model, backgrounds, dict(settings)
        self._digests = tuple(digests)
        self.models = tuple(f"{card.name} ({card.licence})" for card in cards)
        self.commercial = all(card.terms != "noncommercial" for card in cards)

    def settings(self, source: Source) -> dict[str, Any]:
        return {**self._asked, "model": self._digests, "clip": source.name, **self._backgrounds.describe(source)}

    def notes(self, source: Source) -> tuple[Note, ...]:
        return self._backgrounds.note(source)

    def pictures(self, source: Source, height: int, width: int) -> Made:
        from platelight_server.training.pairs.relighting import relit_frame

        for frame in source.frames:
            plate, matte = (source.read(role, frame, height, width) for role in ("plate", "matte"))
            background = self._backgrounds.read(source, frame, height, width)
            flicker = relit_frame(self._model, frame, plate, matte, background, self._asked)
            yield frame, {
                "plate": plate, "matte": matte, "background": background, "flicker": flicker,
                **_more(source, frame, height, width),
            }  # fmt: skip
