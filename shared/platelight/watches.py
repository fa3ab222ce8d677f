"""Watches: who listens to which job. One watch per job and connection, shared by all listeners, set up again by itself.

Each listener has the number of its last event: what it has had is not handed to it again, and after a lost connection
or a restart of the server the watch goes on behind the listener that has had least.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from .errors import NotFoundError, ServerError
from .link import Link
from .messages import FINAL_STATES, Event, JobAsked, Message, Told, Unwatch, Watch, Watching
from .requests import MORE, Request
from .wire import Bytes, new_id

EVERY_JOB = "*"
log = logging.getLogger(__name__)


@dataclass(eq=False)
class Listener:
    """Who listens to a job (or to every job). The calls come from the link's thread and must not wait for anything."""

    job: str
    event: Callable[[Event], None]
    told: Callable[[Told], None]
    failed: Callable[[BaseException], None]
    last: int = 0


@dataclass(eq=False)
class _Watched:
    job: str
    listeners: list[Listener] = field(default_factory=list)
    request: Request | None = None
    fresh: bool = True  # the next event may have any number: a server keeps the last ten thousand
    active: set[str] = field(default_factory=set)  # for every job: those that had not ended when they were told of


class Watches:
    """All watches of a link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.RLock()  # a call may come from a future's callback under it

    def listen(self, listener: Listener) -> None:
        """Begins to hand events after `listener.last`, and statuses, to a listener."""
        with self._lock:
            watched = self._watched.setdefault(listener.job, _Watched(listener.job))
            watched.listeners.append(listener)
            self._ask(watched)

    def leave(self, listener: Listener) -> None:
        """Ends that. May be called twice."""
        with self._lock:
            watched = self._watched.get(listener.job)
            if watched is None or listener not in watched.listeners:
                return
            watched.listeners.remove(listener)
            if watched.listeners:
                return
            del self._watched[listener.job]
            if watched.request is not None:
                watched.request.settle()
            self._link.say(Unwatch(new_id(), job=listener.job))

    def _ask(self, watched: _Watched) -> None:
        def message() -> Message:
            with self._lock:
                watched.fresh = True
                after = min((one.last for one in watched.listeners), default=0)
            return Watch(job=watched.job, after=after if watched.job != EVERY_JOB else 0)

        def take(answer: Message, payload: Bytes | None) -> object:
            if watched.request is request:  # else a younger watch tells the same
                self._hand_out(watched, answer)
            return MORE

        request = Request(message(), None, take, message, patience_s=math.inf)
        request.future.add_done_callback(lambda future: self._ended(watched, request))
        with self._lock:
            before, watched.request = watched.request, request
            if before is not None:
                before.settle()
            try:
                self._link.ask(request)
            except ServerError as error:
                request.settle(error=error)

    def _ended(self, watched: _Watched, request: Request) -> None:
        error = request.future.exception()
        if error is None or watched.request is not request:
            return
        with self._lock:
            listeners, watched.listeners = watched.listeners, []
            if self._watched.get(watched.job) is watched:
                del self._watched[watched.job]
        for listener in listeners:
            _call(listener.failed, error)

    def _hand_out(self, watched: _Watched, answer: Message) -> None:
        with self._lock:
            listeners = list(watched.listeners)
        if watched.job == EVERY_JOB:
            self._hand_out_any(watched, listeners, answer)
        elif isinstance(answer, Told):
            for listener in listeners:
                if answer.status is None:
                    gone = NotFoundError(f"job {answer.job} was removed from the server", "NOT_FOUND")
                    _call(listener.failed, gone)
                else:
                    _call(listener.told, answer)
        elif isinstance(answer, Event):
            waiting = [one for one in listeners if answer.number > one.last]
            if not watched.fresh and waiting and answer.number > min(one.last for one in waiting) + 1:
                log.warning("job=%s event %d came too early; asking again", answer.job, answer.number)
                self._ask(watched)
                return
            watched.fresh = False
            event = replace(answer, id="")  # the same event in whichever watch it comes
            for listener in waiting:
                listener.last = answer.number
                _call(listener.event, event)

    def _hand_out_any(self, watched: _Watched, listeners: list[Listener], answer: Message) -> None:
        """Statuses of every job. A watch that begins again is not told of jobs that ended meanwhile: it asks."""
        if isinstance(answer, Watching):
            for job in watched.active:
                self._ask_status(watched, JobAsked(job=job))
        elif isinstance(answer, Told):
            ended = answer.status is None or answer.status.state in FINAL_STATES
            (watched.active.discard if ended else watched.active.add)(answer.job)
            for listener in listeners:
                _call(listener.told, answer)

    def _ask_status(self, watched: _Watched, asked: JobAsked) -> None:
        def take(told: Message, payload: Bytes | None) -> object:
            self._hand_out(watched, told)
            return None

        with contextlib.suppress(ServerError):
            self._link.ask(Request(asked, None, take, lambda: asked))


def _call(function: Callable[..., None], *arguments: object) -> None:
    with contextlib.suppress(Exception):  # such as an event loop that is closed; the others are to hear of it
        function(*arguments)
