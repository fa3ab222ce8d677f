"""Where models lie: the folders of $PLATELIGHT_MODELS, then `models` in the user's home folder. Nothing is fetched."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from platelight.connection import home
from platelight.errors import ModelError

from .card import ModelCard

__all__ = ["MODELS_VARIABLE", "download_command", "find", "found_in", "missing", "models_folders"]

MODELS_VARIABLE = "PLATELIGHT_MODELS"
PICKLES = (".bin", ".pth", ".pt", ".ckpt")


def models_folders() -> tuple[Path, ...]:
    """The folders that are looked through, in their order."""
    given = os.environ.get(MODELS_VARIABLE, "")
    return (*(Path(part).absolute() for part in given.split(os.pathsep) if part), home() / "models")


def find(card: ModelCard, roots: Sequence[Path] | None = None) -> Path:
    """The folder that holds a model's files, in `roots` or the models folders.

    A model lies in a folder called by its name in the catalogue, or by its repository (`OWNER/NAME` or `NAME`). Raises
    `ModelError` that says where was looked, what is missing, and how to get it.
    """
    looked = tuple(models_folders() if roots is None else roots)
    found = found_in(card, looked)
    if found is not None:
        return found
    begun = next((folder for folder in _candidates(card, looked) if folder.is_dir()), None)
    if begun is None:
        where = f"expected a folder {card.name} in {' or '.join(map(str, looked))}, found none"
    else:
        where = f"{begun}: expected {' and '.join(missing(card, begun))}, found {_instead(begun)}"
    raise ModelError(f"model {card.name}: {where}; {_how(card, begun or looked[0] / card.name)}")


def found_in(card: ModelCard, roots: Sequence[Path]) -> Path | None:
    """The first of its folders in `roots` that holds all of a model's files."""
    return next((folder for folder in _candidates(card, roots) if folder.is_dir() and not missing(card, folder)), None)


def missing(card: ModelCard, folder: Path) -> tuple[str, ...]:
    """The patterns of a card that no file in `folder` matches."""
    return tuple(pattern for pattern in card.files if not any(folder.glob(pattern)))


def download_command(card: ModelCard, folder: Path) -> str:
    """What to type to fetch a model, at the revision that is known here, into `folder`."""
    if card.urls:
        return shlex.join(
            [
                "curl",
                "--location",
                "--fail",
                "--create-dirs",
                "--output-dir",
                str(folder),
                "--remote-name-all",
                *card.urls,
            ]
        )
    included = [word for pattern in card.downloads or card.files for word in ("--include", pattern)]
    words = ["hf", "download", card.source, "--revision", card.revision, *included, "--local-dir", str(folder)]
    return shlex.join(words)


def _candidates(card: ModelCard, roots: Sequence[Path]) -> list[Path]:
    names = dict.fromkeys((card.name, card.source.rpartition("/")[2], card.source))
    return [root / name for root in roots for name in names]


def _instead(folder: Path) -> str:
    pickles = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in PICKLES)
    if pickles:
        return (
            f"{pickles[0]}, a pickle, which is not loaded; convert it: platelight models convert {folder / pickles[0]}"
        )
    others = sum(path.is_file() for path in folder.rglob("*"))
    return f"{others} other files"


def _how(card: ModelCard, folder: Path) -> str:
    pickles = [name for name in card.downloads if Path(name).suffix in PICKLES]
    then = "".join(f", then: platelight models convert {folder / name}" for name in pickles)
    return (
        f"download it ({card.size_bytes / 1e9:.2g} GB, {card.licence}, {card.licence_url}) with: "
        f"{download_command(card, folder)}{then}"
    )
