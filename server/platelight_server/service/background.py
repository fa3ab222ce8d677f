"""A thread that does slow things in order (disk, database) and hands the results back to the front's loop.

The loop never waits for a disk: it gives a call and what to do with its result, and goes on answering.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

log = logging.getLogger(__name__)

Then = Callable[[Any, Exception | None], None]


def logged(error: Exception) -> None:
    """What the loop does about an error that nobody foresaw: it goes on, and the log says where it was."""
    log.error("unforeseen: %s", error, exc_info=error)


class Mailbox:
    """Results of background threads, taken out by the loop. `wake` is called from those threads, `broken` with what a
    receiver of a result raises."""

    def __init__(self, wake: Callable[[], None] = lambda: None, broken: Callable[[Exception], None] = logged) -> None:
        self._wake, self._broken = wake, broken
        self._results: SimpleQueue[tuple[Then, Any, Exception | None]] = SimpleQueue()
        self._is_woken = False

    def post(self, then: Then, result: Any, error: Exception | None) -> None:
        """Called by a background thread."""
        self._results.put((then, result, error))
        if not self._is_woken:  # else the loop has not looked yet since it was woken
            self._is_woken = True
            self._wake()

    def deliver(self) -> int:
        """Called by the loop: hands each result to whom it was promised; returns how many there were."""
        count = 0
        self._is_woken = False
        while not self._results.empty():
            then, result, error = self._results.get()
            count += 1
            try:
                then(result, error)
            except Exception as unforeseen:
                self._broken(unforeseen)
        return count


class Background:
    """Runs calls one after the other in a thread of its own."""

    def __init__(self, name: str, mailbox: Mailbox, start: Callable[[], None] = lambda: None) -> None:
        self._mailbox = mailbox
        self._calls: SimpleQueue[tuple[Callable[[], Any], Then] | None] = SimpleQueue()
        self._start = start
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Callable[[], Any], then: Then) -> None:
        """Runs `work` in the thread; `then(result, error)` in the loop."""
        self._calls.put((work, then))

    def close(self) -> None:
        """Finishes what was called, and ends the thread."""
        self._calls.put(None)
        self._thread.join()

    def _run(self) -> None:
        self._start()
        while True:
            job = self._calls.get()
            if job is None:
                return
            work, then = job
            try:
                result = work()
            except Exception as error:  # the border of the thread: whoever asked is told
                self._mailbox.post(then, None, error)
            else:
                self._mailbox.post(then, result, None)
