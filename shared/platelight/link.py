"""The one connection of a client to its server: a thread that owns the socket, and requests with futures.

It says hello, pings, notices silence, connects again (reading the connection file anew), and then asks again what may
be asked twice; the rest fails with `RestartedError`. The thread ends only when the link is closed: each message is
handled on its own, and what goes wrong with one is logged. It uses a ZeroMQ context of its own and no socket monitor (a
monitor that is torn down in the wrong order hangs the host's exit), and never `zmq.asyncio`.

It is longer than a module should be, because it is one state machine: every method changes what the next one sees.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

import zmq

from .connection import Connection
from .dealer import Bell, dealer, hello
from .errors import (
    AccessError,
    InputError,
    PlatelightError,
    ProtocolError,
    RestartedError,
    ServerError,
    UnreachableError,
)
from .messages import ANSWERS, Bye, Message, Ping, Pong, Refused, Stop, Welcome, Working
from .refusals import error_of
from .requests import MORE, Notice, Request
from .wire import Bytes, Payload, decode_frames, encode_frames, new_id

BACK_OFF_S, BACK_OFF_MOST_S = 0.1, 5.0
ATTEMPT_S = 2.0  # how long a connect may take before the connection file is read again
LOOK_S = 0.5  # between looks at the connection file
TURN_MS = 250
CLOSE_S = 0.9
BYE_MS = 100  # for the last word to go out
BATCH = 64  # messages taken in before something is sent
log = logging.getLogger(__name__)


class Link:
    """The connection. `read` gives the address and the keys, and is called before every connect; all methods may be
    called from any thread."""

    def __init__(self, read: Callable[[], Connection], program: str = "platelight") -> None:
        self._read, self._program = read, program
        self.connection = read()
        self.pid = os.getpid()
        self.first: Future[Welcome] = Future()
        self.first.set_running_or_notify_cancel()
        self.welcome: Welcome | None = None
        self.pong: Pong | None = None
        self.is_up = False
        self.reconnects = 0
        self.trouble: Exception | None = None  # why there is no connection now
        self._context: zmq.Context[Any] = zmq.Context()
        self._inbox: SimpleQueue[Request | Notice] = SimpleQueue()
        self._bell = Bell(self._context)
        self._closing = False
        self._socket: zmq.Socket[Any] | None = None
        self._waiting: deque[Request] = deque()  # to be sent
        self._notices: deque[Message] = deque()
        self._later: list[tuple[float, Request]] = []
        self._asked: dict[str, Request] = {}
        self._hello = ""
        self._heard = self._opened = self._down_since = time.monotonic()
        self._ping_at = self._open_at = self._look_at = 0.0
        self._back_off = BACK_OFF_S
        self._thread = threading.Thread(target=self._run, name="platelight-link", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    # ---- for callers, from any thread

    def ask(self, request: Request) -> Request:
        """Sends a request as soon as there is a connection."""
        self._require_alive()
        request.sign_at = time.monotonic()
        self._inbox.put(request)
        if self._closing:  # it may have been put after the thread's last look
            request.settle(error=ServerError("the connection was closed"))
        self._bell.ring()
        return request

    def say(self, message: Message) -> None:
        """Sends a message that has no answer; without a connection it is dropped."""
        if not self._closing and self.pid == os.getpid():
            self._inbox.put(Notice(message))
            self._bell.ring()

    def close(self) -> None:
        """Ends the connection and fails what is under way. May be called twice; takes less than a second."""
        if self.pid != os.getpid():
            return  # the thread and the sockets belong to the process that made them
        self._closing = True
        self._bell.ring()
        if threading.current_thread() is self._thread:
            return
        self._thread.join(CLOSE_S)
        if self._thread.is_alive() or not self._bell.close():
            return
        self._context.destroy(linger=0)
        atexit.unregister(self.close)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing

    def _require_alive(self) -> None:
        if self.pid != os.getpid():
            raise ServerError("this connection belongs to another process; connect again after a fork")
        if self._closing:
            raise ServerError("the connection was closed")

    # ---- the thread

    def _run(self) -> None:
        while not self._closing:
            try:
                self._turn()
            except Exception as error:  # the border of the thread: it never dies silently
                log.exception("link trouble")
                self._lose(ServerError(f"{type(error).__name__}: {error}"))
        ended = ServerError("the connection was closed")
        self._take_in()
        for request in [*self._asked.values(), *self._waiting, *(one for _, one in self._later)]:
            request.settle(error=ended)
        with contextlib.suppress(InvalidStateError):
            self.first.set_exception(ended)
        if self._socket is not None:
            if self.is_up:
                with contextlib.suppress(zmq.ZMQError):
                    self._socket.send_multipart(encode_frames(Bye()), zmq.DONTWAIT)
            self._socket.close(linger=BYE_MS)
        self._bell.woken.close(linger=0)

    def _turn(self) -> None:
        now = time.monotonic()
        if self._socket is None and now >= self._open_at:
            self._open(now)
        self._poll()
        self._take_in()
        if self._socket is not None:
            self._hear()
        now = time.monotonic()
        if self._socket is not None:
            self._keep_alive(now)
        if self.is_up:
            self._send()
        self._give_up(now)

    def _poll(self) -> None:
        poller = zmq.Poller()
        poller.register(self._bell.woken, zmq.POLLIN)
        if self._socket is not None:
            parked = bool(self._notices) or (bool(self._waiting) and self._may_ask())
            wants_out = parked if self.is_up else not self._hello
            poller.register(self._socket, zmq.POLLIN | (zmq.POLLOUT if wants_out else 0))
        now = time.monotonic()
        due = min([self._open_at if self._socket is None else self._ping_at, *(at for at, _ in self._later)])
        late_ms = 0 if self._socket is None else 20
        poller.poll(min(int((due - now) * 1000) + 1, TURN_MS) if due > now else late_ms)
        self._bell.drain()

    def _take_in(self) -> None:
        now = time.monotonic()
        with contextlib.suppress(Empty):
            while True:
                item = self._inbox.get_nowait()
                if isinstance(item, Request):
                    self._waiting.append(item)
                elif self.is_up:
                    self._notices.append(item.message)
        for entry in [one for one in self._later if one[0] <= now]:
            self._later.remove(entry)
            self._waiting.append(entry[1])

    # ---- the socket

    def _open(self, now: float) -> None:
        self._back_off = min(self._back_off * 2, BACK_OFF_MOST_S)
        self._open_at = now + self._back_off
        try:
            self.connection = self._read()
            self._socket = dealer(self._context, self.connection)
        except PlatelightError as error:
            self.trouble = error
            self._open_at = now + min(self._back_off, LOOK_S)  # looking at a file costs nobody anything
            if isinstance(error, (AccessError, InputError)):
                self._fail_first(error)
            return
        self._opened = self._heard = now
        self._hello, self._look_at = "", now + LOOK_S

    def _lose(self, why: Exception) -> None:
        """The connection is gone: what was asked is asked again later, or fails."""
        now = time.monotonic()
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None
        if self.is_up:
            self.reconnects += 1
            self._down_since = now
            self._back_off = BACK_OFF_S / 2
        self.is_up, self.trouble = False, why
        self._open_at = now + self._back_off * random.uniform(0.8, 1.2)
        self._notices.clear()
        self._take_back()

    def _take_back(self) -> None:
        """Requests that were sent and not answered: nobody will answer them any more."""
        asked, self._asked = list(self._asked.values()), {}
        for request in reversed(asked):
            if request.again is None:
                request.settle(error=RestartedError("the server was lost before it answered; ask again", "BUSY", True))
                continue
            try:
                request.message = request.again()
                request.sign_at = time.monotonic()
                self._waiting.appendleft(request)
            except Exception as error:
                log.exception("a request cannot be repeated")
                request.settle(error=error)

    def _keep_alive(self, now: float) -> None:
        assert self._socket is not None
        silence = 4.0 if self.welcome is None else min(max(self.welcome.silence_s, 0.2), 60.0)
        if not self.is_up and not self._hello:
            self._say_hello()
        if self._hello or self.is_up:
            if now - self._heard > silence:
                self._lose(UnreachableError(f"{self.connection.address}: nothing has come for {silence:g} s"))
                return
        elif now - self._opened > ATTEMPT_S:
            self._lose(UnreachableError(f"{self.connection.address}: no connection"))
            return
        if now >= self._look_at and (not self.is_up or now - self._heard > 1.5):
            self._look_at = now + LOOK_S
            if self._has_moved():
                return
        if self.is_up and now >= self._ping_at:
            beat = 1.0 if self.welcome is None else min(max(self.welcome.heartbeat_s, 0.05), 30.0)
            self._ping_at = now + beat
            self._push(Ping(new_id()))
        elif not self.is_up:
            self._ping_at = now + 0.1

    def _has_moved(self) -> bool:
        """Whether the connection file says by now that the server is gone, or another one runs; then it is lost."""
        try:
            moved: Exception | None = None
            if self._read() != self.connection:
                moved = RestartedError("the server was started anew")
        except UnreachableError as error:
            moved = error
        except PlatelightError:
            return False
        if moved is None:
            return False
        self._back_off = BACK_OFF_S / 2
        self._lose(moved)
        return True

    def _say_hello(self) -> None:
        said = hello(self._program)
        if self._push(said):
            self._hello = said.id
            self._heard = time.monotonic()

    def _push(self, message: Message, payload: Payload | None = None) -> bool:
        """Whether the message was taken. A full socket, or one without a connection, takes nothing."""
        assert self._socket is not None
        try:
            # Copied: without, pyzmq frees buffers in a hidden thread, which a host's exit may hang on.
            self._socket.send_multipart(encode_frames(message, payload), zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def _may_ask(self) -> bool:
        return len(self._asked) < max(1, (self.welcome.outstanding if self.welcome else 200) // 2)

    def _send(self) -> None:
        while self._notices:
            if not self._push(self._notices[0]):
                return
            self._notices.popleft()
        while self._waiting and self._may_ask():
            request = self._waiting[0]
            if request.future.done():
                self._waiting.popleft()
                continue
            request.id = new_id()
            request.message = replace(request.message, id=request.id)
            try:
                taken = self._push(request.message, request.payload)
            except (ProtocolError, TypeError, ValueError, OverflowError) as error:
                self._waiting.popleft()
                request.settle(error=error)
                continue
            if not taken:
                return  # it stays parked; the poll waits for room
            self._waiting.popleft()
            request.sign_at = time.monotonic()
            self._asked[request.id] = request

    # ---- what comes

    def _hear(self) -> None:
        for _ in range(BATCH):
            if self._socket is None:
                return
            try:
                frames = self._socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return
            self._heard = time.monotonic()
            try:
                message, payload = decode_frames([frame.buffer for frame in frames], ANSWERS)
                self._handle(message, payload)
            except Exception as error:  # one message ends nothing but its own request
                log.exception("a message of the server cannot be handled")
                asker = getattr(error, "id", "")
                request = self._asked.pop(asker, None) if isinstance(asker, str) else None
                if request is not None:
                    request.settle(error=error)

    def _handle(self, message: Message, payload: Bytes | None) -> None:
        if isinstance(message, Welcome):
            self._welcomed(message)
        elif isinstance(message, Pong) and message.id not in self._asked:
            self._ponged(message)
        elif isinstance(message, Bye):
            self._lose(UnreachableError(f"{self.connection.address}: the server stops"))
        elif isinstance(message, Refused) and message.code == "NO_SESSION":
            self._forgotten(message)
        elif isinstance(message, Refused) and message.id == self._hello and not self.is_up:
            self._not_welcome(message)
        else:
            self._answer(message, payload)

    def _welcomed(self, welcome: Welcome) -> None:
        self._take_back()  # asked in a session that is no more
        self.welcome, self.is_up, self.trouble = welcome, True, None
        self._back_off = BACK_OFF_S / 2
        self._ping_at = 0.0
        with contextlib.suppress(InvalidStateError):
            self.first.set_result(welcome)

    def _ponged(self, pong: Pong) -> None:
        self.pong = pong
        if self.welcome is not None and pong.epoch != self.welcome.epoch:
            self._forgotten(Refused())

    def _forgotten(self, refused: Refused) -> None:
        """The server does not know this session (any more): what was refused was not done and may be asked again."""
        request = self._asked.pop(refused.id, None)
        if request is not None:
            self._waiting.appendleft(request)
        if self.is_up:
            self.is_up, self._hello = False, ""
            self._down_since = time.monotonic()

    def _not_welcome(self, refused: Refused) -> None:
        error = error_of(refused)
        if refused.code == "VERSION":
            for request in [*self._waiting, *self._asked.values()]:
                request.settle(error=error)
            self._waiting.clear()
            self._asked.clear()
            self._fail_first(error)
        self._back_off = BACK_OFF_MOST_S / 2
        self._lose(error)

    def _answer(self, message: Message, payload: Bytes | None) -> None:
        request = self._asked.get(message.id)
        if request is None or request.future.done():
            self._asked.pop(message.id, None)
            return  # an answer to a session before, or to something given up
        request.sign_at = time.monotonic()
        if not (isinstance(message, Refused) and message.code == "BUSY"):
            request.busy_since = 0.0
        if isinstance(message, Working):
            return
        if isinstance(message, Refused):
            del self._asked[message.id]
            if message.code == "BUSY" and message.retry and request.again is not None:
                self._ask_later(request, message)
            else:
                request.settle(error=error_of(message))
            return
        try:
            value = request.take(message, payload)
        except Exception as error:
            self._asked.pop(message.id, None)
            request.settle(error=error)
            if not isinstance(error, PlatelightError):
                log.exception("an answer cannot be used")
            return
        if value is not MORE:
            self._asked.pop(message.id, None)
            request.settle(value)

    def _ask_later(self, request: Request, refused: Refused) -> None:
        assert request.again is not None
        now = time.monotonic()
        request.busy_since = request.busy_since or now
        if now - request.busy_since > request.patience_s:
            request.settle(error=error_of(refused))
            return
        request.message = request.again()
        self._later.append((now + min(max(refused.retry_after_s, 0.05), 10.0), request))

    def _give_up(self, now: float) -> None:
        """Fails what has waited too long."""
        for request in [*self._waiting, *self._asked.values()]:
            if request.future.done():
                self._asked.pop(request.id, None)
            elif now - request.sign_at > request.patience_s:
                why = f": {self.trouble}" if self.trouble is not None else ""
                request.settle(error=UnreachableError(f"no answer within {request.patience_s:g} s{why}", "BUSY", True))
                self._drop(request)

    def _drop(self, request: Request) -> None:
        if self._asked.pop(request.id, None) is not None and self.is_up:
            self._notices.append(Stop(request.id))
        with contextlib.suppress(ValueError):
            self._waiting.remove(request)

    def _fail_first(self, error: Exception) -> None:
        with contextlib.suppress(InvalidStateError):
            self.first.set_exception(error)
