"""What the server knows of each connection: what is to be sent to it, what it watches, what it is being sent.

A client that reads slowly costs a bounded amount: answers are bounded by the requests it may have under way, notices
are the newest state rather than a backlog, events are fetched when there is room for them, pixels wait for its credits.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from platelight.errors import PlatelightError, ServerError
from platelight.messages import CODES, RETRY_CODES, Message, Refused
from platelight.wire import Bytes, encode_frames

NOTICES_MOST = 64  # messages that may wait for a client before notices and events are held back
OUTBOX_MOST = 600  # beyond that it has not read for long, and asked all the same: it must say hello again
TEXT_MOST = 2000
log = logging.getLogger(__name__)

Post = Callable[[bytes, list[Bytes]], str]  # -> "sent", "full" or "gone"


@dataclass
class Watcher:
    """A watch of one job's events. `sent` is the number of the last one that was sent."""

    request: str
    sent: int
    fetching: bool = False


@dataclass
class Transfer:
    """Pixels or a file on their way to a client.

    `pieces(offset, count, ready)` hands up to `count` chunks from `offset` on to `ready`; `taken(count)` says that the
    client has so many of them.
    """

    request: str
    size: int
    credit: int
    offset: int
    pieces: Callable[[int, int, Callable[[Any, Exception | None], None]], None]
    close: Callable[[], None] = lambda: None
    taken: Callable[[int], None] = lambda count: None
    reading: bool = False


@dataclass
class Session:
    """One connection, and how it is spoken to."""

    ident: bytes
    user: str
    heard: float
    post: Post
    client: str = ""
    pending: dict[str, Any] = field(default_factory=dict)  # request id -> what works on it, or None
    working: dict[str, float] = field(default_factory=dict)  # request id -> when its client was told last
    outbox: deque[list[Bytes]] = field(default_factory=deque)
    watchers: dict[str, Watcher] = field(default_factory=dict)
    watches_all: str = ""
    notices: dict[str, str] = field(default_factory=dict)  # job -> request id of the watch
    transfers: dict[str, Transfer] = field(default_factory=dict)
    preview: str = ""
    lost: bool = False

    @property
    def has_room(self) -> bool:
        """Whether notices may be sent."""
        return len(self.outbox) < NOTICES_MOST and not self.lost

    def send(self, message: Message, payload: Bytes | None = None) -> None:
        """Sends a message, behind those that wait."""
        if self.lost:
            return
        frames = encode_frames(message, payload)
        if self.outbox or not self._posted(frames):
            self.outbox.append(frames)
        if len(self.outbox) > OUTBOX_MOST:
            self.lost = True

    def push(self) -> None:
        """Sends what waits, as far as the client takes it."""
        while self.outbox and not self.lost and self._posted(self.outbox[0]):
            self.outbox.popleft()

    def _posted(self, frames: list[Bytes]) -> bool:
        outcome = self.post(self.ident, frames)
        self.lost = self.lost or outcome == "gone"
        return outcome == "sent"

    # ---- answers

    def reply(self, request: str, message: Message, payload: Bytes | None = None) -> None:
        """The answer that ends a request."""
        self.pending.pop(request, None)
        self.working.pop(request, None)
        self.send(replace(message, id=request), payload)

    def refuse(self, request: str, error: ServerError) -> None:
        """The answer that ends a request with a no."""
        code = error.code if error.code in CODES else "INTERNAL"
        retry = error.retry or code in RETRY_CODES
        self.reply(
            request, Refused("", code, str(error)[:TEXT_MOST], retry, error.retry_after_s, tuple(error.problems))
        )  # fmt: skip

    def fail(self, request: str, error: Exception | None) -> None:
        """The same for any error."""
        if isinstance(error, ServerError):
            self.refuse(request, error)
        elif isinstance(error, PlatelightError):
            self.refuse(request, ServerError(str(error), "DISK_FULL" if "full" in str(error) else "IO"))
        else:
            log.error("request=%s %s: %s", request, type(error).__name__, error)
            self.refuse(request, ServerError(f"{type(error).__name__}: {error}", "INTERNAL"))

    def finish(self, request: str, make: Callable[[Any], Message]) -> Callable[[Any, Exception | None], None]:
        """For a background call: answers with what `make` makes of its result, or with its error."""

        def done(result: Any, error: Exception | None) -> None:
            if error is not None:
                self.fail(request, error)
            else:
                self.reply(request, make(result))

        return done
