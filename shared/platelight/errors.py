"""Every error that Platelight raises on purpose.

    PlatelightError
    ├── InputError            what the user gave cannot be used; never retried            exit 65
    │   ├── RecipeError       the recipe document: a key, a type, a combination
    │   ├── FrameError        a frame is missing, damaged, or disagrees with its sequence
    │   ├── ColorError        a colour space is unknown or cannot be told
    │   └── CameraError       a camera file or its range
    ├── OutputError           the result cannot be written (disk full, no permission)     exit 74
    ├── ResourceError         memory or a device is short; may work later or elsewhere    exit 75
    ├── PartialError          some frames failed, the others are on disk                  exit 3
    └── MissingExtraError     an optional part of the installation is absent              exit 1

A message says which file and frame, what was expected, what came, and what to do next.
"""

from __future__ import annotations


class PlatelightError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns for it."""

    exit_code = 1


class InputError(PlatelightError):
    """What the user gave cannot be used. Trying again without changing it gives the same answer."""

    exit_code = 65


class RecipeError(InputError):
    """A recipe is refused. `path` is the dotted key, `expected` and `found` are what the message names."""

    def __init__(self, path: str, expected: str, found: str = "") -> None:
        self.path, self.expected, self.found = path, expected, found
        text = f"{path}: expected {expected}" if path else f"expected {expected}"
        super().__init__(f"{text}, got {found}" if found else text)


class FrameError(InputError):
    """A frame is missing, damaged, or disagrees with its sequence."""


class ColorError(InputError):
    """A colour space is unknown, or a file does not say which it is in."""


class CameraError(InputError):
    """A camera file cannot be read, or does not cover the frames asked for."""


class OutputError(PlatelightError):
    """The result cannot be written; what was finished before stays as it is."""

    exit_code = 74


class ResourceError(PlatelightError):
    """Memory or a device is short. The same request may work later or on another machine."""

    exit_code = 75


class PartialError(PlatelightError):
    """Some frames failed; the others are finished and on disk."""

    exit_code = 3


class MissingExtraError(PlatelightError):
    """An optional part of the installation is absent; the message names the command that adds it."""
