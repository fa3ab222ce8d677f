"""What is known of a published model, as data: purpose, source, files, size, licence. It loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["ModelCard", "Terms"]

Terms = Literal["free", "conditional", "noncommercial"]


@dataclass(frozen=True)
class ModelCard:
    """One model as it is published. `name` is also the folder that it lies in, below a models folder.

    `files` are glob patterns below that folder; each matches at least one file when the model is there. `downloads` are
    those to fetch where they differ, as for a pickle that is converted first. `terms` say what the licence does:
    "free" allows commercial use (also with the restrictions on use that `conditions` names), "conditional" allows it
    after something that the user has to do, "noncommercial" does not. The last two are used only when agreed to.

    `unverified` says what of a card was not seen at the source when it was written; empty where nothing is open.
    """

    name: str
    purpose: str
    stage: str  # "matte", "background", "light", "consistency", "measure"
    source: str  # repository on the Hugging Face hub; on GitHub where there are `urls`
    files: tuple[str, ...]
    size_bytes: int  # what the download command fetches, about
    licence: str
    licence_url: str
    terms: Terms
    used_by: tuple[str, ...]
    conditions: str = ""
    revision: str = "main"  # a commit where one is known
    downloads: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()  # of the downloads, for what is not on the hub
    sha256: Mapping[str, str] = field(default_factory=dict, hash=False)  # published hashes, by file
    unverified: str = ""

    @property
    def commercial(self) -> bool:
        """Whether commercial use is allowed without doing anything for it."""
        return self.terms == "free"

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, so that everybody downloads the same bytes."""
        return self.revision != "main"
