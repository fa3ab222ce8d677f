"""Requests on their way: what was asked, what takes the answers, and the future that ends once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

from .messages import Message
from .wire import Bytes, Payload

MORE = object()  # what a request's `take` returns while its answer has not ended

Take = Callable[[Message, "Bytes | None"], object]


@dataclass(eq=False)
class Request:
    """Something asked. `take` gets every answer, in the link's thread, and returns the future's value, or `MORE`.

    `again` makes the message anew after a connection was lost; without it the request fails then. `patience_s` is how
    long it may stay without any sign while it cannot be asked or is not answered.
    """

    message: Message
    payload: Payload | None = None
    take: Take = lambda message, payload: message
    again: Callable[[], Message] | None = None
    patience_s: float = 60.0
    future: Future[Any] = field(default_factory=Future)
    id: str = ""
    sign_at: float = 0.0
    busy_since: float = 0.0

    def __post_init__(self) -> None:
        self.future.set_running_or_notify_cancel()  # so that a caller who gives up cannot cancel it under the thread

    def settle(self, value: object = None, error: BaseException | None = None) -> None:
        """Ends the request, once: what has ended stays as it ended."""
        with contextlib.suppress(InvalidStateError):
            if error is not None:
                self.future.set_exception(error)
            else:
                self.future.set_result(value)


@dataclass(frozen=True)
class Notice:
    """Said without an answer."""

    message: Message
