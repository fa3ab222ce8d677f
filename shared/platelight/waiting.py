"""Waiting that Ctrl-C can end on every system: Windows interrupts no wait without a time limit."""

from __future__ import annotations

import time
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

TURN_S = 0.5
Value = TypeVar("Value")


def value_of(future: Future[Any], timeout: float | None = None) -> Any:
    """The value of a future, or its error. Raises `TimeoutError`."""
    end = None if timeout is None else time.monotonic() + timeout
    while not future.done():
        left = TURN_S if end is None else min(TURN_S, end - time.monotonic())
        if left <= 0:
            raise TimeoutError(f"not ended within {timeout:g} s")
        try:
            return future.result(left)
        except TimeoutError:
            continue
    return future.result()


def next_of(queue: SimpleQueue[Value]) -> Value:
    """The next item of a queue."""
    while True:
        try:
            return queue.get(timeout=TURN_S)
        except Empty:
            continue
