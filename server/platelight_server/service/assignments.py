"""What a worker can be given, and what becomes of its answers: a check, a preview, a job."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from platelight.errors import ServerError
from platelight.messages import Message, Previewed, Problem
from platelight.wire import Bytes

from .jobs import Job, Jobs
from .link import Do, Ended, Looked, Report


@dataclass(frozen=True)
class Request:
    """A recipe as a client sent it."""

    recipe: bytes
    blob: str = ""  # holds the recipe, where it is too large to come along
    base: str = ""
    files: str = ""
    frames: str = ""
    force: bool = False
    priority: int = 50
    key: str = ""
    client: str = ""
    user: str = ""

    @property
    def digest(self) -> str:
        """What must be the same where a key comes twice."""
        said = f"{self.blob}|{self.base}|{self.files}|{self.frames}|{self.force}|".encode()
        return hashlib.sha256(said + self.recipe).hexdigest()


Answer = Callable[[Any, Exception | None], None]


@dataclass
class CheckTask:
    """A check under way, and whom to tell."""

    do: Do
    payload: bytes
    done: Answer
    abandoned: bool = False
    said: str = "waiting for its turn"

    def answer(self, message: Message, payload: Bytes | None) -> None:
        if isinstance(message, Looked):
            self.done(message, None)
        elif isinstance(message, Ended):
            self.done(None, ServerError(message.text, message.code, message.retry, problems=message.problems))
        elif isinstance(message, Report):
            self.said = message.text

    def lost(self, code: str, why: str) -> None:
        self.done(None, ServerError(f"the check was not finished: {why}", code, True))


@dataclass
class PreviewTask:
    """A preview under way: `done` gets what was made of it and its bytes."""

    do: Do
    payload: bytes
    done: Answer
    head: Previewed | None = None
    pieces: list[Bytes] = field(default_factory=list)

    def answer(self, message: Message, payload: Bytes | None) -> None:
        if isinstance(message, Previewed):
            self.head = message
        elif isinstance(message, Ended):
            error = ServerError(message.text, message.code, message.retry, problems=message.problems)
            self.done(None, error)
        elif payload is not None:
            self.pieces.append(payload)
            if getattr(message, "last", False):
                self.done((self.head, self.pieces), None)

    def lost(self, code: str, why: str) -> None:
        self.done(None, ServerError(f"the preview was not finished: {why}", code, True))


@dataclass
class JobTask:
    """A job at a worker."""

    do: Do
    payload: bytes
    job: Job
    jobs: Jobs

    def answer(self, message: Message, payload: Bytes | None) -> None:
        job = self.jobs.owned(self.job.id, self.do.epoch)
        if job is None:
            return  # fenced: somebody else has it, or nobody any more
        if isinstance(message, Report):
            if message.kind == "step":
                self.jobs.step(job, message.stage, message.step, message.steps, message.seconds_left)
            else:
                self.jobs.report(job, message.kind, message.frame, message.done, message.total, message.text)
                if message.seconds_left is not None:
                    job.status = replace(job.status, seconds_left=message.seconds_left)
        elif isinstance(message, Ended):
            if message.code == "CANCELLED":
                self.jobs.finished(job, "cancelled", message.result)
            elif message.retry and message.state == "failed":
                self.jobs.lost(job, message.code, message.text)
            else:
                self.jobs.finished(job, message.state, message.result, message.code, message.text)  # type: ignore[arg-type]

    def lost(self, code: str, why: str) -> None:
        job = self.jobs.owned(self.job.id, self.do.epoch)
        if job is not None:
            self.jobs.lost(job, code, why)


def refusal(problems: tuple[Problem, ...], forbidden: bool) -> ServerError:
    """A check's no, as an error."""
    code = "FORBIDDEN_PATH" if forbidden else "BAD_INPUT"
    text = problems[0].text if len(problems) == 1 else f"{problems[0].text} (and {len(problems) - 1} more problems)"
    return ServerError(text, code, problems=problems)
