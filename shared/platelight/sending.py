"""The sender of an upload: contents one behind the other without a pause, chunks in flight up to the server's window.

While the last chunks of one content are under way the first of the next follow, so the way never runs dry. What was
lost with a connection or a server begins with `have` again, and goes on from what the server holds.

Chunks are read into memory of ZeroMQ's own making, which it sends without a copy, and which is used again once the
server has them: a fresh mebibyte costs as much as hashing and writing it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import zmq

from .content import Content
from .errors import InputError, RestartedError, ServerError
from .link import Link
from .messages import Had, Have, Put, PutOk
from .requests import Request
from .waiting import value_of
from .wire import CHUNK, Bytes

AGAIN = frozenset({"NO_UPLOAD", "BAD_OFFSET", "BUSY"})
PATIENCE_S = 60.0  # without a chunk that was taken
BLANK = bytes(CHUNK)


@dataclass(eq=False)
class _Sent:
    """A content on its way. `offset` is where the next chunk begins, `known` whether the server has said where to."""

    content: Content
    taken_at: float
    known: bool = False
    offset: int = 0
    confirmed: int = -1
    under_way: int = 0  # requests
    not_before: float = 0.0


@dataclass(frozen=True)
class _Asked:
    """A request of a content: `have`, or `put` with so many chunks, and the memory that is free after it."""

    of: _Sent
    request: Request
    chunks: int = 0
    frames: tuple[zmq.Frame, ...] = ()


class Sender:
    """Sends what it is given. `confirmed` is called with a content and how many of its bytes the server holds.

    Used from one thread.
    """

    def __init__(self, link: Link, confirmed: Callable[[Content, int], None] = lambda content, count: None) -> None:
        self._link, self._confirmed = link, confirmed
        self._line: deque[_Sent] = deque()
        self._asked: deque[_Asked] = deque()
        self._frames: list[zmq.Frame] = []  # memory that the server's answer has set free

    def __len__(self) -> int:
        """How many are not whole yet."""
        return len(self._line)

    @property
    def left(self) -> int:
        """Bytes that are not sent yet, as far as is known."""
        return sum(sent.content.blob.size - sent.offset for sent in self._line)

    def add(self, content: Content) -> None:
        """Sends it behind the others."""
        self._line.append(_Sent(content, time.monotonic()))

    def turn(self) -> None:
        """Sends what may be sent, then waits for the oldest answer. Raises `InputError`, `ServerError`."""
        self._feed()
        if not self._asked:  # something was lost, and its time has not come
            time.sleep(0.05)
            return
        asked = self._asked.popleft()
        asked.of.under_way -= 1
        try:
            answer = value_of(asked.request.future)
        except ServerError as error:
            self._lost(asked.of, error)
            return
        if isinstance(answer, Had):
            self._had(asked.of, answer)
        else:
            self._put(asked, answer)

    def close(self) -> None:
        """Waits for what is under way: what was sent is answered, or fails with the connection."""
        for asked in self._asked:
            with suppress(ServerError):
                value_of(asked.request.future)
        for sent in self._line:
            sent.content.close()
        self._asked.clear()
        self._line.clear()

    # ---- out

    def _feed(self) -> None:
        """Asks what the server has of each, and sends the chunks of one behind those of the other."""
        names = set()
        has_room = True
        for sent in self._line:
            name = sent.content.blob.name
            if name in names:
                continue  # the same bytes again: the server will have them
            names.add(name)
            if not sent.known and not sent.under_way and time.monotonic() >= sent.not_before:
                self._ask_have(sent)
            has_room = has_room and sent.known
            while has_room and sent.offset < sent.content.blob.size:
                has_room = self._ask_put(sent)

    def _ask_have(self, sent: _Sent) -> None:
        have = Have(blob=sent.content.blob.name, size=sent.content.blob.size)
        self._ask(_Asked(sent, Request(have, again=lambda: have)))

    def _ask_put(self, sent: _Sent) -> bool:
        """Sends the next chunks; false where the window has no room for them."""
        welcome = self._link.welcome
        chunk, window, together = (welcome.chunk, welcome.window, welcome.together) if welcome else (CHUNK, 8, 1)
        blob, chunk = sent.content.blob, min(chunk, CHUNK)
        left = -(-(blob.size - sent.offset) // chunk)
        count = max(1, min(together, left, window // 2))
        in_flight = sum(asked.chunks for asked in self._asked)
        if in_flight and in_flight + count > window:
            return False
        put = Put(blob=blob.name, offset=sent.offset)
        pieces = tuple(self._piece(sent, chunk) for _ in range(count))
        frames = tuple(piece for piece in pieces if isinstance(piece, zmq.Frame))
        self._ask(_Asked(sent, Request(put, cast(tuple[Bytes, ...], pieces)), count, frames))
        return True

    def _piece(self, sent: _Sent, chunk: int) -> bytes | zmq.Frame:
        """The next chunk."""
        size = min(chunk, sent.content.blob.size - sent.offset)
        frame = self._frames.pop() if self._frames else zmq.Frame(BLANK, copy=True)
        count = sent.content.read(sent.offset, frame.buffer[:size])
        if count < size:
            raise InputError(f"{sent.content.label}: became shorter while it was uploaded; try again")
        sent.offset += size
        if size == CHUNK:
            return frame
        self._frames.append(frame)
        return bytes(frame.buffer[:size])

    def _ask(self, asked: _Asked) -> None:
        asked.of.under_way += 1
        self._asked.append(asked)
        self._link.ask(asked.request)

    # ---- in

    def _had(self, sent: _Sent, had: Had) -> None:
        sent.known, sent.offset = True, had.offset
        self._holds(sent, had.offset, had.state == "complete")

    def _put(self, asked: _Asked, answer: PutOk) -> None:
        self._frames += asked.frames
        self._holds(asked.of, answer.offset, answer.complete)

    def _holds(self, sent: _Sent, count: int, whole: bool) -> None:
        """The server holds so much of it now."""
        if count > sent.confirmed:
            sent.confirmed, sent.taken_at = count, time.monotonic()
            self._confirmed(sent.content, count)
        if whole and sent in self._line:
            self._line.remove(sent)
            sent.content.close()
        elif sent.known and not sent.under_way and sent.offset >= sent.content.blob.size:
            self._lost(sent, ServerError(f"{sent.content.label}: the server has all and it is not whole", "NO_UPLOAD"))

    def _lost(self, sent: _Sent, error: ServerError) -> None:
        """What is under way is lost too: it begins with `have` again."""
        if error.code == "HASH_MISMATCH":
            raise InputError(f"{sent.content.label}: was changed while it was uploaded; try again") from None
        lost = isinstance(error, RestartedError) or error.code in AGAIN
        if not lost or time.monotonic() - sent.taken_at > PATIENCE_S:
            raise error
        sent.known = False
        sent.not_before = time.monotonic() + max(0.05, min(error.retry_after_s, 5.0))
