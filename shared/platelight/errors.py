"""Every error that Platelight raises on purpose.

    PlatelightError
    ├── InputError            what the user gave cannot be used; never retried            exit 65
    │   ├── RecipeError       the recipe document: a key, a type, a combination
    │   ├── FrameError        a frame is missing, damaged, or disagrees with its sequence
    │   ├── ColorError        a colour space is unknown or cannot be told
    │   ├── CameraError       a camera file or its range
    │   ├── ModelError        a model is absent, damaged, or its licence not agreed to
    │   └── ForbiddenPathError  a path that a server's fence does not let through         exit 77
    ├── OutputError           the result cannot be written (disk full, no permission)     exit 74
    ├── ResourceError         memory or a device is short; may work later or elsewhere    exit 75
    ├── PartialError          some frames failed, the others are on disk                  exit 3
    ├── ServerError           the server says no, or cannot be asked; has code and retry  exit 70
    │   ├── ProtocolError     a message cannot be read, or there is no common version     exit 76
    │   ├── UnreachableError  no server answers                                           exit 69
    │   ├── RestartedError    the server was started anew; ask again                      exit 75
    │   ├── AccessError       the key is not known, or a path lies outside the roots      exit 77
    │   ├── NotFoundError     no such job, file or blob                                   exit 65
    │   ├── BusyError         a queue or a quota is full; says when to retry              exit 75
    │   ├── RefusedError      the check refuses the recipe; has the problems              exit 65
    │   ├── JobFailedError    the job ended without its frames                            exit 4
    │   └── CancelledError    the job was cancelled                                       exit 130
    └── MissingExtraError     an optional part of the installation is absent              exit 1

A message says which file and frame, what was expected, what came, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .messages import JobResult, Problem


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


class ModelError(InputError):
    """A model is not in the models folders, its files are not what they should be, or its licence is not agreed to."""


class ForbiddenPathError(InputError):
    """A path leads outside the server's media roots, or is to be written below one that is read-only."""

    exit_code = 77


class OutputError(PlatelightError):
    """The result cannot be written; what was finished before stays as it is."""

    exit_code = 74


class ResourceError(PlatelightError):
    """Memory or a device is short. The same request may work later or on another machine."""

    exit_code = 75


class PartialError(PlatelightError):
    """Some frames failed; the others are finished and on disk. `result` says which, where a server did the job."""

    exit_code = 3
    result: JobResult | None = None


class MissingExtraError(PlatelightError):
    """An optional part of the installation is absent; the message names the command that adds it."""


class ServerError(PlatelightError):
    """The server says no, or cannot be asked. `code` is one of `messages.CODES`, `retry` whether asking again may help.

    `problems` holds what a check said, as (kind, text, key) triples, where the recipe is to blame.
    """

    exit_code = 70

    def __init__(
        self,
        text: str,
        code: str = "INTERNAL",
        retry: bool = False,
        retry_after_s: float = 0.0,
        problems: Sequence[Problem] = (),
    ) -> None:
        super().__init__(text)
        self.code, self.retry, self.retry_after_s, self.problems = code, retry, retry_after_s, tuple(problems)


class ProtocolError(ServerError):
    """A message cannot be read or makes no sense, or the peers have no version in common. `id` is the request."""

    exit_code = 76

    def __init__(self, text: str, code: str = "BAD_MESSAGE", id: str = "") -> None:
        super().__init__(text, code)
        self.id = id


class UnreachableError(ServerError):
    """No server answers."""

    exit_code = 69


class RestartedError(ServerError):
    """The server was started anew while a request was under way; jobs that were accepted go on."""

    exit_code = 75


class AccessError(ServerError):
    """The key is not known to the server, or a path lies outside its media roots."""

    exit_code = 77


class NotFoundError(ServerError):
    """There is no such job, file or blob."""

    exit_code = 65


class BusyError(ServerError):
    """The queue, the spool or a session is full. `retry_after_s` says when to ask again."""

    exit_code = 75


class RefusedError(ServerError):
    """The check refuses the recipe (`problems` say why), or a job is not in a state in which that can be done."""

    exit_code = 65


class JobFailedError(ServerError):
    """The job ended without its frames; what was finished is on disk."""

    exit_code = 4


class CancelledError(ServerError):
    """The job was cancelled; what was finished is on disk."""

    exit_code = 130
