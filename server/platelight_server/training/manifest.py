"""A dataset folder: clips as EXR sequences in linear Rec.709, and one typed JSON file that says what they are.

    manifest.json            this module's `Manifest`: every clip with its roles, hashes, licence and source
    CLIP/ROLE/ROLE.####.exr  the pictures, half float

Roles: `plate` as filmed; `matte` of its foreground, channel A; `flicker` the foreground relit frame by frame (or its
colours jittered) over a background; `relit` the same, stable in time; `background` the one it was relit for; `clean`
the plate without its foreground. A network needs the roles in `NEEDS`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from platelight.document import decode, encode, entry
from platelight.errors import FrameError, InputError, RecipeError
from platelight.frames import FrameRange, SequencePath

__all__ = [
    "MANIFEST",
    "NEEDS",
    "ROLES",
    "Clip",
    "Manifest",
    "Pictures",
    "hash_files",
    "hash_text",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "manifest.json"
VERSION = 1
SPACE = "lin_rec709_scene"
ROLES = ("plate", "matte", "flicker", "relit", "background", "clean")
NEEDS = {"deflicker": ("plate", "matte", "flicker"), "harmonizer": ("plate", "matte", "relit", "background")}


@dataclass(frozen=True)
class Pictures:
    """One role of a clip."""

    pattern: str = entry("sequence or still, relative to the dataset folder")
    sha256: str = entry("of the files' contents, in the order of their frames", pattern="[0-9a-f]{64}")


@dataclass(frozen=True)
class Clip:
    """One clip, all roles over the same frames and of one size."""

    name: str = entry("folder of the clip")
    stage: str = entry("which maker made it")
    frames: FrameRange = entry("the frames that there are")
    licence: str = entry("of the source, as its owner states it")
    source: str = entry("where it comes from")
    commercial: bool = entry("whether all licences of it allow commercial use", default=True)
    roles: Mapping[str, Pictures] = entry("pictures by role", factory=dict)
    key: str = entry("hash of sources and settings: equal keys, equal pictures", default="")
    models: tuple[str, ...] = entry("models that made pictures of it, with their licences", default=())


@dataclass(frozen=True)
class Manifest:
    """A dataset."""

    height: int = entry("of the pictures", minimum=1)
    width: int = entry("of the pictures", minimum=1)
    colorspace: str = entry("of the pictures", default=SPACE, choices=(SPACE,))
    version: int = entry("of this form", default=VERSION, minimum=VERSION, maximum=VERSION)
    clips: tuple[Clip, ...] = field(default=())

    def with_clip(self, clip: Clip) -> Manifest:
        """The same with `clip` added, or in the place of the one of its name; clips stand by name."""
        others = [one for one in self.clips if one.name != clip.name]
        return replace(self, clips=tuple(sorted([*others, clip], key=lambda one: one.name)))


def read_manifest(folder: Path) -> Manifest:
    """The dataset in `folder`. Raises InputError where there is none, RecipeError with file and key if it is wrong."""
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{folder}: expected a dataset folder with {MANIFEST}, found none; make one with `platelight data pairs`"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected a dataset's JSON, got {error}") from None
    try:
        found = decode(Manifest, document)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error.path}", error.expected, error.found) from None
    for clip in found.clips:
        unknown = sorted(set(clip.roles) - set(ROLES))
        if unknown:
            raise RecipeError(f"{path}: clips.{clip.name}.roles", f"roles of {', '.join(ROLES)}", unknown[0])
    return found


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Whole or not at all. Raises OutputError."""
    from platelight_server.plates.frames_out import prepare_folder, write_bytes

    prepare_folder(folder)
    write_bytes(folder / MANIFEST, (json.dumps(encode(manifest), indent=1, ensure_ascii=False) + "\n").encode())


def files_of(folder: Path, clip: Clip, role: str, frames: Iterable[int]) -> list[Path]:
    """The files of a role. Raises FrameError naming clip and role where it has none."""
    if role not in clip.roles:
        raise FrameError(
            f"{folder}: clip {clip.name}: expected the role {role}, it has {', '.join(clip.roles) or 'none'}"
        )
    sequence = SequencePath.parse(folder / clip.roles[role].pattern)
    return [sequence.path(frame) for frame in frames]


def check_content(folder: Path, clip: Clip) -> None:
    """Compares every file of a clip with its hash. Raises FrameError naming the role."""
    for role, pictures in clip.roles.items():
        found = hash_files(files_of(folder, clip, role, clip.frames))
        if found != pictures.sha256:
            raise FrameError(
                f"{folder / pictures.pattern}: expected the contents that {MANIFEST} records ({pictures.sha256[:12]}), "
                f"got {found[:12]}; make clip {clip.name} again"
            )


def hash_files(files: Iterable[Path]) -> str:
    """SHA-256 over the SHA-256 of each file. Raises FrameError for one that cannot be read."""
    whole = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise FrameError(f"{path}: cannot be read: {error.strerror or error}") from None
    return whole.hexdigest()


def hash_text(document: object) -> str:
    """SHA-256 of a plain value as canonical JSON."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
